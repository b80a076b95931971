"""OpenAPI descriptions: foreign input that is parsed without following it anywhere, and the default one of our own.

`reading` turns text into data, `validation` says whether it is OpenAPI, `rendering` what it offers.
"""

from services.contracts.default import default
from services.contracts.reading import WARNINGS, Contract, ContractRejected, dump, load
from services.contracts.rendering import (
    Body,
    Field,
    Operation,
    OperationParameter,
    Response,
    example_input,
    input_schemas,
    operations,
)
from services.contracts.validation import parse

__all__ = [
    "WARNINGS",
    "Body",
    "Contract",
    "ContractRejected",
    "Field",
    "Operation",
    "OperationParameter",
    "Response",
    "default",
    "dump",
    "example_input",
    "input_schemas",
    "load",
    "operations",
    "parse",
]
