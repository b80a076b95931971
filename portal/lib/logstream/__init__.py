"""The log of one attempt: written to a stream, archived at its end, read the same way from both. See docs/logs.md.

It knows kinds, ids and attempts, nothing about jobs, builds or who may read what.
"""

from portal.lib.logstream.archive import archive, delete
from portal.lib.logstream.entries import CHANNELS, END, GAP, Entry, unfinished_character
from portal.lib.logstream.read import entry_at, exists, position, read, read_batches, text
from portal.lib.logstream.stream import close_readers, closing
from portal.lib.logstream.write import LogEnded, LogRewound, LogWriter

__all__ = [
    "CHANNELS",
    "END",
    "GAP",
    "Entry",
    "LogEnded",
    "LogRewound",
    "LogWriter",
    "archive",
    "close_readers",
    "closing",
    "delete",
    "entry_at",
    "exists",
    "position",
    "read",
    "read_batches",
    "text",
    "unfinished_character",
]
