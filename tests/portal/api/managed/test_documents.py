"""A result and our members in one object."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.api.managed import documents

OURS = {"_embedded": {"status": 1}, "_links": {"self": 2}}
NAMES = st.text() | st.sampled_from(list(OURS))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(list(OURS)), inner, max_size=3)
    ),
    max_leaves=10,
)


def in_pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def expected(value):
    return (value if isinstance(value, dict) else {"result": value}) | OURS


@given(value=JSON, indent=st.sampled_from([None, 2]), size=st.integers(1, 9))
def test_the_value_is_kept_and_ours_win(value, indent, size):
    text = b"\n " + json.dumps(value, indent=indent).encode() + b" \r\n\t"
    assert json.loads(documents.merge(text, OURS)) == expected(value)
    assert json.loads(b"".join(documents.merge_large(in_pieces(text, size), OURS))) == expected(value)
    assert json.loads(documents.wrap(text, {"metadata": None})) == {"result": value, "metadata": None}
    wrapped = b"".join(documents.wrap_large(in_pieces(text, size), {"metadata": None}))
    assert json.loads(wrapped) == {"result": value, "metadata": None}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"NaN", b'{"a": Infinity}', b"\xff", b'{"a":1}}', b"[" * 100_000, '{"a":1}'.encode("utf-16")]
)
def test_a_text_that_is_no_json_adds_nothing(text):
    assert json.loads(documents.merge(text, OURS)) == OURS
    assert json.loads(documents.wrap(text, {"metadata": None})) == {"result": None, "metadata": None}


@pytest.mark.parametrize("text", [b'{"a": 1.10, "b": 1e400}', b'{"a": "\\ud800"}', b"\xef\xbb\xbf{}", b"{ \n }"])
def test_not_a_digit_is_touched(text):
    merged = documents.merge(text, OURS)
    assert text.removeprefix(b"\xef\xbb\xbf").rstrip(b"} \n") in merged
    assert json.loads(merged) == json.loads(text.decode("utf-8-sig")) | OURS
    assert json.loads(b"".join(documents.merge_large(in_pieces(text, 64), OURS))) == json.loads(merged)


@pytest.mark.parametrize("depth", [900, 1000, 1015])
def test_however_deep_it_is_there_is_an_answer(depth):
    merged = documents.merge(b'{"_links":1,"a":' + b"[" * depth + b"]" * depth + b"}", OURS)
    assert merged.endswith(b'{"status":1},"_links":{"self":2}}')
