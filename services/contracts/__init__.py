"""OpenAPI descriptions: foreign input that is parsed without following it anywhere, and the default one of our own.

`reading` turns text into data, `validation` says whether it is OpenAPI, `managed` whether it fits the gateway;
`schemas` reads what it means, `inputs` what starts an execution; `rendering` tells what it offers, `controls` makes a
form of it, `comparing` says what a newer one changes.
"""

from services.contracts.comparing import Difference, differences
from services.contracts.controls import InputForm, control_of, inputs_of, secret_names
from services.contracts.default import default
from services.contracts.inputs import example_input, input_schemas
from services.contracts.managed import accept, template
from services.contracts.reading import WARNINGS, Contract, ContractRejected, Problem, dump, load
from services.contracts.rendering import (
    Body,
    Field,
    Operation,
    OperationParameter,
    Response,
    operations,
)
from services.contracts.validation import parse

__all__ = [
    "WARNINGS",
    "Body",
    "Contract",
    "ContractRejected",
    "Difference",
    "Field",
    "InputForm",
    "Operation",
    "OperationParameter",
    "Problem",
    "Response",
    "accept",
    "control_of",
    "default",
    "differences",
    "dump",
    "example_input",
    "input_schemas",
    "inputs_of",
    "load",
    "operations",
    "parse",
    "secret_names",
    "template",
]
