"""What an account may use, and what it keeps. Who takes more asks here first, and says which limit is in the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import F

from portal.accounts.models import Account, AccountLimits, StorageUse


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one account; None: there is none."""

    running_jobs: int | None
    queued_jobs: int | None
    storage_bytes: int | None
    retention_days: int | None


def limits_of(account_id: UUID) -> Limits:
    """What the operator gave the account, else what the settings give everybody."""
    row = AccountLimits.objects.filter(account_id=account_id).first() or AccountLimits()
    return Limits(
        running_jobs=_limit(row.running_jobs, settings.JOBS_RUNNING_MAX),
        queued_jobs=_limit(row.queued_jobs, settings.JOBS_QUEUED_MAX),
        storage_bytes=_limit(row.storage_bytes, settings.STORAGE_MAX_BYTES),
        retention_days=_limit(row.retention_days, settings.RETENTION_DAYS),
    )


def running_jobs(own: int | None) -> int | None:
    """The limit of running jobs of an account whose row says ``own``."""
    return _limit(own, settings.JOBS_RUNNING_MAX)


def retention_days() -> Mapping[UUID, int | None]:
    """How long the accounts keep their jobs that keep them for another time than the settings say."""
    own = AccountLimits.objects.filter(retention_days__isnull=False)
    return {account: _limit(days, 0) for account, days in own.values_list("account_id", "retention_days")}


def storage_of(account_id: UUID) -> int:
    """How many bytes of files the account keeps."""
    return StorageUse.objects.values_list("bytes", flat=True).filter(account_id=account_id).first() or 0


def charge(account_id: UUID, size: int) -> None:
    """Count ``size`` bytes that the account keeps from now on, or fewer where it is negative.

    In the transaction that writes or removes the rows of the files.
    """
    if not size:
        return
    row = StorageUse.objects.filter(account_id=account_id)
    if not row.update(bytes=F("bytes") + size):
        StorageUse.objects.bulk_create([StorageUse(account_id=account_id)], ignore_conflicts=True)
        row.update(bytes=F("bytes") + size)


def set_limits(*, account: Account, **limits: int | None) -> AccountLimits:
    """Give ``account`` limits of its own; None: as the settings say. What is not named stays."""
    return AccountLimits.objects.update_or_create(account=account, defaults=limits)[0]


def _limit(own: int | None, general: int) -> int | None:
    """0 stands for no limit, in the row of an account and in the settings."""
    return (general if own is None else own) or None
