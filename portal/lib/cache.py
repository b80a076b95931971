"""The cache of Redis, for pages that go on while it is away: until it answers again, each process keeps its own."""

import logging
import time
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

TIMEOUT_SECONDS = 0.5  # a page waits for it
AWAY_SECONDS = 2.0  # how long Redis is left alone after it did not answer
LOCAL_ENTRIES_MAX = 10_000

log = logging.getLogger(__name__)

_away_until: dict[str, float] = {}  # of a server, for all threads: each has cache objects of its own; 0: it answered


class SteadyRedisCache(RedisCache):
    """Raises no error of the connection. What it forgets while Redis is away, such as who tried to sign in how often,
    each process then counts for itself: limits get looser, and do not go away.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        patience: dict[str, Any] = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
        options = patience | {"retry": Retry(NoBackoff(), 0)} | params.get("OPTIONS", {})
        super().__init__(server, {**params, "OPTIONS": options})
        self._local = LocMemCache(f"steady:{server}", {**params, "OPTIONS": {"MAX_ENTRIES": LOCAL_ENTRIES_MAX}})
        self._server = server

    def _ask(self, name: str, *args: Any, **options: Any) -> Any:
        away_until = _away_until.get(self._server, 0.0)
        if time.monotonic() >= away_until:
            ask: Callable[..., Any] = getattr(super(), name)
            try:
                answer = ask(*args, **options)
            except (RedisError, OSError) as error:
                if not away_until:
                    log.warning("Redis does not answer (%s); until then, each process has a cache of its own.", error)
                _away_until[self._server] = time.monotonic() + AWAY_SECONDS
            else:
                _away_until[self._server] = 0.0
                return answer
        return getattr(self._local, name)(*args, **options)

    def add(self, *args: Any, **options: Any) -> Any:
        return self._ask("add", *args, **options)

    def get(self, *args: Any, **options: Any) -> Any:
        return self._ask("get", *args, **options)

    def set(self, *args: Any, **options: Any) -> Any:
        return self._ask("set", *args, **options)

    def touch(self, *args: Any, **options: Any) -> Any:
        return self._ask("touch", *args, **options)

    def delete(self, *args: Any, **options: Any) -> Any:
        return self._ask("delete", *args, **options)

    def get_many(self, *args: Any, **options: Any) -> Any:
        return self._ask("get_many", *args, **options)

    def has_key(self, *args: Any, **options: Any) -> Any:
        return self._ask("has_key", *args, **options)

    def incr(self, *args: Any, **options: Any) -> Any:
        return self._ask("incr", *args, **options)

    def set_many(self, *args: Any, **options: Any) -> Any:
        return self._ask("set_many", *args, **options)

    def delete_many(self, *args: Any, **options: Any) -> Any:
        return self._ask("delete_many", *args, **options)

    def clear(self) -> Any:
        return self._ask("clear")
