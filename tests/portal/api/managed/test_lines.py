"""A log as lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.api.managed import lines
from portal.api.managed.lines import Lines, Place
from portal.lib.logstream import END
from portal.lib.logstream.entries import Cursor, State, with_gaps


def log(*pieces, end=True):
    """The entries of a log with ``pieces``: (channel, bytes)."""
    state, entries = State(), []
    for number, (channel, data) in enumerate(pieces):
        for piece in state.pieces(channel, data):
            entry, state = state.after(channel=channel, data=piece, at=1_700_000_000_000 + number)
            entries.append(entry)
    if end:
        entries.append(state.after_event(END, data=b"{}", at=1_700_000_001_000)[0])
    return entries


def read(entries, start=None):
    """All lines behind ``start``, as a reader of the stream gets them."""
    start = start or Place(1, 0, 0)
    behind = Cursor.of(start.after)
    return Lines(start).of(with_gaps(behind, (e for e in entries if Cursor.of(e.id).position > behind.position)))


def messages(entries, start=None):
    return [line["message"] for line in read(entries, start)]


def test_lines_in_the_order_of_their_ends():
    entries = log(("out", b"one\ntw"), ("err", b"oops\r\n"), ("out", b"o\n\n"), ("err", b"rest"))
    assert read(entries) == [
        {"id": "1-4", "timestamp": "2023-11-14T22:13:20.000Z", "severity": "INFO", "message": "one"},
        {"id": "1-12-4", "timestamp": "2023-11-14T22:13:20.001Z", "severity": "ERROR", "message": "oops"},
        {"id": "1-14", "timestamp": "2023-11-14T22:13:20.002Z", "severity": "INFO", "message": "two"},
        {"id": "1-15", "timestamp": "2023-11-14T22:13:20.002Z", "severity": "INFO", "message": ""},
        {"id": "1-21", "timestamp": "2023-11-14T22:13:21.000Z", "severity": "ERROR", "message": "rest"},
    ]


def test_what_has_no_end_yet_waits_for_it():
    entries = log(("out", b"one\ntwo"), end=False)
    assert messages(entries) == ["one"]
    reader = Lines(Place(1, 0, 0))
    reader.of(entries)
    assert [line["message"] for line in reader.rest()] == ["two"]


@pytest.mark.parametrize(
    ("channel", "text", "severity"),
    [
        ("out", "2026-01-01 10:00:00.123 | WARNING  | program:run:7 - hm", "WARNING"),
        ("err", "INFO:root:started", "INFO"),
        ("err", "2026-01-01 - module - CRITICAL - gone", "ERROR"),
        ("out", "[DEBUG] x", "DEBUG"),
        ("out", "| SUCCESS | x", "INFO"),
        ("err", "ValueError: no values", "ERROR"),
        ("out", "an error, in a sentence", "INFO"),
        ("out", "INFORMATION", "INFO"),
        ("out", "x" * 200 + " ERROR", "INFO"),
        ("system", "The job was taken up again", "NOTICE"),
    ],
)
def test_severity(channel, text, severity):
    assert read(log((channel, text.encode() + b"\n")))[0]["severity"] == severity


def test_bytes_that_are_no_text():
    assert messages(log(("out", b"\xff\x00a\n"))) == ["\ufffd\x00a"]


def test_a_line_without_an_end_is_cut(monkeypatch):
    monkeypatch.setattr(lines, "OPEN_LINE_MAX_BYTES", 10)
    entries = log(("err", b"busy"), ("out", b"one\n"), ("out", b"another\n"), ("out", b"z" * 25), ("err", b"!\n"))
    assert messages(entries) == ["one", "another", "busy", "z" * 25, "!"]


def test_a_gap_is_told():
    first, *_, last, end = log(*(("out", b"line %d\n" % number) for number in range(5)))
    assert [(line["severity"], line["message"]) for line in read([first, last, end])] == [
        ("INFO", "line 0"),
        ("WARNING", "21 bytes, about 3 lines, were left out here."),
        ("INFO", "line 4"),
    ]
    assert messages([first, last, end], Place.parse(read([first, last, end])[1]["id"])) == ["line 4"]


def told(line):
    """A line without its id, which may name a place that is farther back than need be."""
    return line["timestamp"], line["severity"], line["message"]


PIECES = st.lists(st.tuples(st.sampled_from(["out", "err"]), st.text("ab\n", min_size=1, max_size=6)), max_size=12)


@given(pieces=PIECES)
def test_from_any_line_the_others_follow(pieces):
    entries = log(*((channel, text.encode()) for channel, text in pieces))
    whole = read(entries)
    for number, line in enumerate(whole):
        following = read(entries, Place.parse(line["id"]))
        assert [told(line) for line in following] == [told(line) for line in whole[number + 1 :]]


@pytest.mark.parametrize("text", ["", "x", "1", "1-", "-1", "1-2-", "1-2-3-4", "٣-1", "1-" + "9" * 30, "1.0-2"])
def test_what_names_no_place(text):
    assert Place.parse(text) is None


def test_a_place_as_text():
    for text in ("1-0", "1-12", "2-12-7"):
        assert str(Place.parse(text)) == text
