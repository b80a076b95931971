"""How long ended jobs are kept, and taking them away: files, logs, input, keys. What was counted of them stays."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone
from redis.exceptions import RedisError

from jobs import results
from jobs.models import FINAL, Job, JobFile
from portal.accounts import quotas
from portal.accounts.models import Account, StorageUse
from portal.lib import logstream

log = logging.getLogger(__name__)

AT_A_TIME = 100
AT_MOST = 2_000  # in one go


class NotDeletable(ValidationError):
    """The job cannot be deleted now, and why."""


def kept_until(job: Job) -> datetime | None:
    """When ``job``, which has ended, is removed; None: never, or not before it ends."""
    days = quotas.limits_of(job.account_id).retention_days
    return None if days is None or job.ended_at is None else job.ended_at + timedelta(days=days)


def delete(*, job: Job) -> None:
    """Remove an ended job for good, now. Raises NotDeletable."""
    if job.is_live:
        raise NotDeletable("This job has not ended. Cancel it, then delete it.")
    if not job.log_archived:  # who ends its log is still at it, and would begin another one
        raise NotDeletable("This job has just ended, and its log is being put away. Delete it in a few seconds.")
    try:
        _remove(job)
    except RedisError:
        raise NotDeletable(
            "The broker does not answer, so the log of this job could not be deleted. Delete it in a minute."
        ) from None


def remove_expired() -> bool:
    """Remove what was kept long enough, in batches. Whether there is more."""
    left = AT_MOST
    for expired in _expired():
        while batch := list(expired.order_by("ended_at")[: min(AT_A_TIME, left)]):
            for job in batch:
                try:
                    _remove(job)
                except RedisError as error:
                    log.warning("Jobs that were kept long enough stay until the broker is back: %s", error)
                    return False
            left -= len(batch)
            if not left:
                return True
    return False


def recount_storage() -> None:
    """Count again what each account keeps, in case that files came or went without us, as in a restored backup."""
    for account_id in Account.objects.values_list("pk", flat=True).iterator():
        with transaction.atomic():
            # Who settles a job or removes one writes files first and this row last: seen here is both or none of it.
            row = StorageUse.objects.select_for_update().filter(account_id=account_id).first()
            size = JobFile.objects.filter(job__account_id=account_id).aggregate(size=Sum("size"))["size"] or 0
            if size != (row.bytes if row else 0):
                StorageUse.objects.update_or_create(account_id=account_id, defaults={"bytes": size})


def _expired() -> Iterator[QuerySet[Job]]:
    """The jobs that were kept long enough: of most accounts, then of each that keeps them for another time."""
    ended = Job.objects.filter(ended_at__isnull=False, status__in=FINAL)
    own = quotas.retention_days()
    if settings.RETENTION_DAYS:
        yield ended.filter(ended_at__lt=_days_ago(settings.RETENTION_DAYS)).exclude(account__in=own)
    for account_id, days in own.items():
        if days is not None:
            yield ended.filter(ended_at__lt=_days_ago(days), account=account_id)


def _days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def _remove(job: Job) -> None:
    """The row goes last, so that what dies in the middle of it is done again."""
    for number in range(1, max(job.attempt, 1) + 1):
        logstream.delete("job", job.pk, number)
    results.delete(job.pk)
    with transaction.atomic():
        size = JobFile.objects.filter(job=job).aggregate(size=Sum("size"))["size"] or 0
        _, removed = Job.objects.filter(pk=job.pk, status__in=FINAL).delete()
        if removed.get("jobs.Job"):  # else another was faster
            quotas.charge(job.account_id, -size)
