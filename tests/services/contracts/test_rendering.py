"""The page of an API specification."""

import json

from services import contracts
from tests.services.contracts.conftest import document


def test_operations_are_ready_to_render():
    schemas = {
        "Item": {
            "type": "object",
            "required": ["id"],
            "description": "A thing",
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "size": {"type": "integer", "minimum": 1, "default": 3, "nullable": True},
                "kind": {"type": "string", "enum": ["a", "b"]},
                "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
            },
        }
    }
    path = {
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "example": "x7"}],
        "get": {
            "summary": "Read",
            "deprecated": True,
            "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 10}}],
            "responses": {
                "200": {
                    "description": "A list",
                    "content": {
                        "application/json": {
                            "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}
                        },
                        "text/csv": {"example": "a,b"},
                    },
                },
                "default": {"description": "Something else"},
            },
        },
    }
    start, read = contracts.operations(contracts.parse(document(schemas, **{"/{id}": path})))
    assert (start.method, start.path, start.anchor, start.request) == ("POST", "/", "post", [])
    assert (read.method, read.path, read.anchor, read.deprecated) == ("GET", "/{id}", "get-id", True)
    assert [(p.name, p.location, p.type, p.required, p.example, p.notes) for p in read.parameters] == [
        ("id", "path", "string", True, "x7", []),
        ("limit", "query", "integer", False, "", ["at most 10"]),
    ]
    found, otherwise = read.responses
    assert (found.status, otherwise.status, otherwise.bodies) == ("200", "default", [])
    as_json, as_csv = found.bodies
    assert (as_csv.content_type, as_csv.example) == ("text/csv", "a,b")
    assert json.loads(as_json.example)[0]["kind"] == "a"
    assert [(f.depth, f.name, f.type, f.required, f.notes) for f in as_json.fields] == [
        (0, "", "array of object", False, []),
        (1, "id", "string (uuid)", True, []),
        (1, "size", "integer or null", False, ["at least 1", "default: 3"]),
        (1, "kind", "string", False, ['one of "a", "b"']),
        (1, "parts", "array of object", False, []),
    ]


def test_types_are_in_words():
    types = {
        "a": {"type": ["string", "null"]},
        "b": {"anyOf": [{"type": "integer"}, {"$ref": "#/components/schemas/B"}]},
        "c": {"type": "object", "additionalProperties": {"type": "number"}},
        "d": {},
        "e": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
    }
    schema = {"type": "object", "properties": types}
    operation = contracts.operations(contracts.parse(document({"B": {"type": "boolean"}}, schema, version="3.1.0")))[0]
    assert [(f.depth, f.name, f.type) for f in operation.request[0].fields] == [
        (0, "", "object"),
        (1, "a", "string or null"),
        (1, "b", "integer or B"),
        (2, "choice 1", "integer"),
        (2, "choice 2", "boolean"),
        (1, "c", "object"),
        (2, "*", "number"),
        (1, "d", "any"),
        (1, "e", "array of array of number"),
    ]


def test_anchors_are_unique():
    paths = {path: {"get": {"responses": {"200": {"description": "ok"}}}} for path in ("/a/b", "/a-b", "/a{b}")}
    anchors = [operation.anchor for operation in contracts.operations(contracts.parse(document(**paths)))]
    assert len(set(anchors)) == 4


def test_a_huge_description_is_cut():
    paths = {f"/{n}": {"get": {"responses": {"200": {"description": "ok"}}}} for n in range(300)}
    assert len(contracts.operations(contracts.parse(document(**paths)))) == 200
