"""Supervising one job: start it or find it again, hold its lease, settle it once. Its log is tail.py's business, what
came of it outcomes.py's.

The sandbox does not depend on this process. What a dead supervisor left in a slot is taken up before anything new, and
goes on from the byte that the log already has.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from redis.exceptions import RedisError

from jobs import claiming, logs, outcomes, queue, secrets
from jobs.announcements import Announcements
from jobs.models import CLAIMED, Job, Reason, Status
from jobs.tail import Tail
from portal.lib import doorbell
from portal.lib.logstream import LogWriter
from services import builds, runtimes, sources, variables
from services.runtimes import home, slots, warm
from services.runtimes.base import Execution, JobSpec, Limits, PlatformError, Runtime
from services.runtimes.slots import Slot

log = logging.getLogger(__name__)

BROKER_RETRY_SECONDS = 0.5
DATABASE_RETRY_SECONDS = 1.0
FENCE_SECONDS = 2.0  # so long before the end of its lease a sandbox ends that nobody could renew it for

NOT_STARTED_ATTEMPT = "Mercato could not start this attempt; the operator finds the cause in the server's log."
NOT_STARTED = (
    "Mercato could not start this job, and your code did not run. The operator finds the cause in the server's log "
    "under the id of this job. Run it again later."
)
NO_INTERPRETER = (
    "Mercato could not start this job, and your code did not run: it was built for {lack}, which no host has. Ask the "
    "operator to install that for all users, or the provider for a version with another Python."
)

draining = threading.Event()  # set when this worker is told to stop: it claims nothing any more
stopping = threading.Event()  # set when its grace is over: supervision ends, sandboxes run on


def answer() -> None:
    """Answer one ring: look as long as there is something to do. So one job after another costs no message."""
    has_worked = False
    while look():
        has_worked = True
    # Where all that waits is over a limit, an answer does nothing and rings nobody: who ends a job does, and a tick.
    if has_worked:
        _ring_others()


def look() -> bool:
    """Take up what a dead supervisor left in a slot, else the job that waits longest.

    Returns whether there was anything to do.
    """
    if draining.is_set() or stopping.is_set() or (slot := slots.acquire("job")) is None:
        return False
    try:
        return _work(slot)
    finally:
        slot.release()
        if warm.closing.is_set():
            warm.end_idle()  # one that this job left behind in the moment of the stop, which passed its slot by


def _work(slot: Slot) -> bool:
    if (execution := attach(slot)) is not None:
        _take_up(execution, slot)
        return True
    if not _has_room() or (job := claiming.claim_next(settings.WORKER_HOST)) is None:
        return False
    place = slots.exchange(slot, warm.key_of(job.version_id, job.account_id)) if job.version.warm_start else slot
    try:
        _start(job, place)
    finally:
        place.release()
    return True


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
    """Fence this host: end each sandbox whose lease nobody could renew, before it ends and another host settles it."""
    for slot in slots.expired("job", within=FENCE_SECONDS):
        execution = attach(slot)
        if execution is not None and not execution.ended():
            log.error("The lease of job %s could not be renewed; its sandbox ends.", execution.job_id)
            execution.kill(Reason.LOST)


def end_overtime() -> None:
    """Hold the time limit of jobs whose supervisor is gone, where nothing but a look at them does (a warm start)."""
    for slot in slots.occupied("job"):
        if (execution := attach(slot)) is not None:
            execution.ended()


def ring_for_leftovers() -> None:
    """Ring for jobs in slots of this host that nobody holds: the database failed their supervisor, or the code did."""
    for _slot in slots.left_behind("job"):
        doorbell.ring("jobs.look")


def kill_overdue() -> None:
    """End the jobs of this host whose deadline has passed. Their supervisors do so too, unless they are gone."""
    overdue = Job.objects.filter(ended_at=None, deadline_at__lte=timezone.now())
    for job in overdue.filter(status__in=CLAIMED, host=settings.WORKER_HOST):
        kill(job, Reason.DEADLINE)


def give_back_claims() -> None:
    """Have the jobs wait again that were claimed on this host, and whose worker died before it started them."""
    starting = Job.objects.filter(status=Status.STARTING, host=settings.WORKER_HOST)
    claims = {_claim_of(job): job for job in starting}
    for slot in slots.abandoned("job", claims):
        if attach(slot) is None:  # else who takes it up sees how far it came
            claiming.give_back(claims[slot.claimed()])


def _claim_of(job: Job | Execution) -> str:
    return f"{job.pk if isinstance(job, Job) else job.job_id} {job.attempt}"


def _ring_others() -> None:
    """Have others look, who may do what is not for us: a host with what ours lacks, the successor of this worker."""
    with suppress(DatabaseError):  # the tick rings once it is back
        if stopping.is_set() or not queue.is_empty():
            doorbell.ring("jobs.look")


def _has_room() -> bool:
    """Whether the disk of this host has room for what a job writes. Where it has not, jobs wait."""
    free = home.free_mib()
    if free < settings.DISK_FREE_MIN_MIB:
        log.error("%s MiB are free, and DISK_FREE_MIN_MIB is %s: no job starts.", free, settings.DISK_FREE_MIN_MIB)
    return free >= int(settings.DISK_FREE_MIN_MIB)


def _take_up(execution: Execution, slot: Slot) -> None:
    job = Job.objects.filter(pk=execution.job_id).select_related("version").first()
    if job is not None and job.attempt == execution.attempt and job.status in CLAIMED and not claiming.renew(job):
        job.refresh_from_db()
    if job is None:
        execution.kill(Reason.LOST)
        execution.discard()
    elif job.attempt != execution.attempt:
        _bury(execution, slot)
    elif job.status == Status.STARTING and execution.ended() and not execution.outcome().was_started:
        claiming.give_back(job)
        execution.discard()
    else:
        log.info("Job %s is taken up again in slot %s.", job.pk, slot.folder.name)
        if job.status not in CLAIMED and not execution.ended():
            execution.kill(Reason.LOST)
        _supervise(job, execution, slot, LogWriter(*job.log_name()), slot.sealed(_claim_of(job)))


def _bury(execution: Execution, slot: Slot) -> None:
    """Keep the rest of the log of an attempt that another one followed, and clear the slot."""
    execution.kill(Reason.LOST)
    job = Job.objects.select_related("input").get(pk=execution.job_id)
    masks = secrets.masks(job, sealed=slot.sealed(_claim_of(execution)))
    tail = Tail(execution, LogWriter("job", execution.job_id, execution.attempt), masks)
    if _stores_log(tail):
        execution.discard()


def _start(job: Job, slot: Slot) -> None:
    slot.claim(_claim_of(job))
    writer = LogWriter(*job.log_name())
    try:
        runtime = runtimes.get(job.version.runtime)
        if not runtime.is_prepared(job.version.environment):
            _tell(writer, job)  # else it runs before anybody could see that it starts
            _restore(job, runtime, slot)
        own, sealed = variables.resolve_and_keep(job.version)
        slot.seal(_claim_of(job), sealed)  # a successor masks what the code was given, whatever the version has by then
        spec = _spec(job, own)
        if not _holds(job, slot):  # making the environment or unpacking the source may have taken its time
            return
        execution = runtime.start(spec, slot)
    except DatabaseError:
        raise  # nothing can be settled now; the reaper has it wait again
    except secrets.Unreadable:
        log.warning("The secrets of job %s cannot be decrypted: no key of ENCRYPTION_KEYS fits.", job.pk)
        claiming.settle(job, status=Status.FAILED, reason=Reason.LOST, detail=secrets.UNREADABLE)
        return
    except variables.Unreadable:
        log.warning("A variable of version %s cannot be decrypted: no key of ENCRYPTION_KEYS fits.", job.version_id)
        claiming.settle(job, status=Status.FAILED, reason=Reason.LOST, detail=variables.UNREADABLE)
        return
    except Exception as error:  # else it would wait again, fail again, and so on for ever
        has_to_wait = slot.is_overdue() or stopping.is_set()
        if isinstance(error, PlatformError) and has_to_wait and claiming.requeue(job):
            return
        log.exception("Job %s could not be started.", job.pk)
        if not claiming.retry(job, detail=NOT_STARTED_ATTEMPT):
            claiming.settle(job, status=Status.FAILED, reason=Reason.LOST, detail=_why_not_started(job))
        return
    finally:
        if job.status not in CLAIMED:
            logs.close(job)
    _supervise(job, execution, slot, writer, sealed)


def _holds(job: Job, slot: Slot) -> bool:
    """Take the lease for the start; once more where the database took longer for it than it lasts.

    Where no time has passed since the claim, that of the claim is as good.
    """
    for _ in range(2):
        if not claiming.is_fresh(job) and not claiming.renew(job):
            return False
        _lease(slot, job)
        if not slot.is_overdue():
            break
    return True


def _why_not_started(job: Job) -> str:
    """What the host lacks; where it lacks nothing, only the log of the server tells."""
    name = job.version.runtime
    problem = runtimes.get(name).unavailable() if name in runtimes.REGISTRY else ""
    if problem:
        return f"Nothing can run on this host now, and your code did not run. {problem}"
    if lack := runtimes.lack(name, job.version.environment):
        return NO_INTERPRETER.format(lack=lack)
    return NOT_STARTED


def _restore(job: Job, runtime: Runtime, slot: Slot) -> None:
    """Make the environment of ``job`` on this host, which may take minutes: its lease is held meanwhile."""
    over = threading.Event()
    holder = threading.Thread(target=_hold, args=(job, over), name=f"lease of job {job.pk}", daemon=True)
    holder.start()
    try:
        spec = builds.spec_of(job.version, build_id=job.pk, stopped=lambda: "stopped" if stopping.is_set() else "")
        runtime.restore(job.version.environment, spec, slot, lambda *_: None)
    finally:
        over.set()
        holder.join()


def _hold(job: Job, over: threading.Event) -> None:
    try:
        while not over.wait(settings.LEASE_RENEWAL_SECONDS):
            with suppress(DatabaseError):
                claiming.renew(job)
    finally:
        connection.close()


def _spec(job: Job, own: dict[str, str]) -> JobSpec:
    """What ``job`` needs to run; ``own`` are the variables of its version."""
    version = job.version
    return JobSpec(
        job_id=job.pk,
        attempt=job.attempt,
        version_id=version.pk,
        account_id=job.account_id,
        source=sources.materialise(version.source_sha256),
        environment=version.environment,
        warm=version.warm_start,
        inputs=_inputs(job),
        variables=own | secrets.variables(job.input.secrets),
        version_variables=frozenset(own),
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


def _supervise(job: Job, execution: Execution, slot: Slot, writer: LogWriter, sealed: Sequence[str] | None) -> None:
    if job.status == Status.STARTING:
        if claiming.mark_running(job):
            _lease(slot, job)
            _tell(writer, job)
        else:
            _renew(job, execution, slot)
    masks = secrets.masks(job, sealed=sealed)
    announcements = Announcements(job, execution, writer, masks)
    tail = Tail(execution, writer, masks, announcements)
    renewed_at = time.monotonic()
    while not execution.ended() or tail.is_behind:
        if stopping.is_set():
            claiming.renew(job, seconds=claiming.STOP_LEASE_SECONDS)
            _lease(slot, job)
            return
        if job.deadline_at is not None and job.deadline_at <= timezone.now():
            execution.kill(Reason.DEADLINE)
        is_taken = tail.carry()
        if not tail.is_behind:
            execution.wait(min(1.0, settings.LEASE_RENEWAL_SECONDS) if is_taken else BROKER_RETRY_SECONDS)
        if time.monotonic() - renewed_at >= settings.LEASE_RENEWAL_SECONDS:
            renewed_at = time.monotonic()
            try:
                _renew(job, execution, slot)
            except DatabaseError as error:  # the log goes on, and the lease says for how long the sandbox may
                _wait_for_database(job, error)
                renewed_at -= settings.LEASE_RENEWAL_SECONDS - DATABASE_RETRY_SECONDS
    _finish(job, execution, tail, announcements)


def _renew(job: Job, execution: Execution, slot: Slot) -> None:
    if not claiming.renew(job):
        execution.kill(Reason.LOST)
        return
    _lease(slot, job)
    if job.cancel_requested_at:  # the ring that tells so may have been lost
        execution.kill(Reason.CANCELLED)


def _finish(job: Job, execution: Execution, tail: Tail, announcements: Announcements) -> None:
    """Settle, then clear up. Each step may be repeated by a successor, so the slot is emptied last."""
    tail.carry()
    is_settled = job.status not in CLAIMED
    while not is_settled:
        try:
            announcements.finish()
            outcomes.settle(job, execution, announcements.answer, tail.masks)
            is_settled = True
        except DatabaseError as error:
            if stopping.is_set():
                return  # a successor finds it ended in its slot
            _wait_for_database(job, error)
            time.sleep(DATABASE_RETRY_SECONDS)
    if _stores_log(tail, status=job.status):
        execution.discard()


def _stores_log(tail: Tail, *, status: str = "") -> bool:
    """Bring the log to its end and to storage. Only then may the spool go, because a broker may forget all it had.

    False where this worker stops before; a successor finds it in its slot.
    """
    while not (tail.carry() and not tail.is_behind and tail.store(status=status)):
        if stopping.is_set():
            return False
        if not tail.is_behind:
            time.sleep(BROKER_RETRY_SECONDS)  # the broker is away: what it missed waits in the spool
    return True


def _wait_for_database(job: Job, error: DatabaseError) -> None:
    log.warning("Job %s waits for the database: %s", job.pk, error)
    with suppress(DatabaseError):
        connection.close()  # the next query opens another one


def _tell(writer: LogWriter, job: Job) -> None:
    """Let pages that follow the log know the new status; they read the row."""
    with suppress(RedisError):
        writer.event("status", status=job.status)


def _lease(slot: Slot, job: Job) -> None:
    """Note the lease of ``job`` where the watch over this host sees it, whatever becomes of the database."""
    if job.lease_expires_at is not None:
        slot.lease(job.lease_expires_at)


def _runtimes() -> Iterator[Runtime]:
    return (runtimes.get(name) for name in runtimes.REGISTRY)
