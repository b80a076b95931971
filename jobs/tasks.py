"""What the doorbell rings. Each task loads by id and calls one verb."""

import logging
import threading
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import DatabaseError

from jobs import claiming, execution, logs, retention, submission, watch
from jobs.models import Job, Reason
from portal.lib import doorbell
from services.runtimes import warm

log = logging.getLogger(__name__)

RESTART_GRACE_SECONDS = 8  # after a pause of the whole host its workers take up their jobs before anyone gives them up


@shared_task(name="jobs.look")
def look() -> None:
    """There may be work for a slot of this host."""
    execution.answer()


@shared_task(name="jobs.cancel")
def cancel(job_id: str) -> None:
    """End a job that runs on this host."""
    job = Job.objects.filter(pk=job_id, cancel_requested_at__isnull=False).first()
    if job is not None and job.is_live:
        execution.kill(job, Reason.CANCELLED)


@shared_task(name="jobs.close_log")
def close_log(job_id: str) -> None:
    """End the log of a job that was settled without its supervisor."""
    logs.close(Job.objects.get(pk=job_id))


@shared_task(name="jobs.archive_log")
def archive_log(job_id: str, attempt: str) -> None:
    """Move the log of an ended attempt to storage."""
    logs.archive(UUID(job_id), int(attempt))


@shared_task(name="jobs.close_attempt")
def close_attempt(job_id: str, number: str) -> None:
    """End the log of an attempt that was cut off with its host."""
    logs.close_attempt(UUID(job_id), int(number))


@shared_task(name="jobs.tick")
def tick() -> None:
    """Every two seconds: settle what nobody holds, ring again for what waits."""
    warm.end_idle(older_than=settings.WARM_IDLE_SECONDS)
    try:
        claiming.end_overdue()
        execution.kill_overdue()
        if steadiness.beat() > RESTART_GRACE_SECONDS:
            claiming.reap(is_here=execution.is_here)
        execution.give_back_claims()
        claiming.ring_again()
        execution.ring_for_leftovers()
        logs.close_left_open(is_here=execution.is_here)
    except DatabaseError as error:
        log.warning("The tick of jobs waits for the database: %s", error)


class Steadiness:
    """How long the tick has seen the database without a pause.

    After one, every lease has ended, because nobody could renew it: the workers get the time to do so before any job is
    given up.
    """

    def __init__(self) -> None:
        self._since = self._last = time.monotonic()

    def beat(self) -> float:
        """The database answered just now: the seconds since the last pause."""
        now = time.monotonic()
        if now - self._last > settings.LEASE_SECONDS / 2:  # in less, no lease ends
            self._since = now
        self._last = now
        return now - self._since


steadiness = Steadiness()


@shared_task(name="jobs.tidy")
def tidy() -> None:
    """Every hour: remove what was kept long enough."""
    submission.forget_idempotency_keys()
    if retention.remove_expired():
        doorbell.ring("jobs.tidy")  # there is more, and others want this worker too


@shared_task(name="jobs.recount")
def recount() -> None:
    """Once a day: count again what accounts keep."""
    retention.recount_storage()


@worker_ready.connect
def take_up_leftovers(sender: Any, **_: Any) -> None:
    """A worker that starts looks at every slot: its predecessor may have left running jobs behind."""
    if "jobs" in sender.app.amqp.queues.consume_from:
        warm.end_idle()  # they may be of an earlier release
        with suppress(DatabaseError):  # the tick does it once it is back
            execution.give_back_claims()
        for _slot in range(settings.JOB_SLOTS):
            doorbell.ring("jobs.look")


@worker_ready.connect
def watch_over_host(sender: Any, **_: Any) -> None:
    """The system process of a host fences it, also when neither database nor broker can be reached."""
    if doorbell.host_queue(settings.WORKER_HOST) in sender.app.amqp.queues.consume_from:
        watch.start(grace_seconds=RESTART_GRACE_SECONDS)


@worker_shutting_down.connect
def let_go(**_: Any) -> None:
    """A planned stop: nothing new is claimed; after a grace supervision ends with a longer lease, sandboxes run on."""
    execution.draining.set()
    warm.closing.set()
    warm.end_idle()
    grace = threading.Timer(settings.STOP_GRACE_SECONDS, execution.stopping.set)
    grace.daemon = True
    grace.start()
