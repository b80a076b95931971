"""The seven operations of a managed service: filled in where they are left out, and refused where they are changed."""

import copy
import json
from typing import Any

import pytest
import yaml

from services import contracts
from services.contracts import ContractRejected, managed

SEVEN = [
    "GET /",
    "POST /",
    "GET /{id}",
    "GET /{id}/result",
    "GET /{id}/result/{file}",
    "GET /{id}/log",
    "PUT /{id}/cancel",
]
OK = {"200": {"description": "ok"}}


def text(paths: dict[str, Any], *, version: str = "3.0.3", **more: Any) -> str:
    return json.dumps({"openapi": version, "info": {"title": "Mine", "version": "1"}, "paths": paths} | more, indent=1)


def offered(contract: contracts.Contract) -> list[str]:
    return [f"{operation.method} {operation.path}" for operation in contracts.operations(contract)]


def refusal(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(ContractRejected) as refused:
        contracts.accept(text(*args, components=managed.default_document()["components"], **kwargs), name="mine.json")
    return "\n".join(refused.value.messages)


def with_default(**paths: Any) -> dict[str, Any]:
    return copy.deepcopy(managed.default_document()["paths"]) | paths


# Filling in


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_what_is_left_out_is_filled_in(version):
    contract = contracts.accept(text({}, version=version))
    assert list(contract.filled) == offered(contract) == SEVEN
    assert contracts.parse(contracts.dump(contract, "yaml")).document == contract.document
    assert contract.warnings == []


def test_what_is_written_stays_and_gets_company():
    schemas = {"InputData": {"type": "object", "properties": {"n": {"type": "integer", "example": 3}}}}
    mine = {"/": {"get": {"summary": "Mine", "responses": OK}}, "/{run}": {"get": {"responses": OK}}}
    contract = contracts.accept(text(mine, components={"schemas": schemas}))
    assert offered(contract) == ["GET /", "POST /", "GET /{run}", *SEVEN[3:]]
    assert "GET /" not in contract.filled
    assert "GET /{id}" not in contract.filled
    assert contract.document["paths"]["/"]["get"]["summary"] == "Mine"
    assert json.loads(contracts.example_input(contract)[0]) == {"n": 3}, "POST / takes the InputData that was there"


def test_3_1_gets_no_words_of_3_0():
    contract = contracts.accept(text({}, version="3.1.0"))
    started = contract.document["components"]["schemas"]["ServiceExecution"]["properties"]["startedAt"]
    assert started["type"] == ["string", "null"]
    assert "nullable" not in json.dumps(contract.document)
    assert "nullable" in json.dumps(managed.default_document()), "the default itself is as it was"


def test_a_path_that_is_elsewhere_in_the_file_is_found():
    contract = contracts.accept(text({"/": {"$ref": "#/x-root"}}, **{"x-root": {"get": {"responses": OK}}}))
    assert sorted(offered(contract)) == sorted(SEVEN)


# Templates of the platform


def official() -> dict[str, Any]:
    """In the shape of the official template 1.4.1: OpenAPI 3.1, cancel answers 204 and the log 200 or 204."""
    parameter = {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}}
    execution = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ServiceExecution"}}}}
    answer = {"200": {"description": "Execution"} | execution}
    logs = {"type": ["array", "null"], "items": {"type": "object"}}
    log = {
        "200": {"description": "Log", "content": {"application/json": {"schema": logs}}},
        "204": {"description": "-"},
    }
    started = {"201": {"description": "-", "headers": {"Location": {"schema": {"type": "string"}}}} | execution}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RequestBody"}}}}
    each = {"parameters": [parameter]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Service API", "version": "1.4.1"},
        "servers": [{"url": "https://gateway.example.org/<context>/<service>/<version>"}],
        "paths": {
            "/": {"get": {"responses": answer}, "post": {"requestBody": body, "responses": started}},
            "/{id}": {"get": each | {"responses": answer}},
            "/{id}/result": {"get": each | {"responses": answer}},
            "/{id}/result/{file}": {"get": {"parameters": [parameter, parameter | {"name": "file"}], "responses": OK}},
            "/{id}/log": {"get": each | {"responses": log}},
            "/{id}/cancel": {"put": each | {"responses": {"204": {"description": "Cancelled"}}}},
        },
        "components": {
            "schemas": {
                "RequestBody": {"type": "object", "additionalProperties": True},
                "ServiceExecution": {"type": "object", "properties": {"id": {"type": "string", "examples": ["a"]}}},
            }
        },
    }


def test_the_official_template_is_taken_as_it_is():
    contract = contracts.accept(json.dumps(official()))
    assert (contract.document, contract.filled, contract.warnings) == (official(), (), [])


def test_the_template_of_2022_is_taken_with_two_warnings():
    health = {"type": "object", "properties": {"status": {"type": "string"}}}
    answer = {"200": {"description": "OK", "content": {"application/json": {"schema": health}}}}
    parameter = {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}}
    interim = {"parameters": [parameter, {"in": "query", "name": "last", "schema": {"type": "boolean"}}]}
    body = {"content": {"application/json": {"schema": {"type": "object"}, "example": {"data": {}, "params": {}}}}}
    failing = {status: {"description": "no"} for status in ("400", "401", "403", "404", "500")}
    started = {"201": {"description": "Started"}} | failing
    paths = {
        "/": {"get": {"summary": "Health", "responses": answer}, "post": {"requestBody": body, "responses": started}},
        "/{id}": {"get": {"parameters": [parameter], "responses": OK | failing}},
        "/{id}/interim-results": {"get": interim | {"responses": OK}},
        "/{id}/cancel": {"put": {"parameters": [parameter], "responses": OK}},
    }
    contract = contracts.accept(text(paths, version="3.0.0"))
    assert sorted(offered(contract)) == sorted(SEVEN)
    assert len(contract.warnings) == 2
    assert set(contract.warnings) < set(contracts.WARNINGS)


def test_our_own_template_is_taken_and_says_what_to_change():
    template = contracts.template()
    assert contracts.accept(template).filled == ()
    assert template.startswith("# ")
    assert "default.py" not in template


# What is refused


@pytest.mark.parametrize(
    ("path", "item", "place", "says"),
    [
        ("/status", {"get": {"responses": OK}}, "paths./status", "/status is no address of a managed service"),
        ("/a/{id}", {}, "paths./a/{id}", "no address"),
        ("/{id}", {"delete": {"responses": OK}}, "paths./{id}.delete", "DELETE /{id} does not exist: it takes GET"),
        ("/{other}", {"get": {"responses": OK}}, "paths./{other}", "the same address as /{id}"),
        ("/{id}/cancel", {"put": {"responses": {"202": {"description": "-"}}}}, "responses.202", "never answers 202"),
        ("/{id}/log", {"get": {"responses": {"302": {"description": "-"}}}}, "responses.302", "success is 200 or 204"),
        ("/", {"post": {"responses": {"200": {"description": "-"}}}}, "paths./.post.responses.200", "success is 201"),
        ("/{id}", {"get": {"requestBody": {"content": {}}, "responses": OK}}, "get.requestBody", "takes no body"),
        (
            "/",
            {"post": {"requestBody": {"content": {"text/csv": {}}}, "responses": {"201": {"description": "-"}}}},
            "paths./.post.requestBody.content",
            "takes JSON, not text/csv",
        ),
        (
            "/{id}/result",
            {"get": {"parameters": [{"in": "query", "name": "format", "schema": {}}], "responses": OK}},
            "parameters.0",
            "the parameter format (query) is not one of this operation",
        ),
        ("/", {"parameters": [{"in": "cookie", "name": "c", "schema": {}}]}, "parameters.0", "c (cookie)"),
    ],
)
def test_no_operation_is_added_or_changed(path, item, place, says):
    message = refusal(with_default(**{path: item}))
    assert "mine.json, line " in message
    assert place in message
    assert says in message


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/", {"in": "query", "name": "limit"}),
        ("/{id}/log", {"in": "query", "name": "after"}),
        ("/{id}", {"in": "header", "name": "Prefer"}),
        ("/{id}/result/{file}", {"in": "header", "name": "range"}),
    ],
)
def test_what_the_gateway_reads_may_be_described(path, parameter):
    paths = with_default()
    paths[path]["get"]["parameters"] = [parameter | {"schema": {"type": "string"}}]
    components = managed.default_document()["components"]
    assert contracts.accept(text(paths, components=components)).filled == ()


def test_each_problem_knows_its_line():
    lines = "openapi: 3.0.3\ninfo:\n  title: A\n  version: '1'\npaths:\n  /more:\n    get: {}\nx-mine: 1\nmisspelt: 2\n"
    with pytest.raises(ContractRejected) as refused:
        contracts.accept(lines, name="a.yml")
    assert [(problem.line, problem.place) for problem in refused.value.problems] == [(1, ()), (6, ("paths", "/more"))]
    as_json = json.dumps(yaml.safe_load(lines), indent=2)
    with pytest.raises(ContractRejected) as refused:
        contracts.accept(as_json, name="a.json")
    found = {problem.place: problem.line for problem in refused.value.problems}
    assert as_json.splitlines()[found["paths", "/more"] - 1].strip().startswith('"/more"')
