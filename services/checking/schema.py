"""One JSON Schema for the body of a call, from what an OpenAPI description says about `data`, `params` and the rest."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from services import contracts
from services.contracts.schemas import SchemaReader

ALWAYS_SENT = ("data", "params")  # what a caller leaves out is an empty object, so nobody has to send it
SPECIAL = "$"  # `$secrets` and `$tags` are for the platform and never part of the input
IDENTITY = ("$schema", "$id", "id")  # would give references another base
VALUES = ("example", "examples", "enum", "const", "default")  # what is below them is no schema


@dataclass(frozen=True, kw_only=True)
class Schema:
    """A schema as text, and the name by which a child knows that it has compiled it already."""

    key: str
    draft: int  # 4 for OpenAPI 3.0, 2020 for 3.1
    text: str


@lru_cache(maxsize=64)
def of_body(openapi: str) -> Schema | None:
    """The schema of a body without its `$` keys; None where the description says nothing about it.

    ``openapi`` is what ``ServiceVersion.openapi`` holds.
    """
    contract = contracts.load(openapi)
    reader = SchemaReader(contract.document)
    body = reader.merged(reader.start_body().get("schema"))
    described = body.get("properties")
    properties = {
        name: schema
        for name, schema in (described if isinstance(described, dict) else {}).items()
        if not name.startswith(SPECIAL)
    }
    for name, schema in zip(ALWAYS_SENT, contracts.input_schemas(contract), strict=True):
        properties[name] = schema or properties.get(name, {})
        if reader.resolved(properties[name]).get("x-guessed") is True:  # from an example: it refuses nothing
            properties[name] = {}
    required = body.get("required")
    needed = [
        name
        for name in (required if isinstance(required, list) else [])
        if isinstance(name, str) and name not in ALWAYS_SENT and not name.startswith(SPECIAL)
    ]
    rest = body.get("additionalProperties", True) if described else True
    if not any(properties.values()) and not needed and rest in (True, {}):
        return None
    root = {key: value for key, value in contract.document.items() if key not in IDENTITY}
    root |= {"type": "object", "properties": properties, "required": needed, "additionalProperties": rest}
    if not needed:
        del root["required"]  # draft 4 has no empty one
    is_old = contract.version.startswith("3.0")
    text = json.dumps(_with_null(root) if is_old else root)
    return Schema(key=hashlib.sha256(text.encode()).hexdigest(), draft=4 if is_old else 2020, text=text)


def _with_null(value: Any) -> Any:
    """``value`` with each `nullable` of OpenAPI 3.0 as JSON Schema says it. A description is 60 levels deep at most."""
    if isinstance(value, list):
        return [_with_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: item if key in VALUES else _with_null(item) for key, item in value.items()}
    if value.get("nullable") is not True:
        return found
    del found["nullable"]
    return {"anyOf": [{"enum": [None]}, found]}
