"""Who writes a job's row, and when: every step of its life is one conditional UPDATE, fenced by the attempt."""

import logging
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from redis.exceptions import RedisError

from jobs import queue, secrets, signals
from jobs.models import CLAIMED, Job, JobAttempt, JobInterim, Reason, Status
from portal.accounts import quotas
from portal.lib import claims, doorbell, logstream
from services import builds, metering, runtimes
from services.models import ServiceVersion

log = logging.getLogger(__name__)

STARTING_LEASE_SECONDS = 10  # what comes between claim and start takes milliseconds, or renews the lease
FRESH_SECONDS = 0.5  # for so long after the claim its own lease is as good as a renewed one
STOP_LEASE_SECONDS = 600  # a planned stop: the sandbox runs on while its worker is upgraded
LOST_GRACE_SECONDS = 2  # the host kills a sandbox before its lease ends; the row is settled only after that
TAKE_UP_MAX_SECONDS = 60  # how long after the end of its lease a slot of this host may still tell how its job ended
OVERDUE_AT_A_TIME = 500
HOST_SEEN_DAYS = 7  # a host that has ended no job and begun no build for so long is none any more

TURN = 0x6D6572636174  # the advisory lock under which jobs are claimed
TURN_MAX_SECONDS = 15

NEVER_STARTED = "Cancelled before it started."
DEADLINE_BEFORE_START = (
    "Its deadline passed while it waited, so its code was not started. Send it again with a later deadline, or ask the "
    "operator for more slots."
)
DEADLINE_WHILE_RUNNING = (
    "Its deadline passed while it ran, so it was ended. Send it again with a later deadline, or give it less to do."
)
LOST_ATTEMPT = "The sandbox or the machine that ran this attempt went away before it ended."
LOST = (
    "The sandbox or the machine that ran this job went away before it ended, so its result is not known. "
    "Run the job again; if it happens twice, tell the operator."
)


def claim_next(host: str) -> Job | None:
    """Take the next job: of the account with the fewest running ones, that which waits longest.

    None where none is left, or all are of accounts and versions that run as many as they may: whoever ends one of those
    rings again. Claims come one after the other, so that counting and taking are one step and no limit is exceeded; the
    conditional UPDATE stays the authority.
    """
    if queue.is_empty():  # without the turn, for which others wait
        return None
    left: set[UUID] = set()  # versions that this host cannot run and another one may
    with transaction.atomic():
        _wait_for_turn()
        while (chosen := _choose(left)) is not None:
            won = (
                queue.waiting()
                .filter(pk=chosen)
                .update(
                    attempt=F("attempt") + 1,
                    host=host,
                    lease_expires_at=claims.lease_end(STARTING_LEASE_SECONDS),
                    status=Status.STARTING,
                    claimed_at=timezone.now(),
                )
            )
            if won:  # else it was cancelled just now
                job = queue.load(chosen)
                if not _is_for_another_host(job):
                    return job
                _unclaim(job)
                left.add(job.version_id)
    return None


def obstacle(job: Job) -> str:
    """Why ``job`` waits although slots may be free, in words; empty where it is only not its turn yet."""
    running, full_accounts, full_versions = _in_use()
    before = "Waits for another job to end."
    if job.account_id in full_accounts:
        return f"{before} This account runs {running[job.account_id]} at once, which is its limit (JOBS_RUNNING_MAX)."
    if job.version_id in full_versions:
        most = f"runs {job.version.concurrency} at once, which is its limit (concurrency)"
        return f"{before} Version {job.version.number} {most}."
    if lack := runtimes.lack(job.version.runtime, job.version.environment):
        return (
            f"Waits for a host with {lack}, which this one does not have. If no other host has it, ask the operator to "
            "install it for all users, or the provider for a version with another Python."
        )
    return ""


def _is_for_another_host(job: Job) -> bool:
    """Whether this host cannot run ``job``, and there are others. Where there are none, it is told why it fails."""
    lack = runtimes.lack(job.version.runtime, job.version.environment)
    if not lack or not _has_other_hosts():
        return False
    log.info("Job %s is left to other hosts: it needs %s.", job.pk, lack)
    return True


def _has_other_hosts() -> bool:
    recent = Job.objects.filter(ended_at__gt=timezone.now() - timedelta(days=HOST_SEEN_DAYS))
    return builds.has_other_hosts() or recent.exclude(host__in=("", settings.WORKER_HOST)).exists()


def _unclaim(job: Job) -> None:
    """Undo a claim of which nobody knows yet: its transaction goes on."""
    Job.objects.filter(pk=job.pk).update(
        attempt=F("attempt") - 1, lease_expires_at=None, status=Status.QUEUED, claimed_at=None
    )


def _wait_for_turn() -> None:
    """Be the only one that claims, to the end of the transaction. On SQLite the transaction itself is that."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # A host that freezes in its turn must not hold up the others for longer than this.
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{TURN_MAX_SECONDS}s'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])


def _choose(left: Collection[UUID]) -> UUID | None:
    """The job whose turn it is. Costs a walk over the queue at most, in its own index, and mostly its first row."""
    running, full_accounts, full_versions = _in_use()
    for count in sorted({0, *(running[account] for account in running.keys() - full_accounts)}):
        busier = {account for account in running if running[account] > count} | full_accounts
        # Those with fewer have nothing that waits.
        if (found := queue.first(not_of=busier, not_versions=full_versions.union(left))) is not None:
            return found
    return None


def _in_use() -> tuple[Counter[UUID], set[UUID], set[UUID]]:
    """How many jobs each account runs; the accounts and the versions that run as many as they may."""
    rows = queue.claimed()
    accounts, versions = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
    full_accounts = {row[0] for row in rows if accounts[row[0]] >= (quotas.running_jobs(row[2]) or len(rows) + 1)}
    full_versions = {row[1] for row in rows if row[3] is not None and versions[row[1]] >= row[3]}
    return accounts, full_accounts, full_versions


def is_fresh(job: Job) -> bool:
    """Whether ``job`` was claimed in this moment, so that nearly all of its first lease is left."""
    return job.claimed_at is not None and abs(timezone.now() - job.claimed_at) < timedelta(seconds=FRESH_SECONDS)


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
    with transaction.atomic(savepoint=False):
        won = claims.update(
            job,
            when=Job.objects.filter(status__in=CLAIMED),
            status=status,
            ended_at=timezone.now(),
            lease_expires_at=None,
            **values,
        )
        if won:
            _close_books(job)
    return won


def meter(job: Job) -> None:
    """Count ``job``, which has just become final, in the same transaction. Who ends one without `settle` calls it."""
    metering.record(
        job_id=job.pk,
        service_id=job.version.service_id,
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


def give_back(job: Job) -> None:
    """Have a claimed job wait again whose starter died before any code of it ran, or end it where that is asked for."""
    if requeue(job):
        log.warning("Job %s was claimed and never started; it waits again.", job.pk)
        with suppress(RedisError):
            logstream.delete(*job.log_name())  # nothing but its statuses is in it
        return
    asked = Job.objects.filter(pk=job.pk, cancel_requested_at__isnull=False)
    if asked.exists() and settle(job, status=Status.CANCELLED, reason=Reason.CANCELLED, detail=NEVER_STARTED):
        doorbell.ring("jobs.close_log", job.pk)


def retry(job: Job, *, detail: str) -> bool:
    """Have a claimed job wait again whose attempt was cut off by a sandbox or a host that went away.

    False where its version does not allow it, where it was started often enough, where it is to be cancelled, or where
    the claim was lost: then it is to be settled. The attempt is kept, with its log; what it announced is not.
    """
    cut_off = JobAttempt(
        job_id=job.pk,
        number=job.attempt,
        host=job.host,
        started_at=job.started_at,
        ended_at=timezone.now(),
        reason=Reason.LOST,
        detail=detail,
    )
    with transaction.atomic():
        waits = _may_start_again(job) and claims.update(
            job,
            when=Job.objects.filter(status__in=CLAIMED, cancel_requested_at=None),
            status=Status.QUEUED,
            claimed_at=None,
            started_at=None,
            lease_expires_at=None,
            progress=None,
            progress_message="",
            progress_at=None,
        )
        if waits:
            cut_off.save(force_insert=True)
            JobInterim.objects.filter(job=job).delete()
            doorbell.ring("jobs.look")
    if waits:
        log.warning("Attempt %s of job %s was cut off; it waits for another one.", job.attempt, job.pk)
    return waits


def end_overdue() -> None:
    """Fail the waiting jobs whose deadline has passed. Those that run are ended where they run."""
    overdue = Job.objects.filter(status=Status.QUEUED, ended_at=None, deadline_at__lte=timezone.now())
    for job in overdue.order_by("deadline_at")[:OVERDUE_AT_A_TIME]:
        with transaction.atomic():
            ended = claims.update(
                job,
                when=Job.objects.filter(status=Status.QUEUED),
                status=Status.FAILED,
                reason=Reason.DEADLINE,
                detail=DEADLINE_BEFORE_START,
                ended_at=timezone.now(),
            )
            if ended:
                _close_books(job)
                doorbell.ring("jobs.close_log", job.pk)


def reap(*, is_here: Callable[[Job], bool]) -> None:
    """Settle what nobody holds any more. A job that may have been started is lost; another one waits again.

    ``is_here`` tells whether a slot of this host holds the job: then its next supervisor takes it up from there, and
    knows how it ended, unless none comes for long.
    """
    now = timezone.now()
    overdue = now - timedelta(seconds=LOST_GRACE_SECONDS)
    hopeless = now - timedelta(seconds=TAKE_UP_MAX_SECONDS)
    for job in Job.objects.filter(status__in=CLAIMED, lease_expires_at__lt=overdue).order_by("pk"):
        is_ours = job.host == settings.WORKER_HOST and is_here(job)
        if is_ours and job.lease_expires_at is not None and job.lease_expires_at > hopeless:
            continue
        if job.status == Status.STARTING and job.host == settings.WORKER_HOST and not is_ours:
            give_back(job)
        elif retry(job, detail=LOST_ATTEMPT):
            if not is_ours:  # else who takes up what is in the slot closes it
                doorbell.ring("jobs.close_attempt", job.pk, job.attempt)
        elif settle(job, status=Status.FAILED, reason=Reason.LOST, detail=LOST):
            log.warning("Job %s is lost: its lease ended and nobody renewed it.", job.pk)
            doorbell.ring("jobs.close_log", job.pk)


def ring_again(*, at_most: int | None = None) -> None:
    """Ring for jobs whose ring was lost, or which could not run before. A ring too many finds nothing to do."""
    for _job in queue.waiting().values_list("pk")[: at_most or settings.JOB_SLOTS]:
        doorbell.ring("jobs.look")


def _may_start_again(job: Job) -> bool:
    starts = JobAttempt.objects.filter(job=job).count() + 1
    allowed = ServiceVersion.objects.filter(pk=job.version_id, retryable=True)
    return starts < settings.JOB_ATTEMPTS_MAX and allowed.exists()


def _close_books(job: Job) -> None:
    """What comes with an end, in the transaction that makes ``job`` final."""
    secrets.wipe(job)
    meter(job)
    transaction.on_commit(lambda: _announce(job))


def _announce(job: Job) -> None:
    for receiver, error in signals.job_finished.send_robust(sender=Job, job=job):
        if isinstance(error, Exception):
            log.error("%r failed on the end of job %s", receiver, job.pk, exc_info=error)
