"""What a newer description changes for callers."""

import json
import time
from typing import Any

import pytest

from services import contracts
from services.contracts.comparing import DIFFERENCES_MAX

OBJECT = {"type": "object"}


def contract(
    data: dict[str, Any] | None = None, result: dict[str, Any] | None = None, **info: Any
) -> contracts.Contract:
    document = json.loads(contracts.dump(contracts.accept(BLANK), "json"))
    schemas = document["components"]["schemas"]
    schemas["InputData"] = data or OBJECT
    schemas["ResultResponse"]["properties"] |= (result or {}).get("properties", {})
    if required := (result or {}).get("required"):
        schemas["ResultResponse"]["required"] = required
    return contracts.parse(json.dumps(document))


BLANK = '{"openapi": "3.0.3", "info": {"title": "A", "version": "1"}, "paths": {}}'


def with_field(schema: dict[str, Any] | None, *, required: bool = False) -> dict[str, Any]:
    properties = {} if schema is None else {"n": schema}
    return OBJECT | {"properties": properties} | ({"required": ["n"]} if required else {})


def found(old: contracts.Contract, new: contracts.Contract) -> list[tuple[str, str, bool]]:
    return [(each.kind, each.place, each.breaking) for each in contracts.differences(old, new)]


NUMBER = {"type": "number"}
INPUTS = {
    "nothing": (with_field(NUMBER), with_field(NUMBER), []),
    "an optional field more": (with_field(None), with_field(NUMBER), [("added", "data.n", False)]),
    "a required field more": (with_field(None), with_field(NUMBER, required=True), [("added", "data.n", True)]),
    "a field less": (with_field(NUMBER), with_field(None), [("removed", "data.n", True)]),
    "required now": (with_field(NUMBER), with_field(NUMBER, required=True), [("changed", "data.n", True)]),
    "optional now": (with_field(NUMBER, required=True), with_field(NUMBER), [("changed", "data.n", False)]),
    "a wider type": (with_field({"type": "integer"}), with_field(NUMBER), [("changed", "data.n", False)]),
    "a narrower type": (with_field(NUMBER), with_field({"type": "integer"}), [("changed", "data.n", True)]),
    "any type now": (with_field(NUMBER), with_field({}), [("changed", "data.n", False)]),
    "null too": (with_field(NUMBER), with_field(NUMBER | {"nullable": True}), [("changed", "data.n", False)]),
    "a choice less": (
        with_field({"type": "string", "enum": ["a", "b"]}),
        with_field({"type": "string", "enum": ["a"]}),
        [("removed", "data.n", True)],
    ),
    "a choice more": (
        with_field({"type": "string", "enum": ["a"]}),
        with_field({"type": "string", "enum": ["a", "b"]}),
        [("added", "data.n", False)],
    ),
    "a higher least": (
        with_field(NUMBER | {"minimum": 1}),
        with_field(NUMBER | {"minimum": 2}),
        [("changed", "data.n", True)],
    ),
    "a higher most": (
        with_field(NUMBER | {"maximum": 1}),
        with_field(NUMBER | {"maximum": 2}),
        [("changed", "data.n", False)],
    ),
    "a pattern": (
        with_field({"type": "string"}),
        with_field({"type": "string", "pattern": "a"}),
        [("changed", "data.n", True)],
    ),
    "another default": (
        with_field(NUMBER | {"default": 1}),
        with_field(NUMBER | {"default": 2}),
        [("changed", "data.n", False)],
    ),
    "no other names": (OBJECT, OBJECT | {"additionalProperties": False}, [("changed", "data", True)]),
    "inside of lists": (
        with_field({"type": "array", "items": with_field(NUMBER)}),
        with_field({"type": "array", "items": with_field({"type": "string"})}),
        [("changed", "data.n[].n", True)],
    ),
    "words": (
        with_field(NUMBER | {"description": "a"}),
        with_field(NUMBER | {"description": "b"}),
        [("changed", "data.n", False)],
    ),
    "an example": (with_field(NUMBER | {"example": 1}), with_field(NUMBER | {"example": 2}), []),
}


@pytest.mark.parametrize("what", INPUTS)
def test_of_what_callers_send(what):
    old, new, expected = INPUTS[what]
    assert found(contract(old), contract(new)) == expected


RESULTS = {
    "a field more": (with_field(None), with_field(NUMBER), [("added", "n", False)]),
    "a field less": (with_field(NUMBER), with_field(None), [("removed", "n", True)]),
    "a narrower type": (with_field(NUMBER), with_field({"type": "integer"}), [("changed", "n", False)]),
    "a wider type": (with_field({"type": "integer"}), with_field(NUMBER), [("changed", "n", True)]),
    "optional now": (with_field(NUMBER, required=True), with_field(NUMBER), [("changed", "n", True)]),
    "a value more": (
        with_field({"type": "string", "enum": ["a"]}),
        with_field({"type": "string", "enum": ["a", "b"]}),
        [("added", "n", True)],
    ),
}


@pytest.mark.parametrize("what", RESULTS)
def test_of_what_callers_get(what):
    old, new, expected = RESULTS[what]
    differences = contracts.differences(contract(None, old), contract(None, new))
    assert [(each.kind, each.place, each.breaking) for each in differences] == expected
    assert {each.operation for each in differences} == {"GET /{id}/result"}


def test_what_breaks_comes_first_and_reads_as_a_sentence():
    old = contract(OBJECT | {"properties": {"a": NUMBER, "b": NUMBER}})
    new = contract(OBJECT | {"properties": {"b": NUMBER, "c": NUMBER}})
    first, second = contracts.differences(old, new)
    assert (first.operation, first.place, first.words) == (
        "POST /",
        "data.a",
        "is gone: what is sent there is ignored or refused.",
    )
    assert (second.place, second.words) == ("data.c", "is new; it may be left out.")


def test_how_the_fixed_operations_are_described_does_not_matter():
    other = json.loads(contracts.dump(contract(), "json"))
    other["paths"]["/{id}/cancel"]["put"]["responses"] = {"204": {"description": "Cancelled"}}
    other["paths"]["/{id}/cancel"]["put"]["summary"] = "Stop it"
    (difference,) = contracts.differences(contract(), contracts.accept(json.dumps(other)))
    assert (difference.operation, difference.breaking) == ("PUT /{id}/cancel", False)


def test_a_description_without_operations_can_be_compared():
    empty = contracts.load(BLANK)
    assert contracts.differences(empty, empty) == []
    assert [each.kind for each in contracts.differences(empty, contract())] == ["added"] * 7
    assert all(each.breaking for each in contracts.differences(contract(), empty))


def test_what_includes_itself_and_what_fans_out_ends():
    names = [f"S{n}" for n in range(30)]

    def fan(kind: str) -> contracts.Contract:
        schemas = {
            name: OBJECT | {"properties": {key: {"$ref": f"#/components/schemas/{names[n - 29]}"} for key in "abcd"}}
            for n, name in enumerate(names)
        }
        schemas["S29"]["properties"]["z"] = {"type": kind}
        return contracts.accept(json.dumps(json.loads(BLANK) | {"components": {"schemas": schemas | {
            "InputData": {"$ref": "#/components/schemas/S0"}}}}))  # fmt: skip

    assert 0 < len(contracts.differences(fan("string"), fan("number"))) <= DIFFERENCES_MAX


def test_long_lists_of_choices_are_compared_soon():
    old, new = (contract(with_field({"enum": [2 * n + odd for n in range(20_000)]})) for odd in (0, 1))
    began = time.process_time()
    assert found(old, new) == [("removed", "data.n", True), ("added", "data.n", False)]
    assert time.process_time() - began < 2


def test_circles_of_different_lengths_end():
    def circle(length: int) -> contracts.Contract:
        schemas = {
            f"S{n}": OBJECT
            | {"properties": {k: {"$ref": f"#/components/schemas/S{(n * 2 + int(k)) % length}"} for k in "01"}}
            for n in range(length)
        } | {"InputData": {"$ref": "#/components/schemas/S0"}}
        return contracts.accept(json.dumps(json.loads(BLANK) | {"components": {"schemas": schemas}}))

    old, new = circle(2003), circle(2011)
    began = time.process_time()
    assert contracts.differences(old, new) == []
    assert time.process_time() - began < 5
