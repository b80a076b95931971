"""Whether data is an OpenAPI description. References are checked before a library sees them: some follow them."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from services.contracts.reading import Contract, ContractRejected, Place, Problem, Reading, read, resolve, walk

SCHEMAS = Path(__file__).parent / "oas"
VERSION = re.compile(r"(3\.[01])\.\d+(-.+)?")
MESSAGE_MAX_CHARACTERS = 240


def parse(text: str | bytes, *, name: str = "openapi") -> Contract:
    """The contract in ``text`` (YAML or JSON, OpenAPI 3.0.x or 3.1.x). Raises ContractRejected."""
    reading = read(text, name=name)
    if problems := problems_of(reading):
        raise ContractRejected(problems)
    return Contract(document=reading.value)


def problems_of(reading: Reading) -> list[Problem]:
    """What keeps the data from being a valid description. Raises ContractRejected where it is of another kind."""
    version = _version(reading)
    return _reference_problems(reading) or _schema_problems(reading, version)


def _version(reading: Reading) -> str:
    declared = reading.value.get("openapi")
    match = VERSION.fullmatch(declared) if isinstance(declared, str) else None
    if match:
        return match[1]
    if "swagger" in reading.value:
        what = f"it is Swagger {reading.value['swagger']}. Convert it to OpenAPI 3, as editors offer"
    elif declared is None:
        what = "it has no key `openapi`, so it is no OpenAPI description. Write `openapi: 3.0.3` at its top"
    elif isinstance(declared, str):
        what = f"it is OpenAPI {declared[:20]}, and 3.0 and 3.1 are read here. Convert it to one of them"
    else:
        what = f"the version must be a text. Write `openapi: '{declared}.3'`, with all three numbers"
    raise ContractRejected([reading.problem(("openapi",) if declared else (), f"{what}.")])


def _reference_problems(reading: Reading) -> list[Problem]:
    problems = []
    for place, value in walk(reading.value, name=reading.name):
        if not place or place[-1] not in ("$ref", "$dynamicRef", "$recursiveRef") or not isinstance(value, str):
            continue
        if place[-1] == "$ref" and not value.startswith("#/"):
            words = f"it refers to {_cut(value)!r}, outside this file, and it is not fetched. "
            problems.append(
                reading.problem(place, words + "Copy it below components and refer to it by #/components/…")
            )
        elif place[-1] != "$ref" and not value.startswith("#"):
            problems.append(reading.problem(place, "it refers outside this file, which is not followed. Remove it."))
        elif place[-1] == "$ref" and resolve(reading.value, {"$ref": value}) is None:
            words = f"it refers to {_cut(value)!r}, which leads nowhere. Correct the name, or add what is missing."
            problems.append(reading.problem(place, words))
    return problems


def _schema_problems(reading: Reading, version: str) -> list[Problem]:
    problems = []
    for error in _validator(version).iter_errors(reading.value):
        cause = _cause(error)
        place: Place = tuple(cause.instance_path)
        problems.append(reading.problem(place, f"{_cut(cause.message)}. {_cure(cause)}".rstrip()))
    return problems


@cache
def _validator(version: str) -> jsonschema_rs.Validator:
    schema = json.loads((SCHEMAS / f"{version}.json").read_text())
    if version == "3.1":  # Schema Objects are JSON Schema here; the OpenAPI schema itself leaves them open
        schema["$defs"]["schema"] = {
            "$dynamicAnchor": "meta",
            "$ref": "https://json-schema.org/draft/2020-12/schema",
        }
    return jsonschema_rs.validator_for(schema, retriever=_retrieve_nothing)


def _retrieve_nothing(address: str) -> Any:
    raise LookupError(f"{address} is not fetched")


def _cause(error: jsonschema_rs.ValidationError) -> jsonschema_rs.ValidationError:
    """The innermost error: `is not valid under any of the schemas` helps nobody."""
    while branches := getattr(error.kind, "context", None):
        # Most choices are "this thing or a $ref"; whoever wrote no $ref meant the thing.
        meant = [branch for branch in branches if not any(map(_misses_ref, branch))] or branches
        found = [error for branch in meant for error in branch]
        if not found:  # it is valid in more than one way
            break
        error = max(found, key=lambda cause: len(cause.instance_path))
    return error


def _misses_ref(error: jsonschema_rs.ValidationError) -> bool:
    return error.kind.as_dict() == {"property": "$ref"}


def _cure(error: jsonschema_rs.ValidationError) -> str:
    match error.kind.name:
        case "required":
            return "Add it."
        case "type" if error.kind.as_dict() == {"types": ["string"]} and isinstance(error.instance, int | float):
            return "Write it in quotes."
        case "additionalProperties" | "unevaluatedProperties":
            return "Correct its name or remove it; names of your own begin with x-."
        case _:
            return ""


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE_MAX_CHARACTERS else f"{text[: MESSAGE_MAX_CHARACTERS - 1]}…"
