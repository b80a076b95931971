"""The description that a service has when its provider brought none, and descriptions that come back."""

import json
from pathlib import Path

import pytest

from services import contracts, template
from tests.services.contracts.conftest import document, source_of

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_default_describes_the_managed_service_operations():
    contract = contracts.default(name="Sum", summary="Adds up", source=source_of("def run(data, params): pass"))
    assert contracts.parse(contracts.dump(contract, "yaml")).document == contract.document
    assert (contract.title, contract.description, contract.warnings) == ("Sum", "Adds up", [])
    assert [(operation.method, operation.path) for operation in contracts.operations(contract)] == [
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/{id}"),
        ("GET", "/{id}/result"),
        ("GET", "/{id}/result/{file}"),
        ("GET", "/{id}/log"),
        ("PUT", "/{id}/cancel"),
    ]
    named = contract.document["components"]["schemas"]
    assert named.keys() >= {"InputData", "InputParams", "ResultResponse", "ServiceExecution", "LogEntry", "HALLink"}
    assert contracts.example_input(contract) == ("{}", "{}")


def test_the_default_knows_what_the_source_tells():
    program = (
        "def run(data: list[float], params: Params, top: int, token: planqk.commons.secret.SecretValue,"
        " files: DataPool | None = None, *, any_more=1): pass"
    )
    examples = {"input/data.json": "[0.5]", "input/params.json": '{"top": {"n": 3, "on": true, "t": "x", "l": []}}'}
    contract = contracts.default(name="A", summary="", source=source_of(program, **examples))
    contracts.parse(contracts.dump(contract, "json"))
    schemas = contract.document["components"]["schemas"]
    assert schemas["InputData"]["items"] == {"type": "number"}
    assert schemas["InputParams"]["properties"]["top"]["properties"]["on"] == {"type": "boolean"}
    assert json.loads(contracts.example_input(contract)[0]) == [0.5]
    properties = schemas["RequestBody"]["properties"]
    assert properties["top"] == {"type": "integer"}
    assert properties["$secrets"]["properties"] == {"token": {"type": "string"}}
    assert properties["files"]["required"] == ["id", "ref"]
    assert properties["any_more"] == {"default": 1}


def test_one_default_does_not_leak_into_the_next():
    first = contracts.default(name="A", summary="", source=source_of("def run(data: int, more: str): pass"))
    second = contracts.default(name="B", summary="", source=source_of("def run(data): pass"))
    assert first.document["components"]["schemas"]["InputData"]["type"] == "integer"
    assert second.document["components"]["schemas"]["InputData"]["type"] == "object"
    assert "more" not in second.document["components"]["schemas"]["RequestBody"]["properties"]


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_a_description_comes_back_as_it_went(kind):
    text = document({"A": {"type": "object", "description": "π, 'yes' and \"no\"", "example": {"on": "off", "n": "1"}}})
    contract = contracts.parse(text)
    assert contracts.parse(contracts.dump(contract, kind)).document == contract.document
    assert contracts.load(contracts.dump(contract, "json")) == contract


@pytest.mark.parametrize(
    "folder", [template.FOLDER, EXAMPLES / "sum", EXAMPLES / "monte-carlo-pi"], ids=lambda f: f.name
)
def test_our_own_descriptions_hold(folder):
    contract = contracts.parse((folder / "openapi-spec.yml").read_bytes(), name="openapi-spec.yml")
    data, params = contracts.example_input(contract)
    assert contract.warnings == []
    assert json.loads((folder / "input/data.json").read_text()) == json.loads(data)
    assert json.loads((folder / "input/params.json").read_text()).keys() <= json.loads(params).keys()
