import contextlib
import json

import pytest
from django.core.exceptions import NON_FIELD_ERRORS
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import inputs
from jobs.inputs import InputRefused, Sent
from portal.lib.errors import CODES


def parse(value):
    return inputs.parse(value if isinstance(value, bytes) else json.dumps(value).encode())


def refusal(value):
    with pytest.raises(InputRefused) as refused:
        parse(value)
    assert refused.value.code in CODES
    assert refused.value.detail == " ".join(refused.value.messages)
    return refused.value


def test_a_body_is_taken_apart_and_its_texts_stay_as_they_came():
    sent = parse(
        b'{"data": {"values": [1,  2.50]}, "params":{ }, "n": 4, "$secrets": {"token": "t"}, "$tags": ["a", "a"] }'
    )
    assert (sent.data, sent.params, sent.more) == ('{"values": [1,  2.50]}', "{ }", {"n": "4"})
    assert (sent.secrets, sent.tags) == ({"token": "t"}, ["a"])
    assert json.loads(sent.body()) == {"data": {"values": [1, 2.5]}, "params": {}, "n": 4}


def test_what_is_left_out_is_empty():
    assert parse({}) == Sent(data="{}", params="{}", more={}, secrets={}, tags=[])
    assert parse({"data": None, "$secrets": None, "$tags": None}) == Sent(data="null", tags=[])


def test_a_nul_that_is_escaped_is_part_of_a_text():
    assert parse(b'{"data": "\\u0000"}').data == '"\\u0000"'


@pytest.mark.parametrize(
    ("body", "line", "column"), [(b"{", 1, 2), (b'{"data":\n NaN}', 2, 2), (b"\xff{}", 1, 1), (b"", 1, 1)]
)
def test_a_body_that_is_no_json_is_refused_with_its_place(body, line, column):
    refused = refusal(body)
    assert (refused.code, refused.members) == ("invalid_json", {"line": line, "column": column})
    assert f"line {line}, column {column}" in refused.detail


@pytest.mark.parametrize("body", [[], "x", 1, None, [{"data": 1}]])
def test_a_body_that_is_no_object_is_refused(body):
    assert refusal(body).code == "invalid_request"


class TestSize:
    @pytest.mark.parametrize("name", ["data", "params", "matrix"])
    def test_each_input_has_its_limit(self, name):
        assert parse({name: "x" * 999_998})
        refused = refusal(json.dumps({name: "ä" * 500_000}, ensure_ascii=False).encode())
        assert refused.code == "input_too_large"
        assert refused.members == {"name": name, "size": 1_000_002, "limit": 1_000_000}
        assert f"`{name}` has 1,000,002 bytes, and 1,000,000 are allowed" in refused.detail

    @override_settings(BODY_MAX_BYTES=100)
    def test_the_body_has_a_limit_before_it_is_read(self):
        refused = refusal(b"{" * 101)
        assert (refused.code, refused.members) == ("input_too_large", {"size": 101, "limit": 100})
        assert "The body has 101 bytes" in refused.detail


class TestNames:
    @pytest.mark.parametrize("name", ["n", "_x", "n_qubits", "a-b", "A" * 64])
    def test_names_that_a_file_can_have(self, name):
        assert parse({name: 1}).more == {name: "1"}

    @pytest.mark.parametrize(
        "name", ["", "a/b", "..", ".", "a.b", "a b", "ä", "1a", "-a", "A" * 65, "\0", "a\n", "x" * 5000]
    )
    def test_other_names_are_refused(self, name):
        refused = refusal({name: 1})
        assert refused.code == "invalid_request"
        assert len(refused.detail) < 400

    def test_a_special_key_that_is_not_known_is_named_with_those_that_are(self):
        detail = refusal({"$secret": {}}).detail
        assert "'$secret'" in detail
        assert "`$secrets`, `$tags` and `$deadline`" in detail

    def test_fifty_inputs_are_taken(self):
        names = [f"n{number}" for number in range(51)]
        assert len(parse(dict.fromkeys(["data", "params", *names[:50]], 1)).more) == 50
        assert "51 inputs" in refusal(dict.fromkeys(names, 1)).detail


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"data": {"id": "x", "ref": "DATAPOOL"}}, "/data"),
        ({"params": {"id": "x", "ref": "DATAPOOL", "grant": "jwt"}}, "/params"),
        ({"pool": {"id": "x", "ref": "DATAPOOL"}}, "/pool"),
        ({"dataRef": {"dataPoolId": "x"}}, "/dataRef"),
        ({"paramsRef": "x"}, "/paramsRef"),
    ],
)
def test_references_to_data_pools_are_told_to_come_later(body, pointer):
    refused = refusal(body)
    assert (refused.code, refused.members) == ("unsupported_reference", {"pointer": pointer})
    assert "send the value itself" in refused.detail


def test_a_value_that_only_looks_like_a_reference_is_a_value():
    assert parse({"data": {"id": 1, "ref": "main"}, "n": {"ref": "DATAPOOL"}}).more == {"n": '{"ref": "DATAPOOL"}'}


class TestTags:
    def test_twenty_of_sixty_four_characters(self):
        tags = [f"{number:02}" + "ü" * 62 for number in range(20)]
        assert parse({"$tags": tags}).tags == tags

    @pytest.mark.parametrize(
        "tags",
        [
            "x", {"a": 1}, [1], [None], [["a"]], [""], [" "], ["a\0"], ["a\nb"], ["a" * 65],
            [str(number) for number in range(21)],
        ],
    )  # fmt: skip
    def test_other_tags_are_refused(self, tags):
        refused = refusal({"$tags": tags})
        assert (refused.code, refused.members) == ("invalid_request", {"pointer": "/$tags"})


class TestSecrets:
    def test_they_hide_themselves(self):
        sent = parse({"data": "canary-1", "$secrets": {"token": "canary-2"}})
        assert "canary" not in repr(sent)
        assert "canary" not in str(sent)

    @pytest.mark.parametrize(
        "secrets",
        [
            "canary", ["canary"], {"token": 1}, {"token": {"a": "canary"}}, {"token": None}, {"token": ["canary"]},
            {"a b": "canary"}, {"1a": "canary"}, {"a-b": "canary"}, {"": "canary"}, {"a=b": "canary"},
            {"a" * 65: "canary"}, {"token": "canary\0"}, {"ibmToken": "canary", "ibm_token": "canary"},
            {f"s{number}": "canary" for number in range(51)},
        ],
    )  # fmt: skip
    def test_what_is_refused_is_not_repeated(self, secrets):
        refused = refusal({"$secrets": secrets})
        assert (refused.code, refused.members) == ("invalid_request", {"pointer": "/$secrets"})
        assert "canary" not in refused.detail

    def test_a_secret_fits_into_a_variable_and_all_into_a_process(self):
        assert parse({"$secrets": {"token": "x" * 65_536}})
        assert refusal({"$secrets": {"token": "x" * 65_537}}).members["name"] == "$secrets.token"
        together = {f"s{number}": "x" * 60_000 for number in range(9)}
        assert refusal({"$secrets": together}).members["name"] == "$secrets"


class TestTexts:
    def test_empty_ones_are_empty_objects(self):
        assert inputs.from_texts(data="", params=" \n") == Sent()

    def test_both_are_refused_at_once_at_their_fields(self):
        with pytest.raises(InputRefused) as refused:
            inputs.from_texts(data='{"a": }', params="x" * 1_000_001)
        assert refused.value.code == "invalid_json"
        assert "line 1, column 7" in refused.value.message_dict["data"][0]
        assert "1,000,001 bytes" in refused.value.message_dict["params"][0]
        assert NON_FIELD_ERRORS not in refused.value.message_dict

    def test_a_reference_is_refused_at_its_field(self):
        with pytest.raises(InputRefused) as refused:
            inputs.from_texts(data="{}", params='{"id": "x", "ref": "DATAPOOL"}')
        assert set(refused.value.message_dict) == {"params"}


@settings(max_examples=80, deadline=None)
@given(body=st.binary(max_size=60) | st.text(alphabet='{}[]":,\\$ud8 atrgsec01', max_size=60).map(str.encode))
def test_any_body_is_taken_or_refused(body):
    with contextlib.suppress(InputRefused):
        assert json.loads(inputs.parse(body).body())
