"""The rules of line numbers, cuts and gaps, on every chunking that hypothesis finds."""

from hypothesis import given
from hypothesis import strategies as st

from portal.lib.logstream.entries import (
    ENTRY_MAX_BYTES,
    Cursor,
    Entry,
    State,
    unfinished_character,
    with_gaps,
)

texts = st.text(alphabet="ab\né\N{EURO SIGN}\N{GRINNING FACE}", max_size=12)
writes = st.lists(st.tuples(st.sampled_from(["out", "err", "system"]), texts), max_size=20)


def entries_of(written: list[tuple[str, bytes]]) -> list[Entry]:
    state, entries = State(), []
    for channel, data in written:
        for piece in state.pieces(channel, data):
            entry, state = state.after(channel=channel, data=piece, at=0)
            entries.append(entry)
    return entries


def lines_of(entries: list[Entry]) -> dict[int, tuple[str, bytes]]:
    """Each line by its number, put together as a page does it."""
    lines: dict[int, tuple[str, bytes]] = {}
    for entry in entries:
        for number, part in enumerate(entry.data.splitlines(keepends=True), entry.line):
            channel, begin = lines.get(number, (entry.channel, b""))
            assert channel == entry.channel, "two channels share a line number"
            lines[number] = (channel, begin + part)
    return lines


@given(writes)
def test_every_line_has_one_number_in_the_order_in_which_lines_begin(written: list[tuple[str, str]]) -> None:
    lines = lines_of(entries_of([(channel, text.encode()) for channel, text in written]))
    assert list(lines) == list(range(1, len(lines) + 1))
    for name in ("out", "err", "system"):
        whole = b"".join(data for channel, data in lines.values() if channel == name)
        assert whole == "".join(text for channel, text in written if channel == name).encode()
        complete = [data for channel, data in lines.values() if channel == name]
        assert all(data.count(b"\n") == 1 and data.endswith(b"\n") for data in complete[:-1])


@given(writes)
def test_a_state_survives_packing(written: list[tuple[str, str]]) -> None:
    state = State(head=7)
    for channel, text in written:
        for piece in state.pieces(channel, text.encode()):
            entry, state = state.after(channel=channel, data=piece, at=0)
            assert State.unpack(entry_id=entry.id, packed=state.pack(), event="") == state


def test_a_line_that_another_channel_interrupts_keeps_its_number() -> None:
    entries = entries_of([("out", b"begun, "), ("err", b"warning\n"), ("out", b"ended\nnext\n")])
    assert [(entry.channel, entry.line, entry.data) for entry in entries] == [
        ("out", 1, b"begun, "),
        ("err", 2, b"warning\n"),
        ("out", 1, b"ended\n"),
        ("out", 3, b"next\n"),
    ]


def test_what_is_long_is_cut_behind_newlines() -> None:
    data = b"".join(b"%07d\n" % number for number in range(40_000))
    pieces = list(State().pieces("out", data))
    assert b"".join(pieces) == data
    assert all(piece.endswith(b"\n") and len(piece) <= ENTRY_MAX_BYTES for piece in pieces)


def test_a_long_line_is_cut_between_characters() -> None:
    data = b"x" + "\N{GRINNING FACE}".encode() * 40_000
    pieces = list(State().pieces("out", data))
    assert "".join(piece.decode() for piece in pieces).encode() == data
    assert all(len(piece) <= ENTRY_MAX_BYTES for piece in pieces)


@given(st.text(max_size=5), st.integers(0, 3))
def test_an_unfinished_character_is_what_decoding_would_trip_over(text: str, cut: int) -> None:
    data = text.encode()
    data = data[: len(data) - cut]
    keep = len(data) - unfinished_character(data)
    assert data[:keep].decode(errors="strict") == data.decode(errors="ignore")


def test_bytes_that_are_no_utf8_are_nobodys_unfinished_character() -> None:
    assert unfinished_character(b"\xff") == 0
    assert unfinished_character(b"\x80\x80\x80\x80") == 0


@given(writes, st.data())
def test_a_gap_says_what_is_missing_and_only_that(written: list[tuple[str, str]], data: st.DataObject) -> None:
    entries = entries_of([(channel, text.encode()) for channel, text in written])
    kept = [entry for entry in entries[:-1] if data.draw(st.booleans())] + entries[-1:]
    told = list(with_gaps(Cursor(), kept))
    missing = sum(entry.values()["bytes"] for entry in told if entry.event == "gap")
    assert missing + sum(len(entry.data) for entry in kept) == sum(len(entry.data) for entry in entries)
    assert [entry for entry in told if not entry.event] == kept
    positions = [Cursor.of(entry.id) for entry in told]
    assert positions == sorted(positions, key=lambda cursor: cursor.position)
    # Whoever goes on from any id, that of a gap too, gets the same.
    for count, entry in enumerate(told, 1):
        behind = [other for other in kept if Cursor.of(other.id).position > Cursor.of(entry.id).position]
        assert [other.id for other in with_gaps(Cursor.of(entry.id), behind)] == [other.id for other in told[count:]]


def test_what_is_no_id_is_the_beginning() -> None:
    for foreign in ("", "-", "12", "a-b", "1-2-3", "-1-5", "²-1"):
        assert Cursor.of(foreign) == Cursor()
    assert Cursor.of("9" * 40 + "-1").position < 2**64
    assert Cursor.of("9" * 9000 + "-1").position < 2**64
