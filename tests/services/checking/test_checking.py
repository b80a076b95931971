"""The child is real. A hostile schema costs it its life, and a test two seconds."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from services import checking
from services.checking import Findings, process
from services.checking.process import NOTHING

ANY = {"type": "object"}


def description(data=ANY, params=ANY, *, version="3.0.3", body=None, **named):
    """An OpenAPI text that says what goes into POST /."""
    schemas = {"InputData": data, "InputParams": params, **named}
    references = {"data": "#/components/schemas/InputData", "params": "#/components/schemas/InputParams"}
    body = body or {"type": "object", "properties": {key: {"$ref": value} for key, value in references.items()}}
    post = {"requestBody": {"content": {"application/json": {"schema": body}}}, "responses": {}}
    document = {
        "openapi": version,
        "info": {"title": "x", "version": "1"},
        "paths": {"/": {"post": post}},
        "components": {"schemas": schemas},
    }
    return json.dumps(document)


def check(openapi, *, data=None, params=None, **more):
    schema = checking.of_body(openapi)
    body = {"data": {} if data is None else data, "params": {} if params is None else params, **more}
    return NOTHING if schema is None else checking.check(schema, json.dumps(body))


def places(findings):
    return [violation.pointer for violation in findings.violations]


@pytest.fixture(autouse=True)
def _nothing_set_aside():
    yield
    process._unusable.clear()


def test_every_violation_has_its_place():
    data = {
        "type": "object",
        "required": ["values"],
        "properties": {"values": {"type": "array", "items": {"type": "number"}}, "a/b~c": {"type": "string"}},
    }
    params = {"type": "object", "properties": {"mode": {"enum": ["a", "b"]}}, "additionalProperties": False}
    found = check(
        description(data, params), data={"values": [1, "x", 2, None], "a/b~c": 1}, params={"mode": "c", "z": 1}
    )
    assert sorted(places(found)) == ["/data/a~1b~0c", "/data/values/1", "/data/values/3", "/params", "/params/mode"]
    messages = {violation.pointer: violation.message for violation in found.violations}
    assert messages["/data/values/1"] == '"x" is not of type "number"'
    assert "'z' was unexpected" in messages["/params"]
    assert check(description(data, params), data={"values": []}) == Findings()
    assert places(check(description(data, params))) == ["/data"]


def test_a_hundred_are_listed_and_the_rest_is_counted():
    found = check(description({"type": "array", "items": {"type": "integer"}}), data=["x"] * 250)
    assert (len(found.violations), found.more) == (100, 150)


def test_a_long_value_does_not_hide_what_is_wrong_with_it():
    found = check(description({"type": "string"}), data=["x" * 5000])
    assert len(found.violations[0].message) < 400
    assert found.violations[0].message.endswith('is not of type "string"')


@pytest.mark.parametrize(
    ("version", "schema", "good", "bad"),
    [
        ("3.0.3", {"type": "integer", "nullable": True}, [1, None], ["x", 1.5]),
        ("3.0.3", {"allOf": [{"$ref": "#/components/schemas/Number"}], "nullable": True}, [1, None], ["x"]),
        ("3.0.3", {"type": "number", "minimum": 0, "exclusiveMinimum": True}, [0.1], [0]),
        ("3.0.3", {"properties": {"nullable": {"type": "boolean"}}}, [{"nullable": True}], [{"nullable": 1}]),
        ("3.0.3", {"enum": [{"nullable": True}]}, [{"nullable": True}], [{}]),
        ("3.0.3", {"type": "string", "format": "date"}, ["2026-01-31"], ["2026-1-31", "20260131", "x"]),
        ("3.0.3", {"type": "string", "format": "byte"}, ["what is unknown is not asked"], []),
        ("3.1.0", {"type": ["number", "null"], "exclusiveMinimum": 0}, [1, None], [0]),
        ("3.1.0", {"type": "string", "format": "date-time"}, ["2026-01-31T12:00:00Z"], ["yesterday"]),
        ("3.1.0", {"type": "string", "format": "time"}, ["12:00:00", "12:00:00Z"], []),
        ("3.1.0", {"type": "string", "format": "uuid"}, ["0197a2b4-6d1e-7c3a-9f52-3f1c0a7be911"], ["x"]),
        ("3.1.0", {"const": 1}, [1, 1.0], [2]),
        ("3.1.0", {"type": "string", "pattern": "^(?=.*[0-9])[a-z0-9]+$"}, ["a1"], ["a"]),
    ],
)  # fmt: skip
def test_both_versions_mean_what_they_say(version, schema, good, bad):
    openapi = description({"type": "object", "properties": {"x": schema}}, version=version, Number={"type": "number"})
    for value in good:
        assert check(openapi, data={"x": value}) == Findings(), value
    for value in bad:
        assert check(openapi, data={"x": value}).violations[0].pointer.startswith("/data/x"), value


def test_alternatives_name_the_one_that_was_meant():
    choice = {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"k": {"type": "integer"}}}]}
    assert places(check(description(choice, version="3.1.0"), data={"k": "x"})) == ["/data/k"]
    either = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    [violation] = check(description(either, version="3.1.0"), data=[]).violations
    assert violation.message == (
        'It fits none of the alternatives: [] is not of type "string"; [] is not of type "integer"'
    )


def test_further_inputs_are_checked_where_they_are_described():
    body = {
        "type": "object",
        "required": ["n", "data", "$secrets"],
        "properties": {"n": {"type": "integer"}, "$secrets": {"type": "object"}, "$tags": {}, "data": {}},
        "additionalProperties": False,
    }
    assert places(check(description(body=body))) == [""]
    assert check(description(body=body), n=1) == Findings()
    assert sorted(places(check(description(body=body), n="1", m=2))) == ["", "/n"]


def test_a_description_that_says_nothing_checks_nothing():
    openapi = json.dumps({"openapi": "3.0.3", "info": {"title": "x", "version": "1"}, "paths": {}})
    assert checking.of_body(openapi) is None


def test_a_schema_that_refers_to_itself_is_followed():
    tree = {"type": "object", "properties": {"left": {"$ref": "#/components/schemas/InputData"}}}
    assert places(check(description(tree), data={"left": {"left": {"left": 3}}})) == ["/data/left/left/left"]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/components/schemas/InputData"},
        {"$ref": "http://localhost:9/schema"},
        {"$ref": "#/nowhere"},
        {"type": "string", "pattern": "("},
        {"type": "string", "pattern": "((a{1000}){1000}){1000}"},
        {"type": "nothing"},
        {"properties": 1},
    ],
    ids=["circle", "remote", "nowhere", "no regex", "huge regex", "no type", "no schema"],
)
def test_a_schema_that_cannot_be_used_refuses_nothing(schema):
    assert check(description(schema, version="3.1.0"), data={"x": 1}) == NOTHING


def test_a_pattern_that_backtracks_for_ever_gives_up():
    began = time.monotonic()
    evil = {"type": "string", "pattern": "^(?=a)(a|a|aa)+(?!c)$"}
    check(description(evil), data="a" * 5000 + "!")
    check(description({"type": "string", "pattern": "(a+)+$"}), data="a" * 100_000 + "!")
    assert time.monotonic() - began < 5


def test_a_schema_that_takes_for_ever_dies_once_and_holds_up_nobody():
    def level(number):
        again = {"$ref": f"#/components/schemas/L{number + 1}"}
        return {"anyOf": [{"items": again, "minItems": 1}, {"items": again, "maxItems": 9}], "type": "array"}

    laughs = {f"L{number}": level(number) for number in range(60)} | {"L60": {"type": "string"}}
    value = 1
    for _ in range(60):
        value = [value]
    openapi = description({"$ref": "#/components/schemas/L0"}, **laughs)
    began = time.monotonic()
    assert check(openapi, data=value) == NOTHING
    died_after = time.monotonic() - began
    assert check(openapi, data=value) == NOTHING
    assert time.monotonic() - began < died_after + 0.5  # not tried again
    assert places(check(description({"type": "string"}), data=1)) == ["/data"]


def test_a_child_that_was_killed_is_replaced():
    assert places(check(description({"type": "string"}), data=1)) == ["/data"]
    for child in process._idle:
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()
    assert places(check(description({"type": "string"}), data=1)) == ["/data"]


def test_a_process_that_is_forked_lets_go_of_the_children_in_silence(monkeypatch):
    assert places(check(description({"type": "string"}), data=1)) == ["/data"]
    assert process._idle
    reader, writer = os.pipe()
    monkeypatch.setattr(sys, "unraisablehook", lambda told: os.write(writer, repr(told.exc_value).encode()))
    subprocess.run(["true"], preexec_fn=lambda: None, check=True)  # what forks as Python does, hooks and all
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        assert told.read() == b""
    assert places(check(description({"type": "string"}), data=1)) == ["/data"]


def test_many_threads_share_few_children():
    results = []

    def ask(number):
        results.append(places(check(description({"maximum": number}), data=number + 1)))

    threads = [threading.Thread(target=ask, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [["/data"]] * 12
    assert len(process._idle) <= process.CHILDREN_MAX


def test_more_schemas_than_a_child_keeps_are_compiled_again():
    for number in [*range(70), 0, 1]:
        assert places(check(description({"maximum": number}), data=number + 1)) == ["/data"]


def test_what_was_guessed_from_an_example_refuses_nothing():
    guessed = {"type": "object", "properties": {"n": {"type": "number"}}, "x-guessed": True}
    assert places(check(description(guessed), data={"n": "x"})) == []
    assert places(check(description(guessed, {"type": "object", "required": ["m"]}), data={"n": "x"})) == ["/params"]


def test_a_child_that_another_thread_takes_first_is_missed_by_nobody(monkeypatch):
    class TakenMeanwhile(list):
        def __bool__(self):
            return True

    monkeypatch.setattr(process, "_idle", idle := TakenMeanwhile())
    assert places(check(description({"type": "string"}), data=1)) == ["/data"]
    idle.pop().end()
