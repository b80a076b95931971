"""What came of an execution that has ended: status, reason and files of its job, settled in one transaction."""

import logging
from dataclasses import replace

from django.conf import settings
from django.db import transaction

from jobs import claiming, results
from jobs.announcements import Answer
from jobs.markers import Failure, Result, Unreadable
from jobs.masking import Masks
from jobs.models import Job, JobFile, Reason, Status
from portal.accounts import quotas
from services import runtimes
from services.runtimes.base import ErrorReport, Execution, Outcome

log = logging.getLogger(__name__)


def settle(job: Job, execution: Execution, answer: Answer | None, masks: Masks) -> None:
    """Write the end of ``job`` with its files, or have it wait for another attempt. Twice is no error."""
    outcome = _told(execution.outcome(), answer, masks)
    if outcome.reason == Reason.LOST and claiming.retry(job, detail=claiming.LOST_ATTEMPT):
        return
    status, reason, detail, files = _judge(job, execution, outcome, answer)
    error = outcome.error and {
        "type": outcome.error.type,
        "message": outcome.error.message,
        "frames": outcome.error.frames,
    }
    with transaction.atomic():
        won = claiming.settle(
            job,
            status=status,
            reason=reason,
            detail=detail,
            error=error,
            wall_seconds=outcome.usage.wall_seconds,
            cpu_seconds=outcome.usage.cpu_seconds,
            memory_peak_bytes=outcome.usage.memory_peak_bytes,
            limit_tier=runtimes.get(job.version.runtime).tier(),
        )
        if won:
            JobFile.objects.bulk_create(files)
            quotas.charge(job.account_id, sum(file.size for file in files))
    if not won:
        job.refresh_from_db(fields=["status"])  # another attempt may have followed: this object stays the one of ours


def _judge(
    job: Job, execution: Execution, outcome: Outcome, answer: Answer | None
) -> tuple[str, str, str, list[JobFile]]:
    """Status, reason, detail and files. A failed job keeps the files that it wrote."""
    files: list[JobFile] = []
    refused = ""
    try:
        files = results.collect(
            job,
            execution.output,
            max_bytes=settings.JOB_OUTPUT_MAX_BYTES,
            max_files=settings.JOB_OUTPUT_MAX_FILES,
        )
    except results.OutputRefused as error:
        refused = str(error)
    except FileNotFoundError:
        log.warning("The output folder of job %s is gone.", job.pk)
    if outcome.reason == Reason.CANCELLED:
        return Status.CANCELLED, Reason.CANCELLED, outcome.detail, files
    if outcome.reason == Reason.DEADLINE:
        return Status.FAILED, Reason.DEADLINE, claiming.DEADLINE_WHILE_RUNNING, files
    if outcome.reason:
        return Status.FAILED, outcome.reason, outcome.detail, files
    if refused:
        return Status.FAILED, Reason.OUTPUT_TOO_LARGE, refused, []
    if all(file.name != results.RESULT_NAME for file in files):  # else the file wins over what was printed
        if isinstance(answer, Unreadable):
            return Status.FAILED, Reason.INVALID_RESULT, answer.problem, files
        if isinstance(answer, Result):
            files.append(results.keep(job, answer.content))
    return Status.SUCCEEDED, "", "", files


def _told(outcome: Outcome, answer: Answer | None, masks: Masks) -> Outcome:
    """``outcome`` with the error that the code printed as its answer, and without the values of its secrets."""
    if isinstance(answer, Failure) and outcome.reason in ("", Reason.ERROR) and outcome.error is None:
        detail = f"The code answered with the error {answer.code}: {answer.detail}".removesuffix(": ")
        error = ErrorReport(type=answer.code, message=answer.detail, frames=[])
        outcome = replace(outcome, reason=Reason.ERROR, detail=detail, error=error)
    if masks and outcome.error is not None:
        told = outcome.error
        error = ErrorReport(
            type=masks.text(told.type),
            message=masks.text(told.message),
            frames=[masks.text(each) for each in told.frames],
        )
        outcome = replace(outcome, error=error)
    is_of_the_code = outcome.reason in (Reason.ERROR, Reason.INVALID_INPUT, Reason.INVALID_RESULT)
    return replace(outcome, detail=masks.text(outcome.detail)) if masks and is_of_the_code else outcome
