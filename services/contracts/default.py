"""The description of a service whose provider brought none: ours, with the inputs that the source lets us see."""

import copy
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from services.contracts.reading import Contract
from services.contracts.validation import parse
from services.sources import Parameter, Source

TEXT = Path(__file__).parent / "default.yml"
NOTHING = re.compile(r"\s*\|\s*None\b|\bNone\s*\|\s*")
OPTIONAL = re.compile(r"(?:typing\.)?Optional\[(.*)\]")
INFERRED_DEPTH_MAX = 4
INFERRED_KEYS_MAX = 50
TYPES: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "dict": {"type": "object"},
    "list": {"type": "array", "items": {}},
    "tuple": {"type": "array", "items": {}},
    "set": {"type": "array", "items": {}},
}


def default(*, name: str, summary: str, source: Source) -> Contract:
    """The description that a service has when its provider brought none."""
    document = copy.deepcopy(_document())
    document["info"] |= {"title": name, "description": summary or f"Runs {name} and answers with its result."}
    schemas = document["components"]["schemas"]
    for parameter in source.run.parameters or ():
        if parameter.name in ("data", "params"):
            schema_name = "InputData" if parameter.name == "data" else "InputParams"
            schemas[schema_name] = (_schema_of(parameter) or {"type": "object"}) | _described(schemas[schema_name])
        else:
            _add_input(schemas["RequestBody"], parameter)
    for schema_name, example in (("InputData", source.example_data), ("InputParams", source.example_params)):
        if example:
            value = json.loads(example)
            schemas[schema_name] = _inferred(value) | _described(schemas[schema_name]) | {"example": value}
    return Contract(document=document)


@cache
def _document() -> dict[str, Any]:
    return parse(TEXT.read_bytes(), name=TEXT.name).document


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("description",) if key in schema}


def _add_input(body: dict[str, Any], parameter: Parameter) -> None:
    """A parameter beside `data` and `params`: a secret, a data pool, or one more top-level key."""
    properties = body["properties"]
    last = _class_of(parameter)
    if last == "SecretValue":
        secrets = properties.setdefault(
            "$secrets",
            {"type": "object", "description": "Kept out of logs and gone when the execution ends", "properties": {}},
        )
        secrets["properties"][parameter.name] = {"type": "string"}
    elif last == "DataPool":
        properties[parameter.name] = {
            "type": "object",
            "description": "A data pool whose files the service reads",
            "required": ["id", "ref"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "ref": {"type": "string", "enum": ["DATAPOOL"]},
            },
        }
    else:
        properties[parameter.name] = _schema_of(parameter)


def _schema_of(parameter: Parameter) -> dict[str, Any]:
    """A schema for a simple annotation; anything else (a model of the provider's, say) is an object."""
    name = _class_of(parameter).lower()
    if name in ("", "any"):
        return {}
    return copy.deepcopy(TYPES.get(name, {"type": "object"}))


def _class_of(parameter: Parameter) -> str:
    """`DataPool` for each of `DataPool`, `"commons.DataPool"`, `DataPool | None`, `Optional[DataPool]`."""
    text = parameter.annotation.strip("'\"")
    text = NOTHING.sub("", text)
    if match := OPTIONAL.fullmatch(text):
        text = match[1]
    return text.partition("[")[0].rpartition(".")[2].strip()


def _inferred(value: Any, depth: int = 0) -> dict[str, Any]:
    """The schema that an example suggests."""
    match value:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "number"}  # who sends 3 here may send 3.5 there
        case float():
            return {"type": "number"}
        case str():
            return {"type": "string"}
        case list():
            return {"type": "array", "items": _inferred(value[0], depth + 1) if value else {}}
        case dict() if depth < INFERRED_DEPTH_MAX and len(value) <= INFERRED_KEYS_MAX:
            return {"type": "object", "properties": {key: _inferred(child, depth + 1) for key, child in value.items()}}
        case dict():
            return {"type": "object"}
        case _:
            return {}
