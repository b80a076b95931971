"""Ending and archiving the logs of jobs. While a job runs, its supervisor is the only writer."""

import logging
from datetime import timedelta
from uuid import UUID

from django.utils import timezone
from redis.exceptions import RedisError

from jobs.models import FINAL, Job
from portal.lib import doorbell, logstream

log = logging.getLogger(__name__)

LEFT_OPEN_AFTER_SECONDS = 5
LEFT_OPEN_AT_A_TIME = 50


def close(job: Job) -> None:
    """End the log of a settled job and have it archived. Twice is no error; a broker that is away means later."""
    try:
        writer = logstream.LogWriter(*job.log_name())
        writer.event("status", status=job.status)
        writer.close()
    except RedisError as error:
        log.warning("The log of job %s stays open until the broker is back: %s", job.pk, error)
        return
    doorbell.ring("jobs.archive_log", *job.log_name()[1:])


def archive(job_id: UUID, attempt: int) -> None:
    """Move the log of one attempt to storage, and note it on the row. Twice is no error."""
    logstream.archive("job", job_id, attempt)
    Job.objects.filter(pk=job_id, attempt__lte=attempt, status__in=FINAL).update(log_archived=True)


def close_left_open() -> None:
    """Close the logs that nobody closed: their supervisor died, or the broker was away at the end of the job."""
    overdue = timezone.now() - timedelta(seconds=LEFT_OPEN_AFTER_SECONDS)
    left_open = Job.objects.filter(log_archived=False, status__in=FINAL, ended_at__lt=overdue).order_by("pk")
    for job in left_open[:LEFT_OPEN_AT_A_TIME]:
        close(job)
