"""Who writes a job's row, and when: every step of its life is one conditional UPDATE, fenced by the attempt."""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from jobs import secrets, signals
from jobs.models import CLAIMED, Job, Reason, Status
from portal.lib import claims, doorbell, logstream
from services import metering
from services.models import ServiceVersion

log = logging.getLogger(__name__)

STARTING_LEASE_SECONDS = 10  # what comes between claim and start takes milliseconds, or renews the lease
STOP_LEASE_SECONDS = 600  # a planned stop: the sandbox runs on while its worker is upgraded
LOST_GRACE_SECONDS = 2  # the host kills a sandbox before its lease ends; the row is settled only after that

NEVER_STARTED = "Cancelled before it started."
LOST = (
    "The sandbox or the machine that ran this job went away before it ended, so its result is not known. "
    "Run the job again; if it happens twice, tell the operator."
)


def claim_next(host: str) -> Job | None:
    """Take the job that waits longest."""
    waiting = Job.objects.filter(status=Status.QUEUED, cancel_requested_at=None).order_by("pk")
    return claims.claim(
        waiting, host=host, lease_seconds=STARTING_LEASE_SECONDS, status=Status.STARTING, claimed_at=timezone.now()
    )


def mark_running(job: Job) -> bool:
    """The user's code was started. False if the claim was lost, or the job is to be cancelled: see `renew`."""
    return claims.update(
        job,
        when=Job.objects.filter(status=Status.STARTING, cancel_requested_at=None),
        status=Status.RUNNING,
        started_at=timezone.now(),
        lease_expires_at=claims.lease_end(settings.LEASE_SECONDS),
    )


def renew(job: Job, *, seconds: float | None = None) -> bool:
    """Hold ``job`` for another lease, and learn whether it is to be cancelled. False if the claim was lost."""
    held = claims.update(
        job,
        when=Job.objects.filter(status__in=CLAIMED),
        lease_expires_at=claims.lease_end(seconds or settings.LEASE_SECONDS),
    )
    job.cancel_requested_at = Job.objects.values_list("cancel_requested_at", flat=True).get(pk=job.pk)
    return held


def settle(job: Job, *, status: str, **values: Any) -> bool:
    """Write the end of ``job``, once. False if it was settled before, or by another attempt."""
    with transaction.atomic():
        won = claims.update(
            job,
            when=Job.objects.filter(status__in=CLAIMED),
            status=status,
            ended_at=timezone.now(),
            lease_expires_at=None,
            **values,
        )
        if won:
            secrets.wipe(job)
            meter(job)
            transaction.on_commit(lambda: _announce(job))
    return won


def meter(job: Job) -> None:
    """Count ``job``, which has just become final, in the same transaction. Who ends one without `settle` calls it."""
    metering.record(
        job_id=job.pk,
        service_id=ServiceVersion.objects.values_list("service_id", flat=True).get(pk=job.version_id),
        version_id=job.version_id,
        account_id=job.account_id,
        subscription_id=job.subscription_id,
        outcome=job.status,
        reason=job.reason,
        wall_seconds=job.wall_seconds,
        cpu_seconds=job.cpu_seconds,
        ended_at=job.ended_at or timezone.now(),
    )


def requeue(job: Job) -> bool:
    """Give back a claimed job whose code was never started, for a new attempt. False if it is to be cancelled."""
    given_back = claims.update(
        job,
        when=Job.objects.filter(status=Status.STARTING, cancel_requested_at=None),
        status=Status.QUEUED,
        claimed_at=None,
        lease_expires_at=None,
    )
    if given_back:
        doorbell.ring("jobs.look")
    return given_back


def reap(*, is_here: Callable[[Job], bool]) -> None:
    """Settle what nobody holds any more. A job that may have been started is lost; another one waits again.

    ``is_here`` tells whether a slot of this host holds the job: then its next supervisor takes it up from there.
    """
    overdue = timezone.now() - timedelta(seconds=LOST_GRACE_SECONDS)
    for job in Job.objects.filter(status__in=CLAIMED, lease_expires_at__lt=overdue).order_by("pk"):
        never_started = job.status == Status.STARTING and job.host == settings.WORKER_HOST and not is_here(job)
        if never_started and job.cancel_requested_at is None:
            if requeue(job):  # else it was asked to end just now, and the next look ends it
                log.warning("Job %s was claimed and never started; it waits again.", job.pk)
                with suppress(RedisError):
                    logstream.delete(*job.log_name())  # nothing but its statuses is in it
        elif never_started:
            if settle(job, status=Status.CANCELLED, reason=Reason.CANCELLED, detail=NEVER_STARTED):
                doorbell.ring("jobs.close_log", job.pk)
        elif settle(job, status=Status.FAILED, reason=Reason.LOST, detail=LOST):
            log.warning("Job %s is lost: its lease ended and nobody renewed it.", job.pk)
            doorbell.ring("jobs.close_log", job.pk)


def ring_again() -> None:
    """Ring for jobs whose ring was lost. A ring too many finds nothing to do."""
    waiting = Job.objects.filter(status=Status.QUEUED, cancel_requested_at=None)
    for _job in waiting.values_list("pk")[: settings.JOB_SLOTS]:
        doorbell.ring("jobs.look")


def _announce(job: Job) -> None:
    for receiver, error in signals.job_finished.send_robust(sender=Job, job=job):
        if isinstance(error, Exception):
            log.error("%r failed on the end of job %s", receiver, job.pk, exc_info=error)
