"""Rings a task by its name once the transaction commits.

A ring says "look", nothing more: the row is the truth. So a ring that gets lost does no harm; the system tick of the
app rings again for every row that still waits. Lower layers may ring for higher ones without importing them.
"""

import logging
import time

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

SLOW_SECONDS = 1.0
LEFT_ALONE_SECONDS = 5.0

_left_alone_until = 0.0


def ring(task: str, *args: object, queue: str | None = None) -> None:
    """Ring ``task`` on commit; at once where no transaction is open.

    ``queue`` overrides the route of the task: ``host_queue(name)`` reaches the system process of one host.
    """
    transaction.on_commit(lambda: _ring_now(task, args, queue))


def host_queue(host: str) -> str:
    """The queue that only the system process of ``host`` listens to."""
    return f"host.{host}"


def _ring_now(task: str, args: tuple[object, ...], queue: str | None) -> None:
    global _left_alone_until
    began = time.monotonic()
    if began < _left_alone_until:
        return
    try:
        current_app.send_task(task, args=[str(arg) for arg in args], **({"queue": queue} if queue else {}))
    except (OperationalError, RedisError, OSError) as error:
        log.warning("The broker takes nothing (%s); %s is rung again by the next tick.", error, task)
        if time.monotonic() - began > SLOW_SECONDS:  # it hangs: of those who ring, not each has to find out
            _left_alone_until = time.monotonic() + LEFT_ALONE_SECONDS
