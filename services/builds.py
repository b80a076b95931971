"""Making versions runnable: a build is asked for, claimed by a worker with a free build slot, and settled once.

A build may be made again without harm, so what its supervisor leaves unfinished simply waits again.
"""

import contextlib
import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from portal.accounts.actors import Actor
from portal.lib import claims, doorbell, logstream
from services import runtimes, sources
from services.models import Build, BuildStatus, ServiceVersion
from services.runtimes import environments, home, slots
from services.runtimes.base import BuildSpec, Prepared, UserError
from services.runtimes.slots import Slot

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 3
CLAIM_GRACE_SECONDS = 3  # between a claim and the lock that shows its supervisor
LEFT_OPEN_AFTER_SECONDS = 5
LEFT_OPEN_AT_A_TIME = 50
ELSEWHERE_SECONDS = 600  # for which a build waits for a host that has its interpreter
HOST_SEEN_DAYS = 7  # in which a host has built something, if it is still one of ours
BROKER_RETRY_SECONDS = 0.5

INTERRUPTED = "Its worker stopped before the build was done."
GIVEN_UP = (
    f"The build was interrupted {ATTEMPTS_MAX} times, because its worker stopped, so it is not tried again. "
    "Rebuild later; if it happens again, tell the operator."
)

stopping = threading.Event()  # set when this worker is told to stop: what is being built waits again


def request_build(*, version: ServiceVersion, by: Actor, fresh: bool = False) -> Build:
    """Ask for a build of ``version``; one that waits already will do. ``fresh`` looks for the newest versions again."""
    with transaction.atomic():
        waiting = version.builds.filter(status=BuildStatus.QUEUED, fresh__gte=fresh).order_by("pk").first()
        build = waiting or Build.objects.create(version=version, fresh=fresh, requested_by=by.user)
        doorbell.ring("services.look")
    return build


def look(*, stop: threading.Event = stopping) -> bool:
    """Answer one ring: make the build that waits longest. Returns whether there was anything to do.

    When ``stop`` is set the build ends soon, and waits again.
    """
    if stop.is_set() or (slot := slots.acquire("build")) is None:
        return False
    build = None
    try:
        build = _claim_next()
        if build is None:
            return False
        with _supervising(build):
            _Supervisor(build, slot, stop).run()
        return True
    finally:
        slot.release()
        if build and not stop.is_set():
            ring_again(at_most=1)


def reap() -> None:
    """Have builds that nobody supervises any more wait again, a few times."""
    now = timezone.now()
    overdue = _running().filter(lease_expires_at__lt=now)
    ours = _running().filter(host=settings.WORKER_HOST, lease_expires_at__gte=now)
    ours = ours.filter(started_at__lt=now - timedelta(seconds=CLAIM_GRACE_SECONDS))
    for build in (*overdue, *(build for build in ours if not _is_supervised(build))):
        log.warning("Build %s has lost its supervisor in attempt %s.", build.pk, build.attempt)
        _lock_path(build).unlink(missing_ok=True)
        _interrupt(build)


def ring_again(*, at_most: int | None = None) -> None:
    """Ring for builds whose ring was lost. A ring too many finds nothing to do."""
    waiting = Build.objects.filter(status=BuildStatus.QUEUED).values_list("pk")
    for _build in waiting[: at_most or settings.BUILD_SLOTS]:
        doorbell.ring("services.look")


def close_left_open() -> None:
    """End and archive the logs that nobody did: their supervisor died, or the broker was away at the end."""
    overdue = timezone.now() - timedelta(seconds=LEFT_OPEN_AFTER_SECONDS)
    ended = Build.objects.filter(log_archived=False, ended_at__lt=overdue).exclude(status__in=BuildStatus.live())
    for build in ended.order_by("ended_at")[:LEFT_OPEN_AT_A_TIME]:
        _close_log(build)


def spec_of(version: ServiceVersion, *, build_id: UUID, stopped: Callable[[], str], fresh: bool = False) -> BuildSpec:
    """What a runtime must know to make ``version`` runnable on this host."""
    return BuildSpec(
        build_id=build_id,
        source=sources.materialise(version.source_sha256),
        image=version.image,
        limits=environments.limits(),
        interpreter=version.interpreter,
        fresh=fresh,
        stopped=stopped,
    )


def tidy() -> None:
    """Remove from this host what no version needs any more."""
    for name in runtimes.REGISTRY:
        versions = ServiceVersion.objects.filter(runtime=name, service__deleted_at=None).exclude(environment="")
        runtimes.get(name).tidy(keep=set(versions.values_list("environment", flat=True)))


class _Supervisor:
    """Makes one build that we claimed: holds its lease, carries its output to the log, settles it."""

    def __init__(self, build: Build, slot: Slot, stop: threading.Event) -> None:
        self.build = build
        self.slot = slot
        self.stop = stop
        self.writer = logstream.LogWriter(*build.log_name())
        self.is_lost = False
        self.is_over = threading.Event()

    def run(self) -> None:
        renewal = threading.Thread(target=self._renew, name=f"lease of build {self.build.pk}", daemon=True)
        renewal.start()
        try:
            self._make()
        finally:
            self.is_over.set()
            renewal.join()

    def _make(self) -> None:
        began = time.monotonic()
        _archive_attempts_before(self.build)
        _tell(self.writer, self.build)
        environment, reused, detail = "", False, ""
        try:
            prepared = self._prepare()
            environment, reused, words = prepared.environment, prepared.reused, "Built"
        except UserError as error:
            detail = str(error)
            words = f"Failed: {detail.splitlines()[0].removesuffix(' uv says:')}"
        except Exception:
            if reason := self._given_up():
                log.info("Build %s ends unfinished: %s.", self.build.pk, reason)
                _interrupt(self.build)
                return
            log.exception("Build %s failed.", self.build.pk)
            detail = _platform_detail(self.build)
            words = f"Failed: {detail}"
        self._say(f"\n{words} ({time.monotonic() - began:.1f} s)\n")
        if _settle(self.build, environment=environment, reused=reused, detail=detail):
            _close_log(self.build)

    def _prepare(self) -> Prepared:
        version = self.build.version
        runtime = runtimes.get(version.runtime)
        if problem := runtime.unavailable():
            raise UserError(f"Nothing can be built here now. {problem}")
        spec = spec_of(version, build_id=self.build.pk, fresh=self.build.fresh, stopped=self._given_up)
        return runtime.prepare(spec, self.slot, self._write)

    def _given_up(self) -> str:
        """Why there is no use in going on; empty while there is."""
        if self.is_lost:
            return "lost"
        return "stopped" if self.stop.is_set() else ""

    def _renew(self) -> None:
        """Hold the lease until the build is over. In a thread: a build may be silent for minutes."""
        try:
            while not self.is_over.wait(settings.LEASE_RENEWAL_SECONDS):
                lease = claims.lease_end(settings.LEASE_SECONDS)
                try:
                    self.is_lost = not claims.update(self.build, when=_running(), lease_expires_at=lease)
                except DatabaseError:
                    log.warning("The lease of build %s could not be renewed.", self.build.pk, exc_info=True)
                if self.is_lost:
                    return
        finally:
            connection.close()

    def _say(self, text: str) -> None:
        self._write("system", text.encode())

    def _write(self, channel: str, data: bytes) -> None:
        """Write to the log, however long its broker is away."""
        while True:
            try:
                self.writer.write(channel, data)
            except logstream.LogEnded:  # the claim is lost, and whoever took it away has said so there
                return
            except RedisError as error:
                if self._given_up():
                    return
                log.warning("The log of build %s waits for the broker: %s", self.build.pk, error)
                time.sleep(BROKER_RETRY_SECONDS)
            else:
                return


def _claim_next() -> Build | None:
    waiting = Build.objects.filter(status=BuildStatus.QUEUED)
    possible = _for_this_host(waiting).exclude(version__runtime__in=runtimes.missing()).order_by("pk")
    while (chosen := possible.values_list("pk", flat=True).first()) is not None:
        # The UPDATE is guarded by the build's own row alone: what is joined to it may be read too early.
        build = claims.claim(
            waiting.filter(pk=chosen),
            host=settings.WORKER_HOST,
            lease_seconds=settings.LEASE_SECONDS,
            status=BuildStatus.RUNNING,
            started_at=timezone.now(),
        )
        if build is not None:
            return build
    return None


def _for_this_host(waiting: QuerySet[Build]) -> QuerySet[Build]:
    """``waiting`` without those for an interpreter that this host lacks, as long as another host may have it."""
    elsewhere = ServiceVersion.objects.exclude(interpreter__in=["", *runtimes.interpreters()])
    if not waiting.filter(version__in=elsewhere).exists() or not has_other_hosts():
        return waiting
    patience = timezone.now() - timedelta(seconds=ELSEWHERE_SECONDS)
    return waiting.exclude(version__in=elsewhere, created_at__gt=patience)


def has_other_hosts() -> bool:
    """Whether another host has begun a build lately."""
    recent = Build.objects.filter(started_at__gt=timezone.now() - timedelta(days=HOST_SEEN_DAYS))
    return recent.exclude(host__in=("", settings.WORKER_HOST)).exists()


def _running() -> QuerySet[Build]:
    return Build.objects.filter(status=BuildStatus.RUNNING).order_by("pk")


def _settle(build: Build, *, environment: str = "", reused: bool = False, detail: str = "") -> bool:
    """Write the end of ``build``, once: a success if there is an environment. False if its claim was lost."""
    status = BuildStatus.SUCCEEDED if environment else BuildStatus.FAILED
    end = {"status": status, "ended_at": timezone.now(), "lease_expires_at": None, "reused": reused, "detail": detail}
    with transaction.atomic():
        won = claims.update(build, when=_running(), **end)
        if won and environment:
            ServiceVersion.objects.filter(pk=build.version_id).update(environment=environment)
    return won


def _interrupt(build: Build) -> None:
    """Let a build that was not finished wait again, unless that has happened too often. Nothing if it was settled."""
    if build.attempt >= ATTEMPTS_MAX:
        if _settle(build, detail=GIVEN_UP):
            _close_log(build, last_words=f"{INTERRUPTED} {GIVEN_UP}")
        return
    attempt = build.log_name()
    with transaction.atomic():
        if not claims.update(
            build, when=_running(), status=BuildStatus.QUEUED, host="", started_at=None, lease_expires_at=None
        ):
            return
        doorbell.ring("services.look")
    with contextlib.suppress(RedisError, logstream.LogEnded):  # the next attempt archives it
        writer = logstream.LogWriter(*attempt)
        writer.write("system", f"\n{INTERRUPTED} It starts again by itself.\n".encode())
        writer.event("status", status=build.status)
        writer.close()


def _close_log(build: Build, *, last_words: str = "") -> None:
    """End the log of a settled build and move it to storage. A broker that is away means later: see the tick."""
    try:
        writer = logstream.LogWriter(*build.log_name())
        if last_words:
            with contextlib.suppress(logstream.LogEnded):
                writer.write("system", f"\n{last_words}\n".encode())
        writer.event("status", status=build.status)
        logstream.archive(*build.log_name())
    except RedisError as error:
        log.warning("The log of build %s stays open until the broker is back: %s", build.pk, error)
        return
    Build.objects.filter(pk=build.pk, attempt=build.attempt).update(log_archived=True)


def _archive_attempts_before(build: Build) -> None:
    kind, pk, attempt = build.log_name()
    with contextlib.suppress(RedisError):
        for earlier in range(1, attempt):
            logstream.archive(kind, pk, earlier)


def _tell(writer: logstream.LogWriter, build: Build) -> None:
    """Let pages that follow the log know the new status; they read the row."""
    with contextlib.suppress(RedisError):
        writer.event("status", status=build.status)


def _platform_detail(build: Build) -> str:
    return (
        "Mercato could not finish this build; your project is not the cause. Rebuild in a few minutes. If it fails "
        f"again, tell the operator: the server's log has the cause under {build.pk}."
    )


# Who supervises. A lock on a file of the attempt goes with its holder, so the host's other processes see it at once.


@contextlib.contextmanager
def _supervising(build: Build) -> Iterator[None]:
    path = _lock_path(build)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _is_supervised(build: Build) -> bool:
    try:
        with _lock_path(build).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _lock_path(build: Build) -> Path:
    return home.jobs_home() / "builds" / f"{build.pk}-{build.attempt}"
