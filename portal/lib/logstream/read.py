"""Reading a log, from its stream or its archive: the same entries with the same ids, from any place in it."""

from collections.abc import Iterator
from enum import Enum, auto
from uuid import UUID

from redis.exceptions import RedisError

from portal.lib.logstream import segments
from portal.lib.logstream.entries import END, GAP, Cursor, Entry, LogName, with_gaps
from portal.lib.logstream.stream import Stream, closing

PAGE_ENTRIES = 64  # at most 4 MiB
BROKER_RETRY_SECONDS = 1.0


class Found(Enum):
    """What a look at the stream found."""

    ENTRIES = auto()
    NOTHING = auto()
    END = auto()
    ARCHIVE = auto()


def read(
    kind: str, id: UUID | str, attempt: int, after: str = "", block_seconds: float | None = None
) -> Iterator[Entry | None]:
    """The entries behind the id ``after``, up to ``end``.

    Without ``block_seconds``, it stops where nothing more is there. With it, it follows the log, and yields None
    whenever nothing came for that long, or the broker is away.
    """
    for page in read_batches(kind, id, attempt, after=after, block_seconds=block_seconds):
        if page:
            yield from page
        else:
            yield None


def read_batches(
    kind: str, id: UUID | str, attempt: int, *, after: str = "", block_seconds: float | None = None
) -> Iterator[list[Entry]]:
    """What `read` yields, in lists as they come; an empty one where `read` yields None."""
    name, cursor, block = LogName(kind, id, attempt), Cursor.of(after), None
    while not closing.is_set():
        try:
            found, entries = _look(name, cursor, block)
        except RedisError:
            if block_seconds is None:
                raise
            yield []
            closing.wait(min(block_seconds, BROKER_RETRY_SECONDS))
            continue
        if found is Found.ARCHIVE:
            yield from _archived(name, cursor)
            return
        if entries:
            yield list(with_gaps(cursor, entries))
            cursor = Cursor.of(entries[-1].id)
        elif block is not None and found is Found.NOTHING:
            yield []
        if found is Found.END or (block_seconds is None and not entries):
            return
        if block_seconds is not None and not entries:
            block = block_seconds  # only now: an archived log has no stream to wait for


def exists(kind: str, id: UUID | str, attempt: int) -> bool:
    """Whether anything was ever written."""
    name = LogName(kind, id, attempt)
    return Stream(name.key).exists() or segments.is_archived(name)


def position(kind: str, id: UUID | str, attempt: int) -> str:
    """The id of the last entry in the stream, to follow from there on; empty where there is none."""
    last = Stream(LogName(kind, id, attempt).key).last()
    return last.entry.id if last else ""


def text(kind: str, id: UUID | str, attempt: int) -> Iterator[bytes]:
    """What was written so far, all channels in the order in which they came; a gap as a line in brackets."""
    at_line_start = True
    for page in read_batches(kind, id, attempt):
        parts: list[bytes] = []
        for entry in page:
            if entry.event == GAP:
                missing = entry.values()
                note = f"[{missing['bytes']:,} bytes, about {missing['lines']:,} lines, were left out here]\n"
                parts.append((b"" if at_line_start else b"\n") + note.encode())
                at_line_start = True
            elif not entry.event:
                parts.append(entry.data)
                at_line_start = entry.data.endswith(b"\n")
        if parts:
            yield b"".join(parts)


def entry_at(kind: str, id: UUID | str, attempt: int, entry_id: str) -> Entry | None:
    """The entry with exactly this id, if it is still kept."""
    name, cursor = LogName(kind, id, attempt), Cursor.of(entry_id)
    if not cursor.position:
        return None
    if found := Stream(name.key).at(cursor):
        return found
    page = next(segments.pages(name, after=Cursor(cursor.position - 1)), [])
    return page[0] if page and page[0].id == entry_id else None


def _look(name: LogName, cursor: Cursor, block: float | None) -> tuple[Found, list[Entry]]:
    """What is behind ``cursor``; waits ``block`` seconds for it. Only a look that does not wait looks for the end."""
    stream = Stream(name.key)
    try:
        if entries := stream.wait(cursor, count=PAGE_ENTRIES, seconds=block):
            return (Found.END if entries[-1].event == END else Found.ENTRIES), entries
        if stream.exists():
            return (Found.END if block is None and _is_behind_the_end(stream, cursor) else Found.NOTHING), []
    except RedisError:
        if not closing.is_set() and segments.is_archived(name):
            return Found.ARCHIVE, []
        raise
    except (OSError, ValueError, AttributeError):
        # A connection that is closed under a reader, because this process ends, breaks in many ways.
        if closing.is_set():
            return Found.NOTHING, []
        raise
    return (Found.ARCHIVE if segments.is_archived(name) else Found.NOTHING), []


def _is_behind_the_end(stream: Stream, cursor: Cursor) -> bool:
    """Whether nothing comes any more. What came since the reader looked, it has still to read."""
    last = stream.last()
    return last is not None and last.entry.event == END and cursor.position >= Cursor.of(last.entry.id).position


def _archived(name: LogName, cursor: Cursor) -> Iterator[list[Entry]]:
    for page in segments.pages(name, after=cursor):
        yield list(with_gaps(cursor, page))
        cursor = Cursor.of(page[-1].id)
