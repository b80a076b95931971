"""Secrets in what a job prints."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import masking
from jobs.masking import Masks


def carried(output, masks, *, cuts):
    """What a log gets of ``output`` that grows by ``cuts``, where every carry goes on at the offset of the log."""
    written = b""
    for end in [*sorted(cuts), len(output), len(output)]:
        has_ended = end == len(output)
        begin = max(0, len(written) - masks.reach)
        written += masks.hide(output[begin:end], is_end=has_ended)[len(written) - begin :]
    return written


WORDS = st.sampled_from(
    ["abab", "ababab", "baba", "secret", "crets", "s3cr3t/+=", "ümlaut", "aaaa", "two\nlines of it"]
)
TEXTS = st.lists(WORDS | st.sampled_from(["a", "b", "ab", " ", "\n", "sec", "xyz"]), max_size=12).map("".join)


@settings(max_examples=400, deadline=None)
@given(values=st.lists(WORDS, min_size=1, max_size=3), text=TEXTS, cuts=st.lists(st.integers(0, 80), max_size=8))
def test_no_value_passes_however_the_output_comes(values, text, cuts):
    masks, output = Masks.of(values), text.encode()
    whole = masks.hide(output, is_end=True)
    assert len(whole) == len(output)
    assert whole.count(b"\n") == output.count(b"\n")
    for value in values:
        assert value.encode() not in whole
    assert carried(output, masks, cuts=[min(cut, len(output)) for cut in cuts]) == whole


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, at=st.integers(0, 80))
def test_a_successor_goes_on_in_the_middle_of_a_value(text, at):
    masks, output = Masks.of(["secret", "ababab"]), text.encode()
    at = min(at, len(output))
    begin = max(0, at - masks.reach)
    assert masks.hide(output[begin:], is_end=True)[at - begin :] == masks.hide(output, is_end=True)[at:]


@pytest.mark.parametrize(
    "form",
    [
        lambda value: value,
        json.dumps,
        lambda value: json.dumps({"token": value}, ensure_ascii=False),
        lambda value: base64.b64encode(value.encode()).decode(),
        lambda value: base64.b64encode(b"user:" + value.encode() + b"@host").decode(),
        lambda value: base64.urlsafe_b64encode(b"a" + value.encode()).decode(),
        lambda value: f"https://host/?token={quote(value, safe='')}&x=1",
        lambda value: quote(value),
    ],
)
def test_the_forms_in_which_a_value_is_printed(form):
    value = 'Pä$$w/rd+"7 &ü?'
    shown = Masks.of([value]).text(form(value))
    assert value not in shown
    assert shown.count("*") >= len(value)


def test_short_values_are_in_every_second_word_and_stay():
    assert not Masks.of(["", "a", "123"])
    assert Masks.of(["1234", "123"]).text("123 1234") == "123 ****"


def test_the_lines_of_a_long_value_are_hidden_one_by_one():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nshort\n-----END KEY-----\n"
    shown = Masks.of([key]).text("it was MIIEvQIBADANBgkq, and short")
    assert shown == "it was ****************, and short"


def test_where_the_values_are_unknown_nothing_is_shown_but_the_lines():
    assert masking.EVERYTHING.hide("a ü\nb\r\n".encode(), is_end=False) == b"****\n*\r\n"
    assert masking.EVERYTHING


def test_what_nobody_waits_for_is_not_held_back():
    masks = Masks.of(["secret-of-mine"])
    assert masks.hide(b"a line\n", is_end=False) == b"a line\n"
    assert masks.hide(b"a line\nsecret-o", is_end=False) == b"a line\n"


def test_no_value_makes_its_log_take_long() -> None:
    """Each of these took minutes or more, with one piece of the log."""
    piece = b"a" * (256 * 1024)
    assert Masks.of(["a" * 65_536]).hide(piece, is_end=True) == b"*" * len(piece)
    late = (b"a" * 59_000 + b"c") * 5
    assert Masks.of(["a" * 60_000 + "b"]).hide(late, is_end=True) == late
    values = ["\n".join(f"line {number} of {value}" for number in range(3_000)) for value in range(8)]
    assert len(Masks.of(values).forms) < 3_000
    assert Masks.of(values).text("line 7 of 0, line 2999 of 7") == "***********, line 2999 of 7"


def test_places_that_overlap_are_hidden_to_their_end() -> None:
    assert Masks.of(["abcab"]).text("xabcabcabcabx abcabx") == "x***********x *****x"
