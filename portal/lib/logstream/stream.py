"""The stream of one log in the broker, and the connections to it: one pool a process."""

import os
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, cast

from django.conf import settings
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.lib.logstream.entries import Cursor, Entry, State

# Every live reader blocks on a connection of its own.
CONNECTIONS_MAX = 100_000
BLOCK_SECONDS_MAX = 10.0
SOCKET_TIMEOUT_SECONDS = BLOCK_SECONDS_MAX + 5

closing = threading.Event()  # set when this process is about to end: readers stop

# Appends only behind the entry that the writer knows as the last. So neither an answer that was lost on its way nor a
# writer that should be dead can double a line or tear a hole.
APPEND = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local at = '0-0'
if last[1] then at = last[1][1] end
if at ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 8 do
    redis.call('XADD', KEYS[1], ARGV[i], 'c', ARGV[i+1], 'n', ARGV[i+2], 'o', ARGV[i+3], 't', ARGV[i+4],
               's', ARGV[i+5], 'e', ARGV[i+6], 'd', ARGV[i+7])
end
return 1
"""

RawEntries = Sequence[tuple[bytes, dict[bytes, bytes]]]


class Stored(NamedTuple):
    """An entry and the packed state behind it."""

    entry: Entry
    packed: str

    @property
    def state(self) -> State:
        return State.unpack(entry_id=self.entry.id, packed=self.packed, event=self.entry.event)


class Stream:
    """The stream ``name``. Every method may raise redis.exceptions.RedisError, and none repeats anything."""

    def __init__(self, name: str) -> None:
        self.name = name

    def exists(self) -> bool:
        return bool(_client().exists(self.name))

    def __len__(self) -> int:
        return _client().xlen(self.name)

    def last(self) -> Stored | None:
        """The last entry."""
        return next(iter(_stored(cast(RawEntries, _client().xrevrange(self.name, count=1)))), None)

    def behind(self, cursor: Cursor, *, count: int) -> list[Stored]:
        """Up to ``count`` entries behind ``cursor``."""
        return _stored(cast(RawEntries, _client().xrange(self.name, min=f"({cursor}", count=count)))

    def at(self, cursor: Cursor) -> Entry | None:
        """The entry that ends exactly at ``cursor``."""
        found = cast(RawEntries, _client().xrange(self.name, min=str(cursor), max=str(cursor)))
        return _entry(*found[0]) if found else None

    def wait(self, cursor: Cursor, *, count: int, seconds: float | None) -> list[Entry]:
        """Up to ``count`` entries behind ``cursor``; waits ``seconds`` for the first, with None not at all."""
        block = None if seconds is None else max(1, int(min(seconds, BLOCK_SECONDS_MAX) * 1000))
        answer = cast("list[tuple[bytes, RawEntries]]", _client().xread({self.name: str(cursor)}, count, block))
        return [_entry(*raw) for raw in answer[0][1]] if answer else []

    def append(self, behind: Cursor, entries: Sequence[Stored]) -> bool:
        """Put ``entries`` behind the entry at ``behind``, all or none. False: that is not the last one."""
        arguments: list[str | int | bytes] = [str(behind)]
        for entry, packed in entries:
            arguments += [
                entry.id, entry.channel, entry.line, entry.offset, entry.at, packed, entry.event, entry.data
            ]  # fmt: skip
        return bool(_append(settings.REDIS_URL, os.getpid())(keys=[self.name], args=arguments))

    def drop(self, ids: Sequence[str]) -> None:
        """Remove single entries."""
        _client().xdel(self.name, *ids)

    def remove(self) -> None:
        """Remove the whole stream."""
        _client().unlink(self.name)

    def expire(self, seconds: int, *, is_new: bool = False) -> None:
        """Let it go in ``seconds``; one that goes already keeps its time, which nobody can have given to a new one."""
        if is_new or _client().ttl(self.name) < 0:
            _client().expire(self.name, seconds)


def close_readers() -> None:
    """End every reader of this process now, also one that waits for news."""
    closing.set()
    _client().connection_pool.disconnect(inuse_connections=True)


def _client() -> Redis:
    return _client_of(settings.REDIS_URL, os.getpid())


@cache
def _client_of(url: str, _pid: int) -> Redis:
    pool = ConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS_MAX,
        protocol=2,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        driver_info=None,
    )
    return Redis(connection_pool=pool)


@cache
def _append(url: str, pid: int) -> Callable[..., Any]:
    return _client_of(url, pid).register_script(APPEND)


def _stored(raw: RawEntries) -> list[Stored]:
    return [Stored(_entry(entry_id, fields), fields[b"s"].decode()) for entry_id, fields in raw]


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    return Entry(
        id=entry_id.decode(),
        at=int(fields[b"t"]),
        channel=fields[b"c"].decode(),
        line=int(fields[b"n"]),
        offset=int(fields[b"o"]),
        data=fields[b"d"],
        event=fields[b"e"].decode(),
    )
