"""What a claim asks of the queue, in queries whose SQL is made once: a busy host asks them for every job."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from jobs.models import Job, JobInput, Status
from portal.lib.prepared import Prepared, Rows
from services import runtimes
from services.models import ServiceVersion

UNREAD = ("openapi", "warnings")  # columns of a version that may be long, and that nothing which runs a job reads


def waiting(now: datetime | None = None) -> QuerySet[Job]:
    """The jobs that may be claimed, as far as their rows say; the limits of accounts and versions are apart."""
    in_time = Q(deadline_at=None) | Q(deadline_at__gt=now or timezone.now())
    return Job.objects.filter(in_time, status=Status.QUEUED, cancel_requested_at=None)


def is_empty() -> bool:
    """Whether nothing waits."""
    return _any.row(now=timezone.now()) is None


def first(*, not_of: Collection[UUID], not_versions: Collection[UUID]) -> UUID | None:
    """The job that waits longest and that this host may run; none ``not_of`` these accounts, nor of these versions."""
    missing = tuple(runtimes.missing())  # else a host without a container engine would take what it cannot run
    if not not_versions and len(not_of) <= 1:
        accounts = dict(zip(("account",), not_of, strict=False))
        found = _first(missing, bool(accounts)).row(now=timezone.now(), **accounts)
        return None if found is None else found[0]
    # Excluding accounts keeps SQLite on the index of the queue: by the ids of others it would look for all that these
    # ever ran.
    free = _for_host(waiting(), missing).exclude(version__in=not_versions).exclude(account__in=not_of)
    return free.order_by("pk").values_list("pk", flat=True).first()


def claimed() -> list[tuple[UUID, UUID, int | None, int | None]]:
    """Of each job that somebody holds: account and version, and how many of either may run at once."""
    return _claimed.rows()


def load(pk: UUID) -> Job:
    """A job with its version and its input."""
    row = _whole.row(pk=pk)
    if row is None:
        raise Job.DoesNotExist
    names = [_columns(Job), _columns(ServiceVersion), _columns(JobInput)]
    job: Job = Job.from_db(DEFAULT_DB_ALIAS, names[0], row[: len(names[0])])
    row = row[len(names[0]) :]
    job.version = ServiceVersion.from_db(DEFAULT_DB_ALIAS, names[1], row[: len(names[1])])
    row = row[len(names[1]) :]
    if row[0] is not None:
        job.input = JobInput.from_db(DEFAULT_DB_ALIAS, names[2], row)
    return job


def _for_host(jobs: QuerySet[Job], missing: tuple[str, ...]) -> QuerySet[Job]:
    return jobs.exclude(version__in=ServiceVersion.objects.filter(runtime__in=missing)) if missing else jobs


@cache
def _first(missing: tuple[str, ...], not_of_one: bool) -> Prepared:
    def build(now: datetime, account: UUID | None = None) -> Rows:
        free = _for_host(waiting(now), missing)
        return (free.exclude(account=account) if account else free).order_by("pk").values_list("pk")[:1]

    return Prepared(build, now=datetime, **({"account": UUID} if not_of_one else {}))


@cache
def _columns(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if field.name not in UNREAD]


def _whole_row(pk: UUID) -> Rows:
    names = [*_columns(Job), *(f"version__{name}" for name in _columns(ServiceVersion))]
    return Job.objects.filter(pk=pk).values_list(*names, *(f"input__{name}" for name in _columns(JobInput)))


def _claimed_rows() -> QuerySet[Any, tuple[Any, ...]]:
    held = Job.objects.filter(lease_expires_at__isnull=False)
    return held.values_list("account_id", "version_id", "account__limits__running_jobs", "version__concurrency")


_any = Prepared(lambda now: waiting(now).values_list("pk")[:1], now=datetime)
_whole = Prepared(_whole_row, pk=UUID)
_claimed = Prepared(_claimed_rows)
