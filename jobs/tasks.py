"""What the doorbell rings. Each task loads by id and calls one verb."""

import time
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from jobs import claiming, execution, logs, submission
from jobs.models import Job, Reason
from portal.lib import doorbell

RESTART_GRACE_SECONDS = 8  # after a pause of the whole host its workers take up their jobs before anyone gives them up
STARTED = time.monotonic()


@shared_task(name="jobs.look")
def look() -> None:
    """There may be work for a slot of this host."""
    execution.look()


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


@shared_task(name="jobs.tick")
def tick() -> None:
    """Every two seconds: fence this host, settle what nobody holds, ring again for what waits."""
    if time.monotonic() - STARTED > RESTART_GRACE_SECONDS:
        execution.kill_expired()
        claiming.reap(is_here=execution.is_here)
    claiming.ring_again()
    execution.ring_for_leftovers()
    logs.close_left_open(is_here=execution.is_here)


@shared_task(name="jobs.tidy")
def tidy() -> None:
    """Every hour: remove what was kept long enough."""
    submission.forget_idempotency_keys()


@worker_ready.connect
def take_up_leftovers(sender: Any, **_: Any) -> None:
    """A worker that starts looks at every slot: its predecessor may have left running jobs behind."""
    if "jobs" in sender.app.amqp.queues.consume_from:
        for _slot in range(settings.JOB_SLOTS):
            doorbell.ring("jobs.look")


@worker_shutting_down.connect
def let_go(**_: Any) -> None:
    """A planned stop: supervision ends with a longer lease, sandboxes run on."""
    execution.stopping.set()
