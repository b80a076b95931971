"""Moving an ended log from its stream to storage. A crash at any moment leaves a complete log."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from portal.lib.logstream import segments
from portal.lib.logstream.entries import END, Cursor, LogName
from portal.lib.logstream.stream import Stored, Stream
from portal.lib.logstream.write import LogWriter

# How long the stream outlives the archiving: readers that follow it drain it, and storage reaches its disk.
DRAIN_SECONDS = 600
PAGE_ENTRIES = 64


def archive(kind: str, id: UUID | str, attempt: int) -> Mapping[str, int]:
    """Move a log to storage, ending it where nobody did, and let its stream expire. Twice is no error.

    How many bytes of each channel storage has then: nothing where there was no log, or no broker to remember it.
    """
    name = LogName(kind, id, attempt)
    stream = Stream(name.key)
    state = segments.final_state(name)
    is_new = state is None
    if is_new and (last := stream.last()) is not None:
        if last.entry.event != END:
            LogWriter(kind, id, attempt).close()
        state = segments.store(name, _whole(stream))
    if state is None:
        return {}
    stream.expire(DRAIN_SECONDS, is_new=is_new)
    return state.offsets


def delete(kind: str, id: UUID | str, attempt: int) -> None:
    """Remove a log, wherever it is."""
    name = LogName(kind, id, attempt)
    Stream(name.key).remove()
    segments.delete(name)


def _whole(stream: Stream) -> Iterator[Stored]:
    cursor = Cursor()
    while page := stream.behind(cursor, count=PAGE_ENTRIES):
        yield from page
        if len(page) < PAGE_ENTRIES:
            break
        cursor = Cursor.of(page[-1].entry.id)
