"""Accepting work and taking it back. Running it is execution.py's business."""

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from jobs import inputs, secrets
from jobs.claiming import NEVER_STARTED, meter
from jobs.inputs import InputRefused, Refused, Sent
from jobs.models import LIVE, IdempotencyKey, Job, JobInput, JobTag, Reason, Status
from portal.accounts import quotas
from portal.accounts.actors import Actor
from portal.accounts.models import Account
from portal.lib import doorbell
from portal.lib.sizes import in_words, limit_in_words
from services import catalogue
from services.models import Service, ServiceVersion, Subscription

IDEMPOTENCY_KEY_MAX_CHARACTERS = 255
IDEMPOTENCY_KEY_HOURS = 48
QUEUE_RETRY_SECONDS = 30
KEY_WANTED = (
    f"The Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_MAX_CHARACTERS} characters of ASCII that can be printed. "
    "Send a random one, such as a UUID."
)


class NotRunnable(Refused):
    """The version takes no new jobs of the account."""

    def __init__(self, message: str) -> None:
        super().__init__("not_published", message)


class QueueFull(Refused):
    """As many jobs of the account wait as may."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": str(QUEUE_RETRY_SECONDS)}

    def __init__(self, limit: int) -> None:
        super().__init__(
            "queue_full",
            f"As many jobs of this account wait already as its limit allows: {limit:,} (JOBS_QUEUED_MAX). Wait until "
            "some have ended, cancel some, or ask the operator for a higher limit.",
            limit=limit,
        )


class StorageFull(Refused):
    """The account keeps as many bytes of files as it may."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            "storage_full",
            f"The result files of this account take {in_words(size)}, and its limit is {limit_in_words(limit)} "
            "(STORAGE_MAX_BYTES). Delete jobs whose files are not needed any more, or ask the operator "
            "for a higher limit.",
            size=size,
            limit=limit,
        )


class IdempotencyKeyReused(Refused):
    """The key belongs to another request."""

    def __init__(self) -> None:
        super().__init__(
            "idempotency_key_reused",
            "This Idempotency-Key was sent before with another body. Send the same body for the first answer, or a new "
            "key for a new execution.",
        )


def submit(
    *,
    version: ServiceVersion,
    sent: Sent,
    account: Account,
    by: Actor,
    subscription: Subscription | None = None,
    idempotency_key: str = "",
    body_digest: str = "",
) -> Job:
    """Accept one execution of ``version`` for ``account``: the job is in the database when this returns.

    A second call of ``subscription`` with the same ``idempotency_key`` and ``body_digest`` gets the job of the first,
    also while the first is not committed: it waits. Raises Refused.
    """
    if subscription is None:
        idempotency_key = ""
    if idempotency_key and (first := _first_answer(subscription, idempotency_key, body_digest)):
        return first
    _check_version(version, account)
    deadline_at = inputs.deadline_at(sent)
    inputs.check_schema(sent, version)
    _check_limits(account)
    try:
        with transaction.atomic():
            job = Job.objects.create(
                account=account,
                version=version,
                created_by=by.user,
                subscription=subscription,
                tags=list(sent.tags),
                deadline_at=deadline_at,
            )
            if idempotency_key and subscription is not None:
                # A unique row: another transaction with the same key waits here for the end of this one.
                IdempotencyKey.objects.create(
                    subscription=subscription, key=idempotency_key, body_digest=body_digest, job=job
                )
            _keep(job, sent)
            doorbell.ring("jobs.look")
    except IntegrityError:
        if idempotency_key and (first := _first_answer(subscription, idempotency_key, body_digest)):
            return first
        raise
    return job


def forget_idempotency_keys() -> None:
    """Remove the keys that were kept long enough; the jobs stay."""
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - timedelta(hours=IDEMPOTENCY_KEY_HOURS)).delete()


def cancel(*, job: Job, by: Actor) -> None:
    """Ask for ``job`` to end. Final jobs stay as they are: cancelling twice is no error."""
    with transaction.atomic():
        asked = Job.objects.filter(pk=job.pk, status__in=LIVE, cancel_requested_at=None)
        asked.update(cancel_requested_at=Now(), cancel_requested_by=by.user)  # claims refuse it from here on
        ended = Job.objects.filter(pk=job.pk, status=Status.QUEUED).update(
            status=Status.CANCELLED, reason=Reason.CANCELLED, detail=NEVER_STARTED, ended_at=Now()
        )
        job.refresh_from_db()
        if ended:
            secrets.wipe(job)
            meter(job)
            doorbell.ring("jobs.close_log", job.pk)
        elif job.host:
            doorbell.ring("jobs.cancel", job.pk, queue=doorbell.host_queue(job.host))  # now, not at the next renewal


def objection(service: Service) -> str | None:
    """Why ``service`` must not be deleted now: services.publishing asks."""
    count = Job.objects.live().filter(version__service=service).count()
    if not count:
        return None
    jobs = "1 job of it is" if count == 1 else f"{count} jobs of it are"
    return f"{jobs} still waiting or running. Wait for the end, or cancel, then delete the service."


def _first_answer(subscription: Subscription | None, key: str, body_digest: str) -> Job | None:
    if len(key) > IDEMPOTENCY_KEY_MAX_CHARACTERS or not (key.isascii() and key.isprintable()):
        raise InputRefused("invalid_request", KEY_WANTED)
    found = IdempotencyKey.objects.filter(subscription=subscription, key=key).select_related("job").first()
    if found is None:
        return None
    if found.body_digest != body_digest:
        raise IdempotencyKeyReused
    return found.job


def _check_version(version: ServiceVersion, account: Account) -> None:
    if not version.is_runnable:
        raise NotRunnable(
            f"Version {version.number} has no finished build. Wait for its build, or mend it, then run the job."
        )
    if not catalogue.may_run(version, account):
        raise NotRunnable(
            f"Version {version.number} takes no new jobs of {account}: it was retired, or it is not offered to this "
            "account. Choose another version, or ask the provider."
        )


def _check_limits(account: Account) -> None:
    """Refuse what an account at its limits would add. Calls at the same moment may go over them by their number."""
    limits = quotas.limits_of(account.pk)
    if limits.queued_jobs is not None:
        waiting = Job.objects.filter(account=account, status=Status.QUEUED).order_by("account", "pk")
        if waiting.values_list("pk")[limits.queued_jobs - 1 : limits.queued_jobs]:
            raise QueueFull(limits.queued_jobs)
    if limits.storage_bytes is not None and (size := quotas.storage_of(account.pk)) >= limits.storage_bytes:
        raise StorageFull(size, limits.storage_bytes)


def _keep(job: Job, sent: Sent) -> None:
    JobInput.objects.create(
        job=job,
        data=sent.data,
        params=sent.params,
        more=dict(sent.more),
        secrets=secrets.seal(sent.secrets),
        secret_count=len(sent.secrets),
    )
    if job.subscription_id is not None and sent.tags:
        JobTag.objects.bulk_create(
            JobTag(job=job, subscription_id=job.subscription_id, name=name) for name in sent.tags
        )
