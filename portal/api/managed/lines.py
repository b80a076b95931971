"""A log as lines with a severity. A place in it is named so that nobody who comes again misses or repeats a line."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from portal.lib.logstream import END, GAP, Entry
from portal.lib.logstream.entries import Cursor

# A line without an end, such as a progress bar, is cut after this many bytes of the log.
OPEN_LINE_MAX_BYTES = 256 * 1024

LEVEL = re.compile(r"\b(?:TRACE|DEBUG|INFO|SUCCESS|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b")
LEVEL_WITHIN_CHARACTERS = 100  # behind a date, a name and a place; further on it is a word of the message
SEVERITIES = {
    "TRACE": "DEBUG",
    "SUCCESS": "INFO",
    "WARN": "WARNING",
    "CRITICAL": "ERROR",
    "FATAL": "ERROR",
}
SEVERITY_OF_CHANNEL = {"out": "INFO", "err": "ERROR", "system": "NOTICE"}


class Place(NamedTuple):
    """Behind a line: the attempt, the bytes of its log so far, and where the oldest line begins that is still open.

    As text `<attempt>-<bytes>` or `<attempt>-<bytes>-<begin>`: the id of a line.
    """

    attempt: int
    position: int
    begin: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The place that ``text`` names; None if it is no id of a line."""
        if not (found := re.fullmatch(r"(\d{1,5})-(\d{1,18})(?:-(\d{1,18}))?", text, re.ASCII)):
            return None
        attempt, position, begin = found.groups()
        return cls(int(attempt), int(position), min(int(begin or position), int(position)))

    def __str__(self) -> str:
        known = f"{self.attempt}-{self.position}"
        return known if self.begin == self.position else f"{known}-{self.begin}"

    @property
    def after(self) -> str:
        """The id behind which the log has to be read again."""
        return str(Cursor.end_of(self.begin)) if self.begin else ""


@dataclass(slots=True)
class _Open:
    """A line that was begun and has no end yet."""

    begin: int
    parts: list[bytes] = field(default_factory=list)


class Lines:
    """Puts the pieces of one log together to lines. What is before ``start`` was told already."""

    def __init__(self, start: Place) -> None:
        self._start = start
        self._open: dict[str, _Open] = {}
        self._end = (start.position, "")  # of what was read so far, and its time

    def of(self, entries: Iterable[Entry]) -> list[dict[str, Any]]:
        """The lines that ``entries`` complete, in the order of their ends."""
        return [line for entry in entries for line in self._of(entry)]

    def rest(self) -> list[dict[str, Any]]:
        """What was begun, for a log to which nothing more comes."""
        return list(self._cut())

    def _of(self, entry: Entry) -> Iterator[dict[str, Any]]:
        self._end = end, time = Cursor.of(entry.id).position, _time(entry.at)
        if not entry.event:
            yield from self._split(entry, end, time)
            yield from self._cut(began_before=end - OPEN_LINE_MAX_BYTES)
        elif entry.event in (END, GAP):
            yield from self._cut()
        if entry.event == GAP and end > self._start.position:
            missing = entry.values()
            note = f"{missing['bytes']:,} bytes, about {missing['lines']:,} lines, were left out here."
            yield self._line(end, time, "WARNING", note)

    def _split(self, entry: Entry, end: int, time: str) -> Iterator[dict[str, Any]]:
        position = end - len(entry.data)
        skipped = max(0, self._start.begin - position)
        position += skipped
        *ends, rest = entry.data[skipped:].split(b"\n")
        unfinished = self._open.pop(entry.channel, None)
        for piece in ends:
            begin, position = position, position + len(piece) + 1
            if unfinished:
                begin, piece, unfinished = unfinished.begin, b"".join((*unfinished.parts, piece)), None
            if self._is_news(begin, position):
                yield self._told(position, time, entry.channel, piece)
        if unfinished or rest:
            unfinished = unfinished or _Open(position)
            unfinished.parts.append(rest)
            self._open[entry.channel] = unfinished

    def _cut(self, *, began_before: int | None = None) -> Iterator[dict[str, Any]]:
        """Take lines that have no end for whole ones: all, or those that began too long ago."""
        position, time = self._end
        for channel, line in sorted(self._open.items(), key=lambda item: item[1].begin):
            if began_before is None or line.begin < began_before:
                del self._open[channel]
                if self._is_news(line.begin, position):
                    yield self._told(position, time, channel, b"".join(line.parts))

    def _is_news(self, begin: int, position: int) -> bool:
        # The line that was open at the start was not told, although another one ended behind its beginning.
        start = self._start
        return position > start.position or begin == start.begin < start.position

    def _told(self, position: int, time: str, channel: str, line: bytes) -> dict[str, Any]:
        message = line.removesuffix(b"\r").decode("utf-8", "replace")
        level = LEVEL.search(message, 0, LEVEL_WITHIN_CHARACTERS)
        severity = SEVERITIES.get(level[0], level[0]) if level else SEVERITY_OF_CHANNEL[channel]
        return self._line(position, time, severity, message)

    def _line(self, position: int, time: str, severity: str, message: str) -> dict[str, Any]:
        oldest = min((line.begin for line in self._open.values()), default=position)
        place = Place(self._start.attempt, position, oldest)
        return {"id": str(place), "timestamp": time, "severity": severity, "message": message}


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
