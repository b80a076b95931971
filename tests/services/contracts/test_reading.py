"""Texts of descriptions: taken, or refused with the place of what is wrong."""

import json
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services import contracts, template
from services.contracts import ContractRejected
from tests.services.contracts.conftest import HEAD, document, refusal

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
    assert "larger than 2 KiB" in refusal(HEAD + "#" * 2048)


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


def test_a_key_twice_among_many_is_found_soon():
    text = "{" + ",".join(f'"{number:x}":1' for number in range(60_000)) + ',"0":1}'
    began = time.process_time()
    with pytest.raises(contracts.ContractRejected, match="'0' is there twice"):
        contracts.parse(text)
    assert time.process_time() - began < 2


def test_a_reference_to_a_number_without_end_leads_nowhere():
    with pytest.raises(contracts.ContractRejected, match="leads nowhere"):
        contracts.parse(HEAD + f"paths: {{}}\nservers: [{{url: /}}]\nx-a: {{$ref: '#/servers/{'9' * 5000}'}}")
