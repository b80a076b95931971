"""Moving an ended log from its stream to storage. A crash at any moment leaves a complete log."""

from collections.abc import Iterator
from uuid import UUID

from portal.lib.logstream import segments
from portal.lib.logstream.entries import Cursor, LogName
from portal.lib.logstream.stream import Stored, Stream
from portal.lib.logstream.write import LogWriter

# How long the stream outlives the archiving: readers that follow it drain it, and storage reaches its disk.
DRAIN_SECONDS = 600
PAGE_ENTRIES = 64


def archive(kind: str, id: UUID | str, attempt: int) -> None:
    """Move a log to storage, ending it where nobody did, and let its stream expire. Twice is no error."""
    name = LogName(kind, id, attempt)
    stream = Stream(name.key)
    if not stream.exists():
        return  # archived long ago, or never begun
    if not segments.is_archived(name):
        LogWriter(kind, id, attempt).close()
        segments.store(name, _whole(stream))
    stream.expire(DRAIN_SECONDS)


def delete(kind: str, id: UUID | str, attempt: int) -> None:
    """Remove a log, wherever it is."""
    name = LogName(kind, id, attempt)
    Stream(name.key).remove()
    segments.delete(name)


def _whole(stream: Stream) -> Iterator[Stored]:
    cursor = Cursor()
    while page := stream.behind(cursor, count=PAGE_ENTRIES):
        yield from page
        cursor = Cursor.of(page[-1].entry.id)
