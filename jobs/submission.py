"""Accepting work and taking it back. Running it is execution.py's business."""

import json
from typing import NoReturn

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.db.models.functions import Now

from jobs.claiming import NEVER_STARTED
from jobs.models import LIVE, Job, JobInput, Reason, Status
from portal.accounts.actors import Actor
from portal.accounts.models import Account
from portal.lib import doorbell
from services.models import Service, ServiceVersion


def submit(*, version: ServiceVersion, data: str, params: str, account: Account, by: Actor) -> Job:
    """Accept one execution of ``version`` for ``account``: the job is in the database when this returns.

    ``data`` and ``params`` are JSON texts (RFC 8259), kept as they are; an empty one means ``{}``. Raises a
    ValidationError whose keys are the names of the arguments.
    """
    texts = {"data": data.strip() or "{}", "params": params.strip() or "{}"}
    errors = {name: error for name, text in texts.items() if (error := _defect(name, text))}
    if not version.is_runnable:
        errors[NON_FIELD_ERRORS] = (
            f"Version {version.number} has no finished build. Wait for its build, or mend it, then run the job."
        )
    if errors:
        raise ValidationError(errors)
    with transaction.atomic():
        job = Job.objects.create(account=account, version=version, created_by=by.user)
        JobInput.objects.create(job=job, **texts)
        doorbell.ring("jobs.look")
    return job


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


def _defect(name: str, text: str) -> str:
    """What is wrong with a JSON text, in words; empty if nothing is."""
    size = len(text.encode())
    if size > settings.INPUT_MAX_BYTES:
        return (
            f"`{name}` has {size:,} bytes, and {settings.INPUT_MAX_BYTES:,} are allowed. "
            "Send less, or let the code read the bulk from a file of its own project."
        )
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        return f"`{name}` is not valid JSON: {error.msg}, at line {error.lineno}, column {error.colno}."
    except RecursionError:
        return f"`{name}` is nested too deeply to be read. Flatten it."
    except ValueError as error:
        return f"`{name}` is not valid JSON: {error}"
    return ""


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not part of JSON (RFC 8259). Use null or a string instead.")
