"""What a log consists of: entries, their ids, and the rules of line numbers. Pure: no broker, no storage."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self
from uuid import UUID

import orjson

CHANNELS = ("out", "err", "system")
END = "end"
GAP = "gap"
ENTRY_MAX_BYTES = 64 * 1024
DIGITS_MAX = 40  # Python reads no number of thousands of digits
LINES_MAX = 2**63  # no id of a stream may have larger parts


class LogName(NamedTuple):
    """Which log: of what kind of thing, of which, and of which attempt at it."""

    kind: str
    id: UUID | str
    attempt: int

    @property
    def key(self) -> str:
        return f"log:{self.kind}:{self.id}:{self.attempt}"

    @property
    def folder(self) -> str:
        return f"logs/{self.kind}/{self.id}/{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A piece of one channel, or an event on the channel ``system`` whose data is a JSON object.

    ``id`` is the position in the log behind this entry: ``<bytes so far>-<number of the line that begins next>``.
    """

    id: str
    at: int  # milliseconds since 1970
    channel: str
    line: int  # the number of the first line in ``data``, which goes on with it where the line was begun before
    offset: int  # of ``data`` in its channel
    data: bytes
    event: str = ""

    def values(self) -> dict[str, Any]:
        """What an event says."""
        return dict(orjson.loads(self.data))


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two entries: what an id says."""

    position: int = 0
    line: int = 1

    @classmethod
    def of(cls, entry_id: str) -> Self:
        """The place behind the entry ``entry_id``; the beginning for anything that is no id."""
        position, _, line = entry_id.partition("-")
        if not (position.isascii() and position.isdigit() and line.isascii() and line.isdigit()):
            return cls()
        if max(len(position), len(line)) > DIGITS_MAX:
            return cls(LINES_MAX, LINES_MAX)
        return cls(min(int(position), LINES_MAX), min(int(line), LINES_MAX))

    @classmethod
    def end_of(cls, position: int) -> Self:
        """Behind everything that ends at ``position``."""
        return cls(position, LINES_MAX)

    def __str__(self) -> str:
        # The broker's own name for the beginning of an empty stream.
        return f"{self.position}-{self.line}" if self.position else "0-0"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a log stands. Every entry carries it, so that a successor goes on where its predecessor stopped."""

    cursor: Cursor = Cursor()
    offsets: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(CHANNELS, 0))
    open_lines: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(CHANNELS, 0))  # 0: none begun
    head: int = 0  # the position where the head that is always kept ends; 0 while nothing had to go
    ended: bool = False

    def pack(self) -> str:
        """What cannot be told from the id."""
        numbers = [*(self.offsets[name] for name in CHANNELS), *(self.open_lines[name] for name in CHANNELS), self.head]
        return " ".join(map(str, numbers))

    @classmethod
    def unpack(cls, *, entry_id: str, packed: str, event: str) -> Self:
        """The state behind the entry ``entry_id``."""
        numbers = [int(number) for number in packed.split(" ")]
        return cls(
            cursor=Cursor.of(entry_id),
            offsets=dict(zip(CHANNELS, numbers[:3], strict=True)),
            open_lines=dict(zip(CHANNELS, numbers[3:6], strict=True)),
            head=numbers[6],
            ended=event == END,
        )

    def after(self, *, channel: str, data: bytes, at: int) -> tuple[Entry, Self]:
        """``data`` as one entry, and the state behind it. Lines get their numbers in the order in which they begin."""
        line = self.open_lines[channel] or self.cursor.line
        touched = data.count(b"\n") + (not data.endswith(b"\n"))
        cursor = Cursor(self.cursor.position + len(data), max(self.cursor.line, line + touched))
        entry = Entry(id=str(cursor), at=at, channel=channel, line=line, offset=self.offsets[channel], data=data)
        still_open = 0 if data.endswith(b"\n") else line + touched - 1
        return entry, replace(
            self,
            cursor=cursor,
            offsets={**self.offsets, channel: self.offsets[channel] + len(data)},
            open_lines={**self.open_lines, channel: still_open},
        )

    def after_event(self, name: str, *, data: bytes, at: int) -> tuple[Entry, Self]:
        """An event as an entry, and the state behind it. Events have no line and move no channel."""
        cursor = Cursor(self.cursor.position + len(data), self.cursor.line)
        entry = Entry(
            id=str(cursor),
            at=at,
            channel="system",
            line=cursor.line,
            offset=self.offsets["system"],
            data=data,
            event=name,
        )
        return entry, replace(self, cursor=cursor, ended=name == END)

    def pieces(self, channel: str, data: bytes) -> Iterator[bytes]:
        """``data`` in pieces of one entry each, cut behind newlines where possible and never in a character.

        A line that others interrupted gets its rest in a piece of its own, so the lines of an entry are consecutive.
        """
        line = self.open_lines[channel]
        begin = data.find(b"\n") + 1 if line and line != self.cursor.line - 1 else 0
        if begin:
            yield from _slices(data[:begin])
        yield from _slices(data[begin:])


def with_gaps(cursor: Cursor, entries: Iterable[Entry]) -> Iterator[Entry]:
    """``entries`` as a reader at ``cursor`` gets them: where some are missing, an event ``gap`` says how much.

    The gap is told from the ids alone, so a stream and its archive tell the same.
    """
    for entry in entries:
        begin = Cursor(Cursor.of(entry.id).position - len(entry.data), max(cursor.line, entry.line))
        if begin.position > cursor.position:
            missing = {"bytes": begin.position - cursor.position, "lines": begin.line - cursor.line}
            yield Entry(
                id=str(begin),
                at=entry.at,
                channel="system",
                line=cursor.line,
                offset=0,
                data=orjson.dumps(missing),
                event=GAP,
            )
        yield entry
        cursor = Cursor.of(entry.id)


def unfinished_character(data: bytes) -> int:
    """How many bytes at the end of ``data`` begin a UTF-8 sequence that goes on behind it."""
    for length in range(1, min(3, len(data)) + 1):
        byte = data[-length]
        if byte & 0b1100_0000 != 0b1000_0000:  # no continuation byte: an ASCII one or the first of a sequence
            needed = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
            return length if needed > length else 0
    return 0


def _slices(data: bytes) -> Iterator[bytes]:
    begin = 0
    while len(data) - begin > ENTRY_MAX_BYTES:
        end = data.rfind(b"\n", begin, begin + ENTRY_MAX_BYTES) + 1
        if not end:
            end = begin + ENTRY_MAX_BYTES
            end -= unfinished_character(data[end - 4 : end])
        yield data[begin:end]
        begin = end
    if begin < len(data):
        yield data[begin:]
