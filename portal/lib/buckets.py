"""Rate limits: token buckets in Redis, one script a question. While Redis is away, each process counts for itself."""

import ipaddress
import logging
import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.http import HttpRequest
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

REDIS_TIMEOUT_SECONDS = 0.25  # what is limited should answer within milliseconds
AWAY_SECONDS = 2.0  # how long Redis is left alone after it did not answer
CONNECTIONS_MAX = 100_000  # bounded by the threads of a worker
LOCAL_BUCKETS_MAX = 10_000
IPV6_PREFIX_BITS = 64  # what one customer of a provider gets; each of its addresses is as good as the others

# Takes from every bucket or from none. A bucket that is full again is the same as no bucket, so it expires.
TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local levels, wait = {}, 0
for i, key in ipairs(KEYS) do
    local size = tonumber(ARGV[2 * i - 1])
    local rate = size / 60
    local kept = redis.call('HMGET', key, 'level', 'at')
    levels[i] = size
    if kept[1] then levels[i] = math.min(size, kept[1] + math.max(0, now - kept[2]) * rate) end
    if levels[i] < 1 then wait = math.max(wait, (1 - levels[i]) / rate) end
end
if wait == 0 then
    for i, key in ipairs(KEYS) do
        local size, cost = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
        if cost > 0 then
            redis.call('HSET', key, 'level', levels[i] - cost, 'at', now)
            redis.call('PEXPIRE', key, math.ceil((size - levels[i] + cost) / size * 60000))
        end
    end
end
return tostring(wait)
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Holds ``per_minute`` at first and gains as many a minute. 0: no limit. ``cost=0`` looks and takes nothing."""

    name: str
    per_minute: int
    cost: int = 1


def take(*buckets: Bucket) -> float:
    """Take from all ``buckets``: 0.0. Where one is empty, take from none: the seconds until all have something."""
    limited = [bucket for bucket in buckets if bucket.per_minute > 0]
    return _store(settings.REDIS_URL, os.getpid()).take(limited) if limited else 0.0


def client_address(request: HttpRequest) -> str:
    """Where a request comes from, behind as many proxies as TRUSTED_PROXIES says; for IPv6 the network of the client.

    allauth's `get_client_ip` reads the same, and raises where a proxy was passed by: a rate limit has to go on.
    """
    address: str = request.META.get("REMOTE_ADDR", "")
    if proxies := settings.ALLAUTH_TRUSTED_PROXY_COUNT:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(forwarded) >= proxies:
            address = forwarded[-proxies]
    try:
        parsed = ipaddress.ip_address(_without_port(address.strip()))
    except ValueError:
        return "unknown"  # a Unix socket, or a proxy that hides its clients: they share a bucket
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), IPV6_PREFIX_BITS), strict=False))


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


class _Local:
    """The buckets of this process. The least recently used go first, so that strangers cannot fill its memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, and when it was that
        self._lock = threading.Lock()

    def take(self, buckets: list[Bucket]) -> float:
        now = time.monotonic()
        with self._lock:
            levels = [self._level(bucket, now) for bucket in buckets]
            waits = [
                (1 - level) * 60 / bucket.per_minute for bucket, level in zip(buckets, levels, strict=True) if level < 1
            ]
            if waits:
                return max(waits)
            for bucket, level in zip(buckets, levels, strict=True):
                if bucket.cost:
                    self._kept[bucket.name] = (level - bucket.cost, now)
                    self._kept.move_to_end(bucket.name)
            while len(self._kept) > LOCAL_BUCKETS_MAX:
                self._kept.popitem(last=False)
        return 0.0

    def _level(self, bucket: Bucket, now: float) -> float:
        level, at = self._kept.get(bucket.name, (bucket.per_minute, now))
        return min(bucket.per_minute, level + (now - at) * bucket.per_minute / 60)


class _Store:
    """The buckets that all processes share, and those of this one for as long as the others cannot be reached."""

    def __init__(self, url: str) -> None:
        pool = ConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            protocol=2,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
        )
        self._take = Redis(connection_pool=pool).register_script(TAKE)
        self._local = _Local()
        self._away_until = 0.0  # 0: it answered the last time

    def take(self, buckets: list[Bucket]) -> float:
        if time.monotonic() < self._away_until:
            return self._local.take(buckets)
        arguments = [number for bucket in buckets for number in (bucket.per_minute, bucket.cost)]
        try:
            wait = float(self._take(keys=[f"bucket:{bucket.name}" for bucket in buckets], args=arguments))
        except (RedisError, OSError) as error:
            if not self._away_until:
                log.warning("Redis does not answer (%s); until then, each process limits rates for itself.", error)
            self._away_until = time.monotonic() + AWAY_SECONDS
            return self._local.take(buckets)
        self._away_until = 0.0
        return wait


@cache
def _store(url: str, _pid: int) -> _Store:
    return _Store(url)
