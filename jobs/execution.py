"""Supervising one job: start it or find it again, carry its output to the log, hold its lease, settle it once.

The sandbox does not depend on this process. What a dead supervisor left in a slot is taken up before anything new, and
goes on from the byte that the log already has.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from django.conf import settings
from django.db import DatabaseError, transaction
from redis.exceptions import RedisError

from jobs import claiming, results, secrets
from jobs.models import CLAIMED, FINAL, Job, JobFile, Reason, Status
from portal.lib import doorbell
from portal.lib.logstream import LogEnded, LogWriter
from services import runtimes, sources
from services.runtimes import slots
from services.runtimes.base import Execution, JobSpec, Limits, Outcome, Runtime
from services.runtimes.slots import Slot

log = logging.getLogger(__name__)

CHANNELS = ("out", "err")
CHUNK_BYTES = 256 * 1024
CARRY_SECONDS = 1.0  # what a job prints faster than the broker takes it must not keep us from renewing the lease
BROKER_RETRY_SECONDS = 0.5

NOT_STARTED = (
    "Mercato could not start this job, and your code did not run. The operator finds the cause in the server's log "
    "under the id of this job. Run it again later."
)

stopping = threading.Event()  # set when this worker is told to stop: supervision ends, sandboxes run on


def look() -> bool:
    """Answer one ring: take up what a dead supervisor left in a slot, else the job that waits longest.

    Returns whether there was anything to do.
    """
    if stopping.is_set() or (slot := slots.acquire("job")) is None:
        return False
    try:
        if (execution := attach(slot)) is not None:
            return _take_up(execution, slot)
        job = claiming.claim_next(settings.WORKER_HOST)
        if job is None:
            return False
        _start(job, slot)
        return True
    finally:
        slot.release()
        if not stopping.is_set() and Job.objects.filter(status=Status.QUEUED, cancel_requested_at=None).exists():
            doorbell.ring("jobs.look")


def attach(slot: Slot) -> Execution | None:
    """The execution in ``slot``, whichever runtime started it."""
    return next((found for runtime in _runtimes() if (found := runtime.attach(slot)) is not None), None)


def find(job: Job) -> Execution | None:
    """The execution of ``job`` in a slot of this host."""
    wanted = (job.pk, job.attempt)
    executions = (attach(slot) for slot in slots.occupied("job"))
    return next((found for found in executions if found and (found.job_id, found.attempt) == wanted), None)


def is_here(job: Job) -> bool:
    """Whether a slot of this host holds ``job``, running or ended."""
    return find(job) is not None


def kill(job: Job, reason: str) -> None:
    """End every process of ``job`` on this host, if it is here; its supervisor settles it."""
    if (execution := find(job)) is not None:
        execution.kill(reason)


def kill_expired() -> None:
    """Fence this host: end each sandbox whose lease nobody could renew, before another host may settle its job."""
    for slot in slots.expired("job"):
        execution = attach(slot)
        if execution is not None and not execution.ended():
            log.error("The lease of job %s could not be renewed; its sandbox ends.", execution.job_id)
            execution.kill(Reason.LOST)


def ring_for_leftovers() -> None:
    """Ring for jobs in slots of this host that nobody holds: the database failed their supervisor, or the code did."""
    for _slot in slots.left_behind("job"):
        doorbell.ring("jobs.look")


def _take_up(execution: Execution, slot: Slot) -> bool:
    job = Job.objects.filter(pk=execution.job_id, attempt=execution.attempt).select_related("version").first()
    if job is None or (job.status in FINAL and not execution.ended()):
        execution.kill(Reason.LOST)
    elif job.status in CLAIMED and not claiming.renew(job):
        job.refresh_from_db()
    if job is None:
        execution.discard()
        return True
    log.info("Job %s is taken up again in slot %s.", job.pk, slot.folder.name)
    _supervise(job, execution, slot)
    return True


def _start(job: Job, slot: Slot) -> None:
    writer = LogWriter(*job.log_name())
    _tell(writer, job)
    try:
        runtime = runtimes.get(job.version.runtime)
        if not runtime.is_prepared(job.version.environment):
            runtime.restore(job.version.environment, slot, lambda *_: None)
        spec = _spec(job)
        if not claiming.renew(job):  # making the environment or unpacking the source may have taken its time
            return
        _lease(slot, job)
        execution = runtime.start(spec, slot)
    except DatabaseError:
        raise  # nothing can be settled now; the reaper has it wait again
    except secrets.Unreadable:
        log.warning("The secrets of job %s cannot be decrypted: no key of ENCRYPTION_KEYS fits.", job.pk)
        claiming.settle(job, status=Status.FAILED, reason=Reason.LOST, detail=secrets.UNREADABLE)
        return
    except Exception:  # else it would wait again, fail again, and so on for ever
        log.exception("Job %s could not be started.", job.pk)
        claiming.settle(job, status=Status.FAILED, reason=Reason.LOST, detail=NOT_STARTED)
        return
    finally:
        if not job.is_live:
            _close(writer, job)
    _supervise(job, execution, slot)


def _spec(job: Job) -> JobSpec:
    version = job.version
    return JobSpec(
        job_id=job.pk,
        attempt=job.attempt,
        source=sources.materialise(version.source_sha256),
        environment=version.environment,
        inputs=_inputs(job),
        variables=secrets.variables(job.input.secrets),
        limits=Limits(
            cpu_millis=version.cpu_millis,
            memory_bytes=version.memory_mib * 1024 * 1024,
            wall_seconds=version.time_limit_seconds,
            processes=settings.JOB_PROCESSES_MAX,
            output_bytes=settings.JOB_OUTPUT_MAX_BYTES,
            output_files=settings.JOB_OUTPUT_MAX_FILES,
            network=version.network == version.Network.OPEN and settings.JOB_NETWORK_ALLOWED,
        ),
    )


def _inputs(job: Job) -> dict[str, bytes]:
    texts = {**job.input.more, "data": job.input.data, "params": job.input.params}
    return {f"{name}.json": text.encode() for name, text in texts.items()}


def _supervise(job: Job, execution: Execution, slot: Slot) -> None:
    writer = LogWriter(*job.log_name())
    if job.status == Status.STARTING:
        if claiming.mark_running(job):
            _tell(writer, job)
        else:
            _renew(job, execution, slot)
    tail = _Tail(execution, writer)
    renewed_at = time.monotonic()
    while not execution.ended() or tail.is_behind:
        if stopping.is_set():
            claiming.renew(job, seconds=claiming.STOP_LEASE_SECONDS)
            _lease(slot, job)
            return
        is_taken = tail.carry()
        if not tail.is_behind:
            execution.wait(min(1.0, settings.LEASE_RENEWAL_SECONDS) if is_taken else BROKER_RETRY_SECONDS)
        if time.monotonic() - renewed_at >= settings.LEASE_RENEWAL_SECONDS:
            renewed_at = time.monotonic()
            _renew(job, execution, slot)
    _finish(job, execution, tail, writer)


def _renew(job: Job, execution: Execution, slot: Slot) -> None:
    if not claiming.renew(job):
        execution.kill(Reason.LOST)
        return
    _lease(slot, job)
    if job.cancel_requested_at:  # the ring that tells so may have been lost
        execution.kill(Reason.CANCELLED)


def _finish(job: Job, execution: Execution, tail: "_Tail", writer: LogWriter) -> None:
    """Settle, then clear up. Each step may be repeated by a successor, so the slot is emptied last."""
    drained = tail.carry()
    if job.status in CLAIMED:
        _settle(job, execution)
    while not (drained and not tail.is_behind and _close(writer, job)):
        if stopping.is_set():
            return
        time.sleep(BROKER_RETRY_SECONDS)  # the broker is away: what it missed waits in the spool
        drained = tail.carry()
    execution.discard()


def _settle(job: Job, execution: Execution) -> None:
    outcome = execution.outcome()
    status, reason, detail, files = _judge(job, execution, outcome)
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
    if not won:
        job.refresh_from_db()


def _judge(job: Job, execution: Execution, outcome: Outcome) -> tuple[str, str, str, list[JobFile]]:
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
    if outcome.reason:
        return Status.FAILED, outcome.reason, outcome.detail, files
    if refused:
        return Status.FAILED, Reason.OUTPUT_TOO_LARGE, refused, []
    return Status.SUCCEEDED, "", "", files


class _Tail:
    """Carries spool bytes to the log. What the broker did not take is offered again."""

    def __init__(self, execution: Execution, writer: LogWriter) -> None:
        self.execution = execution
        self.writer = writer
        self.offsets: dict[str, int] | None = None
        self.is_behind = False

    def carry(self) -> bool:
        """Write what is new, as much as goes in CARRY_SECONDS; then there may be more, and ``is_behind`` is set.

        False if the broker is away: nothing is lost, the spool keeps it.
        """
        self.is_behind, until = False, time.monotonic() + CARRY_SECONDS
        try:
            if self.offsets is None:
                self.offsets = dict.fromkeys(CHANNELS, 0) | self.writer.offsets()
            for channel, data in self._new():
                self.writer.write(channel, data)
                self.offsets[channel] += len(data)
                if time.monotonic() >= until:
                    self.is_behind = True
                    break
        except LogEnded:
            return True  # it was settled without us, as lost; what it printed since then nobody waits for
        except RedisError as error:
            log.warning("The log of job %s waits for the broker: %s", self.execution.job_id, error)
            self.offsets = None  # what was acknowledged is in the stream itself
            return False
        return True

    def _new(self) -> Iterator[tuple[str, bytes]]:
        assert self.offsets is not None
        for channel in CHANNELS:
            while data := self.execution.read(channel, self.offsets[channel], CHUNK_BYTES):
                yield channel, data


def _tell(writer: LogWriter, job: Job) -> None:
    """Let pages that follow the log know the new status; they read the row."""
    with suppress(RedisError):
        writer.event("status", status=job.status)


def _close(writer: LogWriter, job: Job) -> bool:
    """End the log. False if the broker is away; the tick closes it later."""
    try:
        writer.event("status", status=job.status)
        writer.close()
    except RedisError:
        return False
    doorbell.ring("jobs.archive_log", *job.log_name()[1:])
    return True


def _lease(slot: Slot, job: Job) -> None:
    """Note the lease of ``job`` where the watch over this host sees it, whatever becomes of the database."""
    if job.lease_expires_at is not None:
        slot.lease(job.lease_expires_at)


def _runtimes() -> Iterator[Runtime]:
    return (runtimes.get(name) for name in runtimes.REGISTRY)
