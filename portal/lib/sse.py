"""Server-sent events from plain WSGI threads, and a log as such events. Who may read it, the view has decided."""

import codecs
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from redis.exceptions import RedisError

from portal.lib import logstream
from portal.lib.logstream import END, GAP, Entry

COMMENT_SECONDS = 8.0  # a client that has gone is noticed at the next write, and proxies close what is silent
RECONNECT_MILLISECONDS = 1000
RETRY_AFTER_SECONDS = 5
STREAM_SECONDS_MAX = 600  # then the client comes again, and is authorised again
CHUNK_MAX_CHARACTERS = 256 * 1024
POLL_MAX_BYTES = 4 * 1024 * 1024

# Of the connections for live pages and waiting calls, one account holds half at most: the others are for the others.
SHARE_OF_ACCOUNT = 2

FULL = (
    "This server has no free connection for another live page. The page goes on by asking every few seconds; "
    "close live pages that you do not need, or ask the operator to raise LIVE_STREAMS_MAX."
)
SHARE_TAKEN = (
    "This account has as many live pages and waiting calls open on this server as one account may. Close those that "
    "are not needed, ask every few seconds instead, or ask the operator to raise LIVE_STREAMS_MAX."
)
BROKER_AWAY = "The log cannot be read because the broker does not answer. It is safe; try again in a few seconds."


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event; ``data`` is JSON on one line."""

    name: str
    data: bytes
    id: str = ""

    def encode(self) -> bytes:
        id_line = f"id: {self.id}\n" if self.id else ""
        return b"".join((id_line.encode(), b"event: ", self.name.encode(), b"\ndata: ", self.data, b"\n\n"))


def respond(events: Iterable[bytes | None], request: HttpRequest, *, account: object = "") -> HttpResponseBase:
    """Stream ``events``, each one or more encoded events, or None at least every COMMENT_SECONDS where nothing came.

    503 where this process has LIVE_STREAMS_MAX open already: its threads must not all wait for news. 429 where
    ``account`` has its share of them.
    """
    if request.method == "HEAD":
        return _headed(HttpResponse(content_type="text/event-stream"))
    if refusal := _slots.take(str(account)):
        return _unavailable(refusal, status=429 if refusal == SHARE_TAKEN else 503)
    return _headed(StreamingHttpResponse(_LiveStream(iter(events), str(account)), content_type="text/event-stream"))


@contextmanager
def place(account: object = "") -> Iterator[bool]:
    """One of the LIVE_STREAMS_MAX, for a request that waits before it answers; False where none is free for it."""
    is_free = not _slots.take(str(account))
    try:
        yield is_free
    finally:
        if is_free:
            _slots.release(str(account))


def log_response(
    request: HttpRequest, kind: str, id: UUID | str, attempt: int, *, live: bool = True, account: object = ""
) -> HttpResponseBase:
    """A log as events ``chunk``, ``gap``, ``status`` (and what else its writer tells) and ``end``. See docs/logs.md.

    It goes on behind the header ``Last-Event-ID``, else ``?after=``. With ``?poll=1``, it answers with what there is
    as JSON. ``live=False``: a log that nobody began ends at once, because nobody will. ``account``: see `respond`.
    """
    given = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    log = _LogEvents(kind, id, attempt, given=given, live=live)
    if request.GET.get("poll"):
        return _poll(log)
    return respond(log.encoded(), request, account=account)


def log_download(kind: str, id: UUID | str, attempt: int, *, filename: str) -> HttpResponseBase:
    """What a log has so far, as a text file."""
    text = logstream.text(kind, id, attempt)
    try:
        begin = next(text, b"")
    except RedisError:
        return _unavailable(BROKER_AWAY)
    response = StreamingHttpResponse(chain((begin,), text), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    release_database()  # a slow client takes its time
    response["Cache-Control"] = "no-store"
    return response


def end_with_process() -> None:
    """Let every stream of this process end when it is told to stop. To be called once, by its main thread.

    The server replaces signal handlers after it has loaded the application; the wake-up descriptor stays.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    ours, signals = socket.socketpair()
    signals.setblocking(False)
    signal.set_wakeup_fd(signals.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end_on_signal, args=(ours, signals), name="end-of-streams", daemon=True).start()


def _end_on_signal(ours: socket.socket, _signals: socket.socket) -> None:
    while not {signal.SIGTERM, signal.SIGINT} & set(ours.recv(64)):
        pass
    logstream.close_readers()


class _Slots:
    """Counts the open streams of this process, and those of each account that is named."""

    def __init__(self) -> None:
        self.taken = 0
        self._of: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, account: str) -> str:
        """Why there is none, in words; empty for one that is to be released."""
        with self._lock:
            if self.taken >= settings.LIVE_STREAMS_MAX or logstream.closing.is_set():
                return FULL
            if account and self._of[account] >= max(1, settings.LIVE_STREAMS_MAX // SHARE_OF_ACCOUNT):
                return SHARE_TAKEN
            self.taken += 1
            self._of[account] += 1
            return ""

    def release(self, account: str) -> None:
        with self._lock:
            self.taken -= 1
            self._of[account] -= 1
            if not self._of[account]:
                del self._of[account]


_slots = _Slots()


class _LiveStream:
    """The body of an open stream. A class, because closing a generator that never began would not free its slot."""

    def __init__(self, events: Iterator[bytes | None], account: str) -> None:
        self._events = events
        self._account = account
        self._ends_at = 0.0
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._ends_at:
            release_database()
            self._ends_at = time.monotonic() + STREAM_SECONDS_MAX
            return f"retry: {RECONNECT_MILLISECONDS}\n\n".encode()
        if self._closed or logstream.closing.is_set() or time.monotonic() > self._ends_at:
            self.close()
            raise StopIteration
        try:
            return next(self._events) or b":\n\n"
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            _slots.release(self._account)
            if (close := getattr(self._events, "close", None)) is not None:
                with suppress(ValueError):  # another thread is in it, and ends it at its next step
                    close()

    def __del__(self) -> None:
        self.close()


@dataclass
class _Chunk:
    """Text of consecutive lines, gathered from as many entries as came at once."""

    id: str
    at: int
    channel: str
    line: int
    parts: list[str] = field(default_factory=list)
    marks: list[tuple[int, int, str]] = field(default_factory=list)  # line, time, channel: where they change
    size: int = 0
    last_line: int = 0
    is_open: bool = False  # the last line has no end yet

    def takes(self, entry: Entry) -> bool:
        """Whether ``entry`` goes on where this ends."""
        if self.size > CHUNK_MAX_CHARACTERS:
            return False
        if self.is_open:
            return entry.line == self.last_line and entry.channel == self._last_channel()
        return entry.line == self.last_line + 1

    def add(self, entry: Entry, text: str) -> None:
        if not self.is_open and self.parts:
            self.marks.append((entry.line, entry.at, entry.channel))
        self.id = entry.id
        self.parts.append(text)
        self.size += len(text)
        self.is_open = not entry.data.endswith(b"\n")
        self.last_line = entry.line + entry.data.count(b"\n") - (not self.is_open)

    def event(self) -> Event:
        data: dict[str, Any] = {"at": self.at, "c": self.channel, "n": self.line, "d": "".join(self.parts)}
        if self.marks:
            data["m"] = self.marks
        return Event(name="chunk", id=self.id, data=orjson.dumps(data))

    def _last_channel(self) -> str:
        return self.marks[-1][2] if self.marks else self.channel


class _LogEvents:
    """The events of one log, behind the id that the client has given."""

    def __init__(self, kind: str, id: UUID | str, attempt: int, *, given: str, live: bool) -> None:
        self.name = (kind, id, attempt)
        self.live = live
        self._decoders = {channel: codecs.getincrementaldecoder("utf-8")("replace") for channel in logstream.CHANNELS}
        # An id of another attempt says nothing about this log, which the client therefore gets from its beginning.
        its_attempt, _, entry_id = given.rpartition(":")
        self.after = entry_id if its_attempt in ("", str(attempt)) else ""
        self.is_other_attempt = bool(given) and self.after != entry_id

    def encoded(self) -> Iterator[bytes | None]:
        """As server-sent events, all that came at once in one piece."""
        for events in self.batches(block_seconds=COMMENT_SECONDS):
            yield b"".join([event.encode() for event in events]) or None

    def batches(self, *, block_seconds: float | None) -> Iterator[list[Event]]:
        """Events, in lists as they come; an empty one at least every ``block_seconds``."""
        if self.is_other_attempt:
            yield [Event(name="reset", data=b"{}")]
        self._recall()
        if not self.live and not self._exists():
            yield [Event(name=END, data=b"{}")]
            return
        for entries in logstream.read_batches(*self.name, after=self.after, block_seconds=block_seconds):
            yield list(self._events(entries))

    def _exists(self) -> bool:
        try:
            return logstream.exists(*self.name)
        except RedisError:
            return True  # nobody knows; the reader finds out

    def _recall(self) -> None:
        """Take up the character that the last entry the client has broke off in."""
        try:
            entry = logstream.entry_at(*self.name, self.after)
        except RedisError:
            return
        if entry and (length := logstream.unfinished_character(entry.data)):
            self._decoders[entry.channel].decode(entry.data[-length:])

    def _events(self, entries: Iterable[Entry]) -> Iterator[Event]:
        chunk: _Chunk | None = None
        for entry in entries:
            if chunk and (entry.event or not chunk.takes(entry)):
                yield self._numbered(chunk.event())
                chunk = None
            if entry.event:
                yield self._numbered(_told(entry))
            elif text := self._decoders[entry.channel].decode(entry.data):
                chunk = chunk or _Chunk(id=entry.id, at=entry.at, channel=entry.channel, line=entry.line)
                chunk.add(entry, text)
        if chunk:
            yield self._numbered(chunk.event())

    def _numbered(self, event: Event) -> Event:
        return Event(name=event.name, data=event.data, id=f"{self.name[2]}:{event.id}")


def _told(entry: Entry) -> Event:
    """An event of the log. A gap also says which line is the first to miss."""
    data = orjson.dumps({**entry.values(), "n": entry.line}) if entry.event == GAP else entry.data
    return Event(name=entry.event, data=data, id=entry.id)


def _poll(log: _LogEvents) -> HttpResponse:
    events: list[Event] = []
    try:
        for batch in log.batches(block_seconds=None):
            events += batch
            if sum(len(event.data) for event in events) > POLL_MAX_BYTES:
                break
    except RedisError:
        return _unavailable(BROKER_AWAY)
    told = [{"event": event.name, "id": event.id, "data": orjson.Fragment(event.data)} for event in events]
    return HttpResponse(
        orjson.dumps({"events": told}), content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def release_database() -> None:
    """Give the database connection back: an answer that takes long asks no more of it, and others wait for one."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def release_pooled_database() -> None:
    """The same where connections are few and shared; opening a file anew would cost more than it gives."""
    if settings.DATABASES["default"].get("OPTIONS", {}).get("pool"):
        release_database()


def _headed(response: HttpResponseBase) -> HttpResponseBase:
    response["Cache-Control"] = "no-store, no-transform"
    response["X-Accel-Buffering"] = "no"
    return response


def _unavailable(text: str, *, status: int = 503) -> HttpResponse:
    return HttpResponse(
        text,
        status=status,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS), "Cache-Control": "no-store"},
    )
