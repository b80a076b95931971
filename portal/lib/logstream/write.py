"""Writing a log. Acknowledged means that the stream has it; what was not acknowledged, the caller offers again."""

import threading
import time
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from redis.exceptions import ConnectionError as BrokerAway
from redis.exceptions import RedisError

from portal.lib.logstream import segments
from portal.lib.logstream.entries import CHANNELS, END, Cursor, Entry, LogName, State
from portal.lib.logstream.stream import Stored, Stream

# Memory of the broker that an entry costs beside its bytes (about 100) must stay within the order of the cap.
ENTRIES_MAX = 500_000
ENTRIES_AT_A_TIME = 16  # at most 1 MiB, so that no append keeps the broker from others for long
TRIM_PAGE_BYTES = 4 * 1024 * 1024


class LogRewound(BrokerAway):
    """The broker lost the end of the log. `offsets()` tells from where to offer it again."""


class LogEnded(Exception):
    """Output for a log that has its ``end`` already."""


class LogWriter:
    """The writer of one log. One at a time writes; a successor begins where the stream ends. Safe for threads.

    The broker being away, refusing or too slow shows as redis.exceptions.ConnectionError: nothing has advanced, and
    the same call may be made again.
    """

    def __init__(self, kind: str, id: UUID | str, attempt: int) -> None:
        self._name = LogName(kind, id, attempt)
        self._stream = Stream(self._name.key)
        self._lock = threading.RLock()
        self._state: State | None = None  # None: to be read from the stream
        self._count = 0  # entries in the stream
        self._tail = 0  # position where the tail that is kept begins
        self._acknowledged: dict[str, int] = {}
        self._uncertain: Entry | None = None  # the event whose answer never came

    def offsets(self) -> dict[str, int]:
        """For each channel, the offset of the byte that the log wants next."""
        with self._lock:
            if self._state is not None and self._state.ended:
                self._state = None  # who asks behind the end has reason to doubt that the broker still has it
            self._acknowledged = dict(self._known().offsets)
            return dict(self._acknowledged)

    def write(self, channel: str, data: bytes, *, offset: int | None = None) -> None:
        """Append ``data``, which goes on where the last acknowledged write of ``channel`` ended, or is at ``offset``.

        Bytes that the log has already are skipped.
        """
        if channel not in CHANNELS:
            raise ValueError(f"{channel!r} is no channel of a log; there are {', '.join(CHANNELS)}.")
        with self._lock:
            while True:
                state = self._known()
                acknowledged = self._acknowledged.setdefault(channel, state.offsets[channel])
                begin = acknowledged if offset is None else offset
                stored = state.offsets[channel]
                if begin > stored:
                    self._acknowledged = dict(state.offsets)
                    raise LogRewound(f"The log has {stored} bytes of {channel}; what follows begins at {begin}.")
                fresh = data[stored - begin :]
                if not fresh:
                    self._acknowledged[channel] = stored
                    return
                if state.ended:
                    raise LogEnded(
                        f"The log {self._name.key} has ended; {len(fresh)} bytes of {channel} came after it."
                    )
                self._append(state, *_entries(state, channel, fresh))
                offset = begin  # the next round skips what this one stored

    def event(self, name: str, **data: Any) -> None:
        """Tell those who follow the log something. After its end nobody does, so that is no error."""
        with self._lock:
            while not (state := self._known()).ended:
                entry, after = state.after_event(name, data=orjson.dumps(data), at=_now())
                uncertain, self._uncertain = self._uncertain, entry
                if uncertain and (uncertain.id, uncertain.event, uncertain.data) == (
                    str(state.cursor), name, entry.data
                ):  # fmt: skip
                    break  # its answer was lost, the event was not
                if self._append(state, [entry], [after]):
                    break
            self._uncertain = None

    def close(self, *, status: str = "") -> None:
        """End the log, right after the event of the last ``status`` where one is given. Twice is no error.

        Raises LogRewound where the broker lost what it acknowledged to this writer, until `offsets` is asked for.
        """
        events = {**({"status": {"status": status}} if status else {}), END: {}}
        with self._lock:
            while not (state := self._known()).ended:
                if any(state.offsets[channel] < at for channel, at in self._acknowledged.items()):
                    raise LogRewound("The broker lost a part of what it had acknowledged; without it, this is no end.")
                entries, states, after = [], [], state
                for name, values in events.items():
                    entry, after = after.after_event(name, data=orjson.dumps(values), at=_now())
                    entries.append(entry)
                    states.append(after)
                if self._append(state, entries, states):
                    break
            self._uncertain = None

    def _known(self) -> State:
        if self._state is None:
            self._state = self._load()
        return self._state

    def _load(self) -> State:
        """Find out from the stream, or the archive, where the log stands."""
        try:
            last = self._stream.last()
            self._count = 0 if last is None else len(self._stream)
            if last is None:
                self._tail = 0
                return segments.final_state(self._name) or State()
            self._tail = last.state.head
            if self._tail:
                entry, _ = self._stream.behind(Cursor.end_of(self._tail), count=1)[0]
                self._tail = Cursor.of(entry.id).position - len(entry.data)
            return last.state
        except RedisError as error:
            raise _away(error) from error

    def _append(self, state: State, entries: list[Entry], states: list[State]) -> bool:
        """Put ``entries`` behind ``state``. False: the log stands elsewhere, look again."""
        end = Cursor.of(entries[-1].id).position
        if not state.head and (end > settings.LOG_MAX_BYTES // 2 or self._count >= ENTRIES_MAX // 2):
            states = [replace(after, head=state.cursor.position) for after in states]
            self._tail = state.cursor.position
        self._state = None
        stored = [Stored(entry, after.pack()) for entry, after in zip(entries, states, strict=True)]
        try:
            appended = self._stream.append(state.cursor, stored)
        except RedisError as error:
            raise _away(error) from error
        if not appended:
            return False
        self._count += len(entries)
        self._state = states[-1]
        self._trim()
        return True

    def _trim(self) -> None:
        """Drop the oldest entries behind the head where the log is over its cap, some more than needed at a time."""
        state = self._state
        if state is None or not state.head:
            return
        tail_max, slack = settings.LOG_MAX_BYTES // 2, settings.LOG_MAX_BYTES // 16
        surplus = self._count - ENTRIES_MAX
        if state.cursor.position - self._tail <= tail_max and surplus <= 0:
            return
        keep_from = state.cursor.position - (tail_max - slack)
        surplus = surplus + ENTRIES_MAX // 16 if surplus > 0 else 0
        with suppress(RedisError):  # what was to be written is written; the next write trims
            while self._tail < keep_from or surplus > 0:
                page = self._stream.behind(Cursor.end_of(self._tail), count=self._page_size(state))
                ends = [
                    Cursor.of(entry.id) for entry, _ in page if entry.id != str(state.cursor)
                ]  # its state is needed
                doomed = [end for count, end in enumerate(ends) if end.position <= keep_from or count < surplus]
                if not doomed:
                    break
                self._stream.drop([str(end) for end in doomed])
                self._tail = doomed[-1].position
                self._count -= len(doomed)
                surplus -= len(doomed)

    def _page_size(self, state: State) -> int:
        average = max(1, (state.cursor.position - self._tail + state.head) // max(1, self._count))
        return max(16, min(4096, TRIM_PAGE_BYTES // average))


def _entries(state: State, channel: str, data: bytes) -> tuple[list[Entry], list[State]]:
    """The first entries of ``data``, and the states behind each."""
    entries, states, at = [], [], _now()
    for piece in islice(state.pieces(channel, data), ENTRIES_AT_A_TIME):
        entry, state = state.after(channel=channel, data=piece, at=at)
        entries.append(entry)
        states.append(state)
    return entries, states


def _now() -> int:
    return time.time_ns() // 1_000_000


def _away(error: RedisError) -> BrokerAway:
    """Any refusal of the broker (full, read-only, too slow) means the same to a writer: not now."""
    return error if isinstance(error, BrokerAway) else BrokerAway(f"The broker did not take it: {error}")
