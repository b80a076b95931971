"""Whether this instance can work: each part is asked, and says in words what is wrong with it."""

import logging
from collections.abc import Callable
from uuid import uuid4

import redis
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection

from services import runtimes
from services.runtimes import home
from services.runtimes.docker import engine

log = logging.getLogger(__name__)

BROKER_TIMEOUT_SECONDS = 2
BROKER_FULL = 0.98  # of its maxmemory


class Unready(Exception):
    """A part that cannot do its work. Anybody may read the text: it says what to do, and names no secret."""


def check() -> dict[str, str]:
    """Every part with "ok", or with what is wrong and what to do."""
    return {name: _ask(name, part) for name, part in PARTS.items()}


def is_ready(parts: dict[str, str]) -> bool:
    """Whether all parts that `check` asked can do their work."""
    return all(said.startswith("ok") for said in parts.values())


def _ask(name: str, part: Callable[[], str]) -> str:
    try:
        return part()
    except Unready as error:
        return str(error)
    except Exception:  # whatever it is, this part does not work, and the others are still to be asked
        log.exception("The part %s does not work.", name)
        return "it does not answer; the log of the server says why"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM accounts_account WHERE slug = ''")  # fails before the first migration too
    return f"ok: {connection.vendor}"


def _broker() -> str:
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=BROKER_TIMEOUT_SECONDS,
        socket_connect_timeout=BROKER_TIMEOUT_SECONDS,
    )
    with client:
        try:
            client.ping()
        except (redis.ConnectionError, redis.TimeoutError):
            raise Unready("it does not answer; start Valkey or Redis, or correct REDIS_URL") from None
        facts = client.info("memory")
    policy = facts.get("maxmemory_policy", "noeviction")
    if facts.get("maxmemory") and policy != "noeviction":
        raise Unready(f"its maxmemory-policy is {policy}, which drops logs and rings; set it to noeviction")
    if facts.get("maxmemory") and facts["used_memory"] >= facts["maxmemory"] * BROKER_FULL:
        raise Unready("its memory is full, so logs wait on the workers and rings are late; raise its maxmemory")
    return "ok"


def _storage() -> str:
    sent = uuid4().bytes
    name = default_storage.save(f"health/{uuid4()}", ContentFile(sent))
    try:
        with default_storage.open(name) as file:
            if file.read() != sent:
                raise Unready("a file that was written does not read the same")
    finally:
        default_storage.delete(name)
    return "ok"


def _runtime() -> str:
    runtime = runtimes.get("python")
    if reason := runtime.unavailable():
        raise Unready(reason)
    return f"ok: limits by {runtime.tier()}"


def _containers() -> str:
    """Not every host has an engine, so that one without it is ready, too."""
    if reason := runtimes.get("docker").unavailable():
        return f"ok: not here. {reason}"
    return f"ok: {engine.name()}"


def _disk() -> str:
    free = home.free_mib()
    if free < settings.DISK_FREE_MIN_MIB:
        raise Unready(
            f"{free} MiB are free, fewer than the {settings.DISK_FREE_MIN_MIB} MiB of DISK_FREE_MIN_MIB, so no job "
            "starts; make room"
        )
    return f"ok: {free} MiB free"


PARTS: dict[str, Callable[[], str]] = {
    "database": _database,
    "broker": _broker,
    "storage": _storage,
    "runtime": _runtime,
    "containers": _containers,
    "disk": _disk,
}
