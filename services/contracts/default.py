"""The description of a service whose provider brought none: ours, with the inputs that the source lets us see."""

import copy
import json
import re
from typing import Any

from services.contracts.managed import default_document
from services.contracts.reading import Contract
from services.contracts.signature import Signature, read_annotation, read_signature
from services.sources import PROGRAM, Parameter, Source

NOTHING = re.compile(r"\s*\|\s*None\b|\bNone\s*\|\s*")
OPTIONAL = re.compile(r"(?:typing\.)?Optional\[(.*)\]")
INPUTS = {"data": "InputData", "params": "InputParams"}
INFERRED_DEPTH_MAX = 4
INFERRED_KEYS_MAX = 50


def default(*, name: str, summary: str, source: Source) -> Contract:
    """The description that a service has when its provider brought none."""
    signature = read_signature(source.modules, program=PROGRAM, line=source.run.line)
    document = copy.deepcopy(default_document())
    about = summary or signature.summary or f"Runs {name} and answers with its result."
    document["info"] |= {"title": name, "description": about}
    schemas = document["components"]["schemas"]
    for parameter in source.run.parameters or ():
        if parameter.name in INPUTS:
            schemas[INPUTS[parameter.name]] |= _schema_of(parameter, signature)
        else:
            _add_input(schemas["RequestBody"], parameter, signature)
    for key, example in (("data", source.example_data), ("params", source.example_params)):
        if example:
            schemas[INPUTS[key]] = _with_example(schemas[INPUTS[key]], json.loads(example))
    return Contract(document=document)


def _with_example(schema: dict[str, Any], value: Any) -> dict[str, Any]:
    """The schema with an example. One that says nothing of its own is guessed from it, and says so: a guess must not
    refuse what the code would take.
    """
    if schema.keys() <= {"type", "description"} and schema.get("type") in (None, "object", "array"):
        schema = _inferred(value) | _described(schema) | {"x-guessed": True}
    return schema | {"example": value}


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("description",) if key in schema}


def _add_input(body: dict[str, Any], parameter: Parameter, signature: Signature) -> None:
    """A parameter beside `data` and `params`: a secret, a data pool, or one more top-level key."""
    properties = body["properties"]
    last = _class_of(parameter)
    if last == "SecretValue":
        secrets = properties.setdefault(
            "$secrets",
            {"type": "object", "description": "Kept out of logs and gone when the execution ends", "properties": {}},
        )
        secrets["properties"][parameter.name] = {"type": "string"} | _words_on(parameter, signature)
        return
    if last == "DataPool":
        properties[parameter.name] = {
            "type": "object",
            "description": "A data pool whose files the service reads",
            "required": ["id", "ref"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "ref": {"type": "string", "enum": ["DATAPOOL"]},
            },
        } | _words_on(parameter, signature)
    else:
        properties[parameter.name] = _schema_of(parameter, signature)
    if parameter.required:
        body.setdefault("required", []).append(parameter.name)


def _schema_of(parameter: Parameter, signature: Signature) -> dict[str, Any]:
    """What the annotation of a parameter says; where the file could not be read, what its text says."""
    schema = signature.schemas.get(parameter.name)
    if schema is None:
        schema = read_annotation(parameter.annotation)
    if parameter.name in INPUTS and not schema:
        schema = {"type": "object"}
    return schema | _words_on(parameter, signature)


def _words_on(parameter: Parameter, signature: Signature) -> dict[str, str]:
    words = signature.descriptions.get(parameter.name)
    return {"description": words} if words else {}


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
