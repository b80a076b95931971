import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.lib import jsontext
from portal.lib.jsontext import JsonRefused, NotAnObject

# A line each: the text, what is said, line and column.
REFUSED = [
    ("", "expecting value", 1, 1),
    ("  ", "expecting value", 1, 3),
    ("{", "expected a key in double quotes", 1, 2),
    ('{"a"', "expected ':'", 1, 5),
    ('{"a": }', "expecting value", 1, 7),
    ('{"a": 1 "b": 2}', "expected ',' or '}'", 1, 9),
    ('{\n  "a": 1,\n}', "expected a key in double quotes", 3, 1),
    ('{"a": [1, 2}', "expecting ',' delimiter", 1, 12),
    ("{} x", "something follows after the end", 1, 4),
    ('{"a": 01}', "expected ',' or '}'", 1, 8),
    ('{"a": NaN}', "NaN is not part of JSON", 1, 7),
    ('{"a": [1,\n-Infinity]}', "-Infinity is not part of JSON", 2, 1),
    ('{"a": 1, "a": 2}', "the key 'a' is there twice", 1, 10),
    ('{"a": {"b": "b",\n "b": 1}}', "the key 'b' is there twice", 2, 2),
    ('{"a": [{"b": 1}, {"b": 1, "b" : 1}]}', "the key 'b' is there twice", 1, 27),
    ('{"a": "\\ud800"}', "half of a character", 1, 7),
    ('{"a": "\\udc00\\ud800"}', "half of a character", 1, 7),
    ('{"\\ud800": 1}', "half of a character", 1, 2),
    ('{"a": "\0"}', "a line break or another control character within a text; write it as \\n", 1, 8),
    ('{"a": "b', "a text begins here and has no closing quote", 1, 7),
    ('{"a": 1e400}', "too large for every program", 1, 7),
    ('{"a": 1' + "0" * 400 + "}", "too many digits", 1, 7),
    ('{"a": 1' + "0" * 9000 + "}", "too many digits", 1, 7),
    ('{"a":' + "[" * 300 + "]" * 300 + "}", "nested too deeply", 1, 205),
    ('{"a":' + "[" * 400_000, "nested too deeply", 1, 205),
]


@pytest.mark.parametrize(("text", "problem", "line", "column"), REFUSED, ids=[repr(row[0][:24]) for row in REFUSED])
def test_what_is_refused_is_refused_with_its_place(text, problem, line, column):
    with pytest.raises(JsonRefused) as refused:
        jsontext.members(text)
    assert problem in refused.value.problem
    assert (refused.value.line, refused.value.column) == (line, column)
    assert f"at line {line}, column {column}" in str(refused.value)


@pytest.mark.parametrize("text", ["[]", '"x"', "1", "null", "[{}]"])
def test_a_value_that_is_no_object_has_no_members(text):
    with pytest.raises(NotAnObject):
        jsontext.members(text)
    assert jsontext.load(text) == json.loads(text)


def test_each_member_keeps_its_text():
    found = jsontext.members(' {"a" : [1,  2.50], "b": "\\u0000\\ud83d\\ude00", "n": 1E5 , "long": "1e999"}\n')
    assert {key: member.text for key, member in found.items()} == {
        "a": "[1,  2.50]",
        "b": '"\\u0000\\ud83d\\ude00"',
        "n": "1E5",
        "long": '"1e999"',
    }
    assert found["b"].value == "\0\N{GRINNING FACE}"


def test_two_hundred_levels_are_read():
    text = '{"a":' + "[" * 199 + "]" * 199 + "}"
    assert jsontext.members(text)["a"].text == text[5:-1]


@pytest.mark.parametrize(
    ("content", "place"), [(b"\xff", (1, 1)), (b'{"a":\n"\xe4"}', (2, 2)), ('{"ü": "'.encode() + b"\xc3", (1, 8))]
)
def test_bytes_that_are_no_utf8_are_refused_with_their_place(content, place):
    with pytest.raises(JsonRefused, match="not UTF-8") as refused:
        jsontext.decode(content)
    assert (refused.value.line, refused.value.column) == place


def test_a_byte_order_mark_is_left_out():
    assert jsontext.decode(b"\xef\xbb\xbf{}") == "{}"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(value=st.dictionaries(st.text(), values, max_size=5), indent=st.sampled_from([None, 0, 3]))
def test_every_json_that_python_writes_is_read_as_it_was(value, indent):
    found = jsontext.members(json.dumps(value, indent=indent, ensure_ascii=False))
    assert {key: member.value for key, member in found.items()} == value
    assert {key: json.loads(member.text) for key, member in found.items()} == value


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet='{}[]",:\\ud80e+-.0123 \nNaInfity', max_size=40))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(JsonRefused):
        assert json.dumps(jsontext.load(text), allow_nan=False).encode()


def test_a_long_number_within_a_text_does_not_make_reading_slow():
    text = json.dumps(["1" * 400, *["a"] * 300_000])
    began = time.process_time()
    assert len(jsontext.load(text)) == 300_001
    assert time.process_time() - began < 0.5
