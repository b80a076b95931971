"""Ending and archiving the logs of jobs. While a job runs, its supervisor is the only writer."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from redis.exceptions import RedisError

from jobs.models import FINAL, Job, JobAttempt
from portal.lib import doorbell, logstream

log = logging.getLogger(__name__)

LEFT_OPEN_AFTER_SECONDS = 5
LEFT_OPEN_AT_A_TIME = 50
STRANDED_AFTER_SECONDS = 60  # the log of an attempt whose host does not come back


def close(job: Job) -> None:
    """End the log of a settled job and have it archived. Twice is no error; a broker that is away means later."""
    try:
        logstream.LogWriter(*job.log_name()).close(status=job.status)
    except RedisError as error:
        log.warning("The log of job %s stays open until the broker is back: %s", job.pk, error)
        return
    doorbell.ring("jobs.archive_log", *job.log_name()[1:])


def close_attempt(job_id: UUID, number: int) -> None:
    """End the log of an attempt that was cut off, and have it archived. Twice is no error."""
    try:
        logstream.LogWriter("job", job_id, number).close()
    except RedisError as error:
        log.warning("The log of attempt %s of job %s stays open until the broker is back: %s", number, job_id, error)
        return
    doorbell.ring("jobs.archive_log", job_id, number)


def archive(job_id: UUID, attempt: int) -> Mapping[str, int]:
    """Move the log of one attempt to storage, and note it on the row. Twice is no error.

    How many bytes of each channel storage has then.
    """
    stored = logstream.archive("job", job_id, attempt)
    ended = Job.objects.filter(pk=job_id, attempt__lte=attempt, status__in=FINAL, log_archived=False)
    if not ended.update(log_archived=True):  # where both are to be noted, the tick comes back for the attempt
        JobAttempt.objects.filter(job=job_id, number=attempt).update(log_archived=True)
    return stored


def close_left_open(*, is_here: Callable[[Job], bool]) -> None:
    """Close the logs that nobody closed: their supervisor died, or the broker was away at the end of the job.

    ``is_here`` tells whether a slot of this host still holds the job: then its supervisor has more to write.
    """
    overdue = timezone.now() - timedelta(seconds=LEFT_OPEN_AFTER_SECONDS)
    left_open = Job.objects.filter(log_archived=False, status__in=FINAL, ended_at__lt=overdue)
    ours = left_open.filter(host__in=("", settings.WORKER_HOST)).order_by("ended_at")
    for job in ours[:LEFT_OPEN_AT_A_TIME]:
        if not is_here(job):
            close(job)
    _close_attempts_left_open(is_here)


def _close_attempts_left_open(is_here: Callable[[Job], bool]) -> None:
    now = timezone.now()
    ours = Q(host=settings.WORKER_HOST, ended_at__lt=now - timedelta(seconds=LEFT_OPEN_AFTER_SECONDS))
    stranded = Q(ended_at__lt=now - timedelta(seconds=STRANDED_AFTER_SECONDS))
    for attempt in JobAttempt.objects.filter(ours | stranded, log_archived=False)[:LEFT_OPEN_AT_A_TIME]:
        if not is_here(Job(pk=attempt.job_id, attempt=attempt.number)):
            close_attempt(attempt.job_id, attempt.number)
