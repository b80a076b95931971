"""What a job begins with: examples, and the schemas of its inputs."""

import json

from services import contracts
from tests.services.contracts.conftest import HEAD, document


def examples(*args: object, **kwargs: object) -> tuple[object, object]:
    data, params = contracts.example_input(contracts.parse(document(*args, **kwargs)))  # type: ignore[arg-type]
    return json.loads(data), json.loads(params)


def body(data: dict, params: dict | None = None) -> dict:
    return {"type": "object", "properties": {"data": data, "params": params or {"type": "object"}}}


def test_examples_come_before_defaults_before_types():
    schema = {
        "type": "object",
        "properties": {
            "example": {"type": "array", "items": {"type": "number"}, "example": [1, 2]},
            "default": {"type": "number", "default": 0.5},
            "enum": {"type": "string", "enum": ["a", "b"]},
            "least": {"type": "integer", "minimum": 3},
            "text": {"type": "string"},
            "flag": {"type": "boolean"},
            "list": {"type": "array", "items": {"type": "string", "format": "date"}},
            "nothing": {},
        },
    }
    data, params = examples(body=body(schema))
    assert params == {}
    assert data == {
        "example": [1, 2],
        "default": 0.5,
        "enum": "a",
        "least": 3,
        "text": "",
        "flag": False,
        "list": ["2026-01-31"],
    }


def test_the_example_of_the_whole_body_wins():
    schema = body({"type": "object", "example": {"a": 1}}) | {"example": {"data": [1, 2]}}
    content = {"application/json": {"schema": schema, "example": {"data": {"b": 2}, "params": {"c": 3}}}}
    paths = {"/": {"post": {"requestBody": {"content": content}, "responses": {"201": {"description": "ok"}}}}}
    assert examples(**paths) == ({"b": 2}, {"c": 3})
    content["application/json"] = {"schema": schema, "examples": {"one": {"value": {"data": {"b": 3}}}}}
    assert examples(**paths) == ({"b": 3}, {})


def test_named_schemas_are_used_where_the_body_does_not_say():
    assert examples({"InputData": {"example": {"a": 1}}, "InputParams": {"example": {"b": 2}}}) == ({"a": 1}, {"b": 2})


def test_what_includes_itself_ends():
    node = {"type": "object", "properties": {"value": {"example": 1}, "next": {"$ref": "#/components/schemas/Node"}}}
    assert examples({"Node": node}, body({"$ref": "#/components/schemas/Node"})) == ({"value": 1}, {})
    looped = {"allOf": [{"$ref": "#/components/schemas/Loop"}, {"properties": {"a": {"example": 1}}}]}
    assert examples({"Loop": looped}, body({"$ref": "#/components/schemas/Loop"})) == ({"a": 1}, {})


def test_a_list_of_itself_ends():
    schemas = {"A": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/A"}]}}}
    contract = contracts.parse(document(schemas, body({"$ref": "#/components/schemas/A"})))
    assert contracts.operations(contract)[0].request[0].fields[1].type.startswith("array of array")
    assert contracts.example_input(contract)[1] == "{}"


def test_a_reference_to_what_is_no_schema_does_no_harm():
    junk = dict.fromkeys(
        ("properties", "required", "allOf", "oneOf", "items", "enum", "examples", "content", "type"), 5
    )
    text = document(None, body({"$ref": "#/x-junk"})).removesuffix("}") + f', "x-junk": {json.dumps(junk)}}}'
    contract = contracts.parse(text)
    assert contracts.example_input(contract) == ("{}", "{}")
    assert [field.name for field in contracts.operations(contract)[0].request[0].fields] == ["", "data", "params"]


def test_what_fans_out_without_end_is_cut():
    names = [f"S{n}" for n in range(30)]
    schemas = {
        name: {
            "type": "object",
            "properties": {key: {"$ref": f"#/components/schemas/{names[n - 29]}"} for key in "abcd"},
        }
        for n, name in enumerate(names)
    }
    contract = contracts.parse(document(schemas, body({"$ref": "#/components/schemas/S0"})))
    assert len(contracts.example_input(contract)[0]) < 200_000
    assert len(contracts.operations(contract)[0].request[0].fields) <= 300


def test_all_of_is_put_together_and_of_choices_the_first_is_shown():
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Base"},
            {"properties": {"b": {"oneOf": [{"type": "null"}, {"example": 2}]}}},
        ]
    }
    base = {"type": "object", "properties": {"a": {"example": 1}}}
    assert examples({"Base": base}, body(schema), version="3.1.0") == ({"a": 1, "b": 2}, {})


def test_a_description_without_a_body_begins_empty_and_warns():
    contract = contracts.parse(HEAD + "paths: {}")
    assert contracts.example_input(contract) == ("{}", "{}")
    assert contract.warnings == [contracts.WARNINGS[0]]
    assert contracts.parse(document()).warnings == []


def test_input_schemas_are_given_as_written():
    data = {"$ref": "#/components/schemas/Data"}
    contract = contracts.parse(document({"Data": {"type": "object"}}, body(data)))
    assert contracts.input_schemas(contract) == (data, {"type": "object"})
