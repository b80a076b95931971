"""OpenAPI descriptions: foreign texts that are taken, refused with their place, and shown."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.files.base import ContentFile
from hypothesis import given, settings
from hypothesis import strategies as st

from services import contracts, sources, template
from services.contracts import ContractRejected
from services.contracts.rendering import SchemaReader
from tests.programs import zipped

HEAD = "openapi: 3.0.3\ninfo: {title: Test, version: '1'}\n"
PIECES = (
    "",
    "*a",
    "&a ",
    "null",
    "[",
    "]",
    "{",
    "- ",
    "? ",
    ": ",
    "!!int ",
    "'",
    "\t",
    "\n",
    "1e999",
    "---",
    "\0",
    "\ud800",
)
EXAMPLES = Path(__file__).parents[2] / "examples"


def document(schemas: dict | None = None, body: dict | None = None, *, version: str = "3.0.3", **paths: dict) -> str:
    """A small description as JSON; ``body`` is the schema of what POST / takes."""
    post = {"responses": {"201": {"description": "started"}}}
    if body is not None:
        post["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return json.dumps(
        {
            "openapi": version,
            "info": {"title": "Test", "version": "1"},
            "paths": {"/": {"post": post}, **paths},
            "components": {"schemas": schemas or {}},
        }
    )


def refusal(text: str | bytes, name: str = "openapi.yml") -> str:
    with pytest.raises(ContractRejected) as refused:
        contracts.parse(text, name=name)
    return "\n".join(refused.value.messages)


# Reading


@pytest.mark.parametrize("version", ["3.0.0", "3.0.3", "3.1.0", "3.1.1"])
def test_yaml_and_json_of_both_versions_are_read(version):
    as_json = document(version=version)
    as_yaml = yaml.safe_dump(json.loads(as_json))
    for text in (as_json, as_yaml, as_yaml.encode(), b"\xef\xbb\xbf" + as_yaml.encode()):
        contract = contracts.parse(text)
        assert (contract.version, contract.title) == (version, "Test")


def test_yaml_means_what_version_1_2_says():
    text = HEAD + (
        "paths: {}\nx-values: {yes: no, on: off, date: 2026-01-31, time: 12:30:45, octal: 010, oct: 0o10, hex: 0x1F,"
        " float: 1.5e3, null: ~, true: True, number: '7', 200: ok, empty: }\n"
    )
    assert contracts.parse(text).document["x-values"] == {
        "yes": "no",
        "on": "off",
        "date": "2026-01-31",
        "time": "12:30:45",
        "octal": 10,
        "oct": 8,
        "hex": 31,
        "float": 1500.0,
        "null": None,
        "true": True,
        "number": "7",
        "200": "ok",
        "empty": None,
    }


REFUSED = {
    "nothing": ("", "openapi.yml", "not an OpenAPI description"),
    "a list": ("- a", "openapi.yml", "not an OpenAPI description"),
    "another object": ("a: 1", "openapi.yml", "has no key `openapi`"),
    "Swagger": ("swagger: '2.0'", "openapi.yml", "Swagger 2.0"),
    "version 3.2": ("openapi: 3.2.0", "line 1, openapi", "3.0 and 3.1 are read"),
    "version as a number": ("openapi: 3.0", "line 1, openapi", "'3.0.3'"),
    "a version number without quotes": (
        "openapi: 3.0.3\ninfo:\n  title: a\n  version: 1.0\npaths: {}",
        "line 4, info.version",
        "Write it in quotes.",
    ),
    "no title": ("openapi: 3.0.3\ninfo: {version: '1'}\npaths: {}", "line 2, info", '"title" is a required property'),
    "broken YAML": (HEAD + "paths: [\n", "openapi.yml, line", "not YAML"),
    "a tab": ("openapi: 3.0.3\n\tinfo: x", "line 2", "tab"),
    "broken JSON": ('{"openapi": "3.0.3",}', "line 1, column", "begins like JSON"),
    "a key twice": (HEAD + "paths: {}\npaths: {}", "line 4", "'paths' is there twice"),
    "a key twice in JSON": ('{"openapi": "3.0.3", "openapi": "3.1.0"}', "openapi.yml", "'openapi' is there twice"),
    "NaN in JSON": ('{"openapi": NaN}', "openapi.yml", "NaN does not exist in JSON"),
    "infinity in YAML": (HEAD + "paths: {}\nx-a: .inf", "line 4", "does not exist in JSON"),
    "a number too large": ('{"openapi": "3.0.3", "x-a": 1e999}', "openapi.yml", "too large"),
    "too many digits": (HEAD + f"paths: {{}}\nx-a: {'9' * 5000}", "line 4", "too many digits"),
    "half a character": ('{"openapi": "3.0.3", "x-a": "\\ud800"}', "openapi.yml", "half a character"),
    "no UTF-8": (b"openapi: \xff", "openapi.yml", "not UTF-8"),
    "a NUL": ("openapi: \0", "openapi.yml", "not YAML"),
    "an alias": (HEAD + "paths: {}\nx-a: &a [1]\nx-b: *a", "line 5", "`*a` repeats another part"),
    "a billion laughs": (
        "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(30)) + "openapi: 3.0.3",
        "line 2",
        "repeats another part",
    ),
    "a tag that runs code": (
        "openapi: !!python/object/apply:os.system ['id']",
        "line 1",
        "python/object/apply:os.system has no meaning",
    ),
    "a date by a tag": ("openapi: !!timestamp 2026-01-01", "line 1", "no meaning"),
    "two documents": (HEAD + "paths: {}\n---\na: 1", "line 4", "second document"),
    "a key that is a list": ("? [a]\n: b", "line 1", "a key must be a text"),
    "too deep YAML": (HEAD + "x-a: " + "[" * 100_000, "line 3", "nested deeper"),
    "too deep JSON": ('{"openapi": ' + "[" * 100_000, "openapi.yml", "nested deeper"),
    "deep JSON": ('{"openapi": ' + "[" * 80 + "]" * 80 + "}", "openapi.yml", "nested deeper"),
    "a response without description": (
        HEAD + "paths:\n  /:\n    get:\n      responses:\n        200:\n          describe: x",
        "paths./.get.responses.200",
        '"description" is a required property',
    ),
    "an unknown type": (
        HEAD + "paths: {}\ncomponents:\n  schemas:\n    A:\n      properties:\n        b:\n          type: text",
        "line 9, components.schemas.A.properties.b.type",
        '"text" is not one of',
    ),
    "an unknown type in 3.1": (
        document({"A": {"items": {"type": "text"}}}, version="3.1.0"),
        "components.schemas.A.items.type",
        '"text" is not one of',
    ),
    "a misspelt key": (HEAD + "paths: {}\npahts: {}", "openapi.yml, line 1", "names of your own begin with x-"),
    "a reference into nothing": (
        document(body={"$ref": "#/components/schemas/Missing"}),
        "paths./.post.requestBody.content.application/json.schema.$ref",
        "leads nowhere",
    ),
    "references in a circle": (
        document({"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}),
        "components.schemas.A.$ref",
        "leads nowhere",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_description_is_refused_with_its_place(what):
    text, place, says = REFUSED[what]
    message = refusal(text)
    assert place in message
    assert says in message


def test_a_text_over_the_limit_is_refused(settings):
    settings.OPENAPI_MAX_BYTES = 2048
    assert "larger than 2 KB" in refusal(HEAD + "#" * 2048)


def test_a_text_of_too_many_values_is_refused():
    assert "more than 100,000 values" in refusal(HEAD + "paths: {}\nx-a: [" + "1," * 100_001 + "]")
    assert "more than 100,000 values" in refusal('{"openapi": "3.0.3", "x-a": [' + "1," * 100_001 + "1]}")


def test_many_problems_are_cut():
    schemas = {f"A{n}": {"type": "text"} for n in range(25)}
    assert refusal(document(schemas)).endswith("And 15 more.")


@given(cuts=st.lists(st.tuples(st.integers(0), st.integers(0, 60), st.sampled_from(PIECES)), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_whatever_is_damaged_is_refused_or_shown_and_never_breaks(cuts):
    text = (template.FOLDER / "openapi-spec.yml").read_text()
    for place, length, piece in cuts:
        at = place % len(text)
        text = text[:at] + piece + text[at + length :]
    try:
        contract = contracts.parse(text)
    except ContractRejected:
        return
    assert contracts.operations(contract) is not None
    json.loads(contracts.example_input(contract)[0])


# Nothing is fetched


class Recorder(http.server.BaseHTTPRequestHandler):
    """Writes down who asked."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        server.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_no_address_in_a_description_is_asked(recorder):
    address = f"http://127.0.0.1:{recorder.server_port}/schema.json"
    for key in ("$ref", "$dynamicRef", "$recursiveRef"):
        for version in ("3.0.3", "3.1.0"):
            assert "outside this file" in refusal(document({"A": {key: address}}, version=version))
    contracts.parse(document({"A": {"$schema": address, "$id": address}}, version="3.1.0"))
    assert recorder.asked == []


@pytest.mark.parametrize("reference", ["file:///etc/passwd", "other.yml#/A", "//host/a", "#A", "#", "/etc/passwd", ""])
def test_a_reference_that_is_not_local_is_refused(reference):
    message = refusal(document({"A": {"$ref": reference}}))
    assert "components.schemas.A.$ref" in message
    assert "root:" not in message


def test_a_path_item_may_not_refer_outside_either():
    assert "outside this file" in refusal(document(**{"/a": {"$ref": "https://example.org/a"}}))


def test_a_property_that_is_called_ref_is_no_reference():
    assert contracts.parse(document({"A": {"type": "object", "properties": {"$ref": {"type": "string"}}}}))


# What to begin a job with


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


# The page of the API specification


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


# The default, and coming back


def source_of(program: str, **files: str) -> sources.Source:
    content = zipped({"src/program.py": program, "requirements.txt": ""} | files)
    return sources.check(ContentFile(content), "project.zip")


def test_the_default_describes_the_managed_service_operations():
    contract = contracts.default(name="Sum", summary="Adds up", source=source_of("def run(data, params): pass"))
    assert contracts.parse(contracts.dump(contract, "yaml")).document == contract.document
    assert (contract.title, contract.description, contract.warnings) == ("Sum", "Adds up", [])
    assert [(operation.method, operation.path) for operation in contracts.operations(contract)] == [
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/{id}"),
        ("GET", "/{id}/result"),
        ("GET", "/{id}/result/{file}"),
        ("GET", "/{id}/log"),
        ("PUT", "/{id}/cancel"),
    ]
    named = contract.document["components"]["schemas"]
    assert named.keys() >= {"InputData", "InputParams", "ResultResponse", "ServiceExecution", "LogEntry", "HALLink"}
    assert contracts.example_input(contract) == ("{}", "{}")


def test_the_default_knows_what_the_source_tells():
    program = (
        "def run(data: list[float], params: Params, top: int, token: planqk.commons.secret.SecretValue,"
        " files: DataPool | None = None, *, any_more=1): pass"
    )
    examples = {"input/data.json": "[0.5]", "input/params.json": '{"top": {"n": 3, "on": true, "t": "x", "l": []}}'}
    contract = contracts.default(name="A", summary="", source=source_of(program, **examples))
    contracts.parse(contracts.dump(contract, "json"))
    schemas = contract.document["components"]["schemas"]
    assert schemas["InputData"]["items"] == {"type": "number"}
    assert schemas["InputParams"]["properties"]["top"]["properties"]["on"] == {"type": "boolean"}
    assert json.loads(contracts.example_input(contract)[0]) == [0.5]
    properties = schemas["RequestBody"]["properties"]
    assert properties["top"] == {"type": "integer"}
    assert properties["$secrets"]["properties"] == {"token": {"type": "string"}}
    assert properties["files"]["required"] == ["id", "ref"]
    assert properties["any_more"] == {"default": 1}


def test_one_default_does_not_leak_into_the_next():
    first = contracts.default(name="A", summary="", source=source_of("def run(data: int, more: str): pass"))
    second = contracts.default(name="B", summary="", source=source_of("def run(data): pass"))
    assert first.document["components"]["schemas"]["InputData"]["type"] == "integer"
    assert second.document["components"]["schemas"]["InputData"]["type"] == "object"
    assert "more" not in second.document["components"]["schemas"]["RequestBody"]["properties"]


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_a_description_comes_back_as_it_went(kind):
    text = document({"A": {"type": "object", "description": "π, 'yes' and \"no\"", "example": {"on": "off", "n": "1"}}})
    contract = contracts.parse(text)
    assert contracts.parse(contracts.dump(contract, kind)).document == contract.document
    assert contracts.load(contracts.dump(contract, "json")) == contract


@pytest.mark.parametrize(
    "folder", [template.FOLDER, EXAMPLES / "sum", EXAMPLES / "monte-carlo-pi"], ids=lambda f: f.name
)
def test_our_own_descriptions_hold(folder):
    contract = contracts.parse((folder / "openapi-spec.yml").read_bytes(), name="openapi-spec.yml")
    data, params = contracts.example_input(contract)
    assert contract.warnings == []
    assert json.loads((folder / "input/data.json").read_text()) == json.loads(data)
    assert json.loads((folder / "input/params.json").read_text()).keys() <= json.loads(params).keys()


def test_a_key_twice_among_many_is_found_soon():
    text = "{" + ",".join(f'"{number:x}":1' for number in range(60_000)) + ',"0":1}'
    began = time.process_time()
    with pytest.raises(contracts.ContractRejected, match="'0' is there twice"):
        contracts.parse(text)
    assert time.process_time() - began < 2


def test_a_reference_to_a_number_without_end_leads_nowhere():
    with pytest.raises(contracts.ContractRejected, match="leads nowhere"):
        contracts.parse(HEAD + f"paths: {{}}\nservers: [{{url: /}}]\nx-a: {{$ref: '#/servers/{'9' * 5000}'}}")


def test_schemas_that_include_one_another_without_end_are_read():
    def included(times: int) -> dict[str, Any]:
        """A chain, each step of which is there ``times`` times."""
        chain = {f"A{n}": {"allOf": [{"$ref": f"#/components/schemas/A{n + 1}"}] * times} for n in range(900)}
        return chain | {"A900": {"type": "object", "properties": {"x": {}}, "required": ["x"]}}

    for times in (1, 2):
        contract = contracts.parse(document({"InputData": {"$ref": "#/components/schemas/A0"}} | included(times)))
        assert [each.name for each in contracts.inputs_of(contract)][:2] == ["data", "params"]
        near = contracts.parse(document({"InputData": {"$ref": "#/components/schemas/A870"}} | included(times)))
        assert SchemaReader(near.document).merged({"$ref": "#/components/schemas/A870"})["required"] == ["x"]


def test_many_properties_that_must_be_sent_are_read_soon():
    names = [f"{number:x}" for number in range(30_000)]
    schema = {"type": "object", "properties": {name: {} for name in names}, "required": names}
    contract = contracts.parse(document({"InputData": schema}))
    began = time.process_time()
    assert contracts.operations(contract)
    assert contracts.differences(contract, contract) == []
    assert time.process_time() - began < 2
