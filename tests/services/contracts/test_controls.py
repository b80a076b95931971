"""The controls of a form: what each schema becomes, in both dialects, and where a form ends."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import contracts
from services.contracts import Contract, controls


def control(schema: Any, **named: Any) -> dict[str, Any]:
    document = {"components": {"schemas": named}}
    found = controls.control_of(Contract(document=document), {"type": "object", "properties": {"it": schema}})
    assert found is not None
    return {key: value for key, value in found["properties"][0].items() if key not in ("key", "required")}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, {"kind": "text"}),
        ({"type": "string", "format": "date", "minLength": 2}, {"kind": "text", "format": "date", "minLength": 2}),
        ({"type": "string", "maxLength": 500}, {"kind": "text", "maxLength": 500, "long": True}),
        ({"type": "string", "default": "a\nb"}, {"kind": "text", "long": True, "default": '"a\\nb"'}),
        ({"type": "boolean", "default": True}, {"kind": "boolean", "default": "true"}),
        ({"type": "integer", "minimum": 1, "maximum": 9}, {"kind": "integer", "min": 1, "max": 9}),
        ({"type": "number", "multipleOf": 0.5}, {"kind": "number", "step": 0.5}),
        ({"minimum": 1}, {"kind": "number", "min": 1}),
        ({"const": 3}, {"kind": "const", "value": "3"}),
        ({"enum": ["only"]}, {"kind": "const", "value": '"only"'}),
        (
            {"enum": ["a", 2]},
            {"kind": "choice", "options": [{"value": '"a"', "label": "a"}, {"value": "2", "label": "2"}]},
        ),
        (
            {"oneOf": [{"const": 1, "title": "One"}, {"const": 2}]},
            {"kind": "choice", "options": [{"value": "1", "label": "One"}, {"value": "2", "label": "2"}]},
        ),
        (
            {"type": "array", "items": {"type": "number"}},
            {"kind": "array", "item": {"kind": "number"}, "compact": True},
        ),
        ({"items": {"type": "string"}, "minItems": 1}, {"kind": "array", "item": {"kind": "text"}, "minItems": 1}),
        (
            {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b"]}},
            {"kind": "choices", "options": [{"value": '"a"', "label": "a"}, {"value": '"b"', "label": "b"}]},
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"kind": "object", "properties": [], "extra": {"kind": "integer"}},
        ),
        ({}, {"kind": "json", "note": "Any JSON"}),
        ({"type": "object"}, {"kind": "json", "note": "Any object, as JSON"}),
        ({"type": "array"}, {"kind": "json", "note": "Any list, as JSON"}),
    ],
)
def test_each_schema_has_its_control(schema, expected):
    assert control(schema) == expected


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"type": "integer", "nullable": True}, {"type": ["integer", "null"]}),
        ({"type": "string", "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"enum": ["a", "b"], "nullable": True}, {"enum": ["a", "b", None]}),
        (
            {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": True},
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        ),
        ({"type": "string", "example": "x"}, {"type": "string", "examples": ["x"]}),
    ],
)
def test_both_dialects_come_to_the_same(older, newer):
    assert control(older) == control(newer)


def test_an_object_names_its_members_and_says_which_must_be_there():
    schema = {
        "type": "object",
        "required": ["a"],
        "additionalProperties": False,
        "properties": {"a": {"type": "string", "title": "First", "description": "Help"}, "b": {"type": "boolean"}},
    }
    assert control(schema) == {
        "kind": "object",
        "closed": True,
        "properties": [
            {"kind": "text", "key": "a", "required": True, "title": "First", "help": "Help"},
            {"kind": "boolean", "key": "b", "required": False},
        ],
    }


def test_references_and_all_of_are_followed():
    point = {"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}}}
    schema = {"allOf": [ref("Point"), {"properties": {"y": {"type": "number"}}}]}
    assert [each["key"] for each in control(schema, Point=point)["properties"]] == ["x", "y"]
    assert control(ref("Point") | {"description": "Beside"}, Point=point)["help"] == "Beside"


def test_alternatives_keep_what_stands_beside_them_and_have_names():
    schema = {
        "type": "object",
        "properties": {"id": {"type": "string"}},
        "oneOf": [ref("Circle"), {"properties": {"side": {"type": "number"}}}],
    }
    found = control(schema, Circle={"properties": {"radius": {"type": "number"}}})
    assert found["kind"] == "variants"
    assert [each["name"] for each in found["variants"]] == ["Circle", "object"]
    assert [[each["key"] for each in variant["properties"]] for variant in found["variants"]] == [
        ["id", "radius"],
        ["id", "side"],
    ]
    found = control({"type": ["string", "number"], "minimum": 3})
    assert [(each["name"], each["kind"]) for each in found["variants"]] == [("string", "text"), ("number", "number")]


@pytest.mark.parametrize("word", ["properties", "items", "oneOf"])
def test_what_refers_to_itself_is_json_at_that_place(word):
    inner = {"properties": {"next": ref("Node")}, "items": ref("Node"), "oneOf": [ref("Node"), {"type": "string"}]}
    kind = {"type": "array"} if word == "items" else {}
    found = json.dumps(control(ref("Node"), Node={word: inner[word], **kind}))
    assert found.count("Another Node, as JSON") == 1


def test_what_is_too_much_is_json():
    wide = {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(1_000)}}
    found = controls.control_of(Contract(document={}), wide)
    assert found is not None
    assert len(found["properties"]) == controls.CONTROLS_MAX - 1
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(20):
        deep = {"type": "object", "properties": {"in": deep}}
    assert "Too much" in json.dumps(controls.control_of(Contract(document={}), deep))
    assert control({"enum": list(range(1_000)), "type": "integer"}) == {"kind": "integer"}


def test_digits_are_texts():
    assert control({"type": "integer", "default": 12345678901234567890})["default"] == "12345678901234567890"


LEAVES = st.sampled_from(
    [None, True, 0, -1, 2.5, "a", "string", "object", "array", "null", "#/components/schemas/A", []]
)
WORDS = ("type", "properties", "items", "enum", "oneOf", "anyOf", "allOf", "$ref", "required", "minimum", "default")
MORE_WORDS = ("additionalProperties", "nullable", "exclusiveMinimum", "title", "description", "minLength", "const")


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        LEAVES,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS + MORE_WORDS), inner, max_size=5)
        ),
        max_leaves=25,
    )
)
def test_whatever_a_schema_is_a_form_of_it_ends(schema):
    document = {"components": {"schemas": {"A": schema}}}
    found = controls.control_of(Contract(document=document), schema if isinstance(schema, dict) else {"items": schema})
    assert len(json.dumps(found)) < 1_000_000


def test_the_inputs_are_data_params_and_the_further_ones():
    body = {
        "type": "object",
        "properties": {
            "data": {
                "type": "object",
                "description": "Numbers",
                "properties": {"n": {"type": "integer", "default": 3}},
            },
            "$secrets": {"properties": {"token": {"type": "string"}}},
            "$tags": {"type": "array"},
            "dataRef": {"type": "object"},
            "backend": {"type": "string", "example": "near"},
        },
    }
    post = {"requestBody": {"content": {"application/json": {"schema": body}}}}
    contract = Contract(document={"paths": {"/": {"post": post}}})
    data, params, backend = contracts.inputs_of(contract)
    assert (data.name, data.help, json.loads(data.example)) == ("data", "Numbers", {"n": 3})
    assert (params.name, params.control) == ("params", None)
    assert (backend.name, backend.example) == ("backend", '"near"')
    assert backend.control == {"kind": "text", "example": '"near"'}
    assert contracts.secret_names(contract) == ["token"]
