"""Warm starts: a server that has imported the program stays in its slot and forks a process for each job.

A server serves one version and one account, one job at a time. Its sandbox is that of a cold start, no privilege more:
this is the boundary. Between jobs of the same account and version there is hygiene only, and all of it is done from
outside: processes that a job left are killed, its files removed, and where anything stays, the sandbox goes.

A slot whose server idles is free. What a job needs lies in a run folder of its own, so that a successor finds it.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from services.runtimes import home, sandbox, slots
from services.runtimes.base import Limits, Usage
from services.runtimes.sandbox import Command, Facts, Process, cgroups, launch, serving
from services.runtimes.sandbox.process import JOURNAL, KILLED, note_kill, text_of
from services.runtimes.slots import OVER_PREFIX, RUN_PREFIX, Slot

JOB, ASKED, ENDED = "job.json", "asked", "ended.json"
STATE = "state.json"  # of a server
LIFE_SECONDS = 3600  # how old a server may be to get another job
UNFIT_SECONDS = 24 * 3600  # how long we remember that a program cannot start warm
ALONE_SECONDS = 60  # where no host ends it, an idle server does so itself, so much later
ASK_SECONDS = 10  # what was not asked by then never will be: its supervisor died
BEGIN_SECONDS = 2.0
GROWTH_MIN_BYTES = 32 * 1024 * 1024  # what an idle server may hold more than after its first job

closing = threading.Event()  # set when this worker stops: no server is kept any more


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a successor must know of a job. Written before it is asked for."""

    label: dict[str, str]
    server: str  # the name of its folder
    number: int  # of this job, among those of the server
    started_at: float
    spooled: dict[str, int]
    cpu_seconds: float | None
    oom_kills: int
    refused_forks: int
    peak_bytes: int | None  # of the jobs before; None where it is measured anew
    limits: dict[str, Any]


@dataclass(eq=False)
class WarmProcess:
    """One job in a server, seen like a Process of its own."""

    slot: Slot
    folder: Path
    record: Record
    server: Process | None  # None: it is gone, with all that was in it
    _over: bool = False
    _has_room: bool = False
    _facts: Facts | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.limits = Limits(**self.record.limits)

    @property
    def label(self) -> dict[str, str]:
        return self.record.label

    @property
    def tier(self) -> str:
        return self.server.record.tier if self.server else sandbox.host().tier

    @property
    def output(self) -> Path:
        return self.server.output if self.server else self.folder / "output"

    @property
    def report(self) -> Path:
        return self.server.report if self.server else self.folder / "report"

    def read(self, channel: str, offset: int, limit: int = 65536) -> bytes:
        """Bytes of ``out`` or ``err`` from ``offset``; empty where there is nothing new."""
        if self.server is None:
            return b""
        return self.server.read(channel, self.record.spooled[channel] + offset, limit)

    def wait(self, timeout: float) -> None:
        """Block until there is new output, until the end, or for ``timeout`` seconds. It may also return early."""
        left = self.record.started_at + self.limits.wall_seconds - time.time()
        if self.server is not None and not self.ended():
            self.server.wait(max(0.0, min(timeout, left)))

    def ended(self) -> bool:
        """Whether every process of it is gone and how it ended is written down.

        Only the holder of the slot clears up behind a job, because only for it no other job can have begun meanwhile.
        """
        if self._over or not (self.folder / JOB).exists() or (self.folder / ENDED).exists():
            self._over = True
            return True
        if self.server is None or self.server.ended():
            self._note_end()
            return True
        journal = serving.read_journal(self.server, self.record.number)
        if journal.exit_code is None:
            if reason := self._overdue(journal):
                self._end(self.server, reason)
                return self._over
            if self.slot.is_held and (journal.is_ready or self.record.number > 1):
                self._make_room(self.server)
            return False
        if not self.slot.is_held:
            return False
        if not serving.end_jobs(self.server):
            self.server.kill("lost")  # more processes than can be ended one by one; how the job ended is known
        self._note_end()
        return True

    def kill(self, reason: str) -> None:
        """End it now, and its server with it. One that has ended keeps its own end."""
        if self.server is not None and not self.ended():
            self._end(self.server, reason)

    def facts(self) -> Facts:
        """What is known of the end; call it after `ended()`."""
        if self._facts is None:
            try:
                found = json.loads((self.folder / ENDED).read_text())
                self._facts = Facts(**{**found, "usage": Usage(**found["usage"])})
            except (FileNotFoundError, ValueError, TypeError):
                self._facts = self._find_facts()
        return self._facts

    def discard(self) -> None:
        """Make the slot free: the server idles if it is as good as new, else it goes. Twice is no error."""
        if not self.ended():
            self.kill("lost")
        over = self.folder.with_name(self.folder.name.replace(RUN_PREFIX, OVER_PREFIX, 1))
        try:
            facts = self.facts()
            self.folder.rename(over)  # from here on nobody's `kill` can mean the server
        except FileNotFoundError:
            return
        self._over = True
        if self.server is not None:
            if not (over / KILLED).exists() and self._may_stay(self.server, facts):
                self.slot.keep_warm(_slot_key(self.server.label))
            else:
                self.server.discard()
        shutil.rmtree(over, ignore_errors=True)

    def _end(self, server: Process, reason: str) -> None:
        try:
            note_kill(self.folder, reason)
        except FileNotFoundError:
            self._over = True  # it was discarded meanwhile, and the server may have another job
            return
        server.kill(reason)
        if server.ended():
            self._note_end()

    def _overdue(self, journal: serving.Journal) -> str:
        age = time.time() - self.record.started_at
        if age >= self.limits.wall_seconds:
            return "timeout"
        return "lost" if age > ASK_SECONDS and self._was_never_asked(journal) else ""

    def _was_never_asked(self, journal: serving.Journal) -> bool:
        return not (self.folder / ASKED).exists() and not journal.has_begun

    def _make_room(self, server: Process) -> None:
        """Give the job as much memory as it would have cold: what the server holds comes on top of its limit."""
        if self._has_room:
            return
        self._has_room = True
        state = _state(server)
        if "room" not in state:
            held = min(serving.resident_bytes(server) or 0, self.limits.memory_bytes)
            _allow_memory(server, self.limits, held)
            _write(server.folder / STATE, state | {"room": held})

    def _note_end(self) -> None:
        """Write down how it ended, once: what is known of it now is gone with the next job."""
        fresh = self.folder / f"{ENDED}.{os.getpid()}.{threading.get_ident()}"
        with contextlib.suppress(FileNotFoundError):  # discarded meanwhile
            fresh.write_text(json.dumps(asdict(self._find_facts())))
            with contextlib.suppress(FileExistsError):
                (self.folder / ENDED).hardlink_to(fresh)
            fresh.unlink()
        self._over = True

    def _find_facts(self) -> Facts:
        killed = text_of(self.folder / KILLED)
        before = self.record
        if self.server is None:
            nothing = Usage(wall_seconds=0.0, cpu_seconds=None, memory_peak_bytes=None)
            return Facts(
                exit_code=None, killed=killed, timed_out=False, was_started=True, oom_kills=0, refused_forks=0,
                spool_full=False, output_full=False, output_exceeded=False, output_gone=True, usage=nothing,
            )  # fmt: skip
        seen = self.server.facts()
        journal = serving.read_journal(self.server, before.number)
        never_asked = killed == "lost" and self._was_never_asked(journal)
        # Before the first job began, it is the import that ended the interpreter: an end like that of a cold start.
        has_begun = journal.has_begun or before.number > 1 or killed != ""
        ended_at = time.time() if journal.exit_code is None else self._ended_at(self.server)
        cpu = cgroups.cpu_seconds(self.server.group)
        if cpu is not None and before.cpu_seconds is not None:
            cpu -= before.cpu_seconds
        elif cpu is None:
            cpu = journal.cpu_seconds
        peak = seen.usage.memory_peak_bytes
        is_new_peak = peak is not None and (before.peak_bytes is None or peak > before.peak_bytes)
        return replace(
            seen,
            exit_code=journal.exit_code if has_begun else seen.exit_code,
            killed="" if killed == "timeout" or journal.exit_code is not None or never_asked else killed,
            timed_out=journal.exit_code is None and (killed == "timeout" or (not killed and seen.timed_out)),
            was_started=journal.has_begun,
            oom_kills=max(0, seen.oom_kills - before.oom_kills),
            refused_forks=max(0, seen.refused_forks - before.refused_forks),
            usage=Usage(
                wall_seconds=round(max(0.0001, ended_at - before.started_at), 4),
                cpu_seconds=None if cpu is None else round(max(0.0, cpu), 4),
                memory_peak_bytes=peak if is_new_peak else None,
            ),
        )

    def _ended_at(self, server: Process) -> float:
        """When the server wrote that it ended: the clock of files ticks, so the last moment may lie before the first.

        Nobody inside can touch the journal but by writing to it, which tells the present time.
        """
        written_at = (server.folder / JOURNAL).stat().st_mtime
        return min(time.time(), max(self.record.started_at, written_at))

    def _may_stay(self, server: Process, facts: Facts) -> bool:
        """Whether ``server`` gets another job: nothing of this one stays, and it is neither old nor fat."""
        journal = serving.read_journal(server, self.record.number)
        if journal.unfit:
            self._remember_unfit(server, journal)
        may = (
            not closing.is_set()
            and self.slot.is_held
            and slots.is_regular(self.slot)
            and settings.WARM_IDLE_SECONDS > 0
            and (journal.is_ready or self.record.number > 1)  # it says so once, and its journal is new for each job
            and not journal.unfit
            and not journal.is_stale
            and facts.oom_kills == 0
            and self.record.number < settings.WARM_JOBS_MAX
            and time.time() - server.record.started_at < LIFE_SECONDS
        )
        return may and serving.freshen(server) and self._is_slim(server)

    def _is_slim(self, server: Process) -> bool:
        held = serving.memory_bytes(server)
        if held is None:
            return False
        state = _state(server)
        if "held" not in state:
            _write(server.folder / STATE, state | {"held": held})
            return True
        return bool(held <= state["held"] + max(GROWTH_MIN_BYTES, self.limits.memory_bytes // 8))

    def _remember_unfit(self, server: Process, journal: serving.Journal) -> None:
        if journal.unfit == "variables" and journal.exit_code != 0:
            return  # it fails with them as without
        path = _unfit_path(server.label["key"])
        path.parent.mkdir(mode=0o700, exist_ok=True)
        for other in path.parent.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - other.stat().st_mtime >= UNFIT_SECONDS:
                    other.unlink()
        path.write_text(journal.unfit)


def is_possible() -> bool:
    """Whether this host can end a job and keep its server: only in a sandbox."""
    return not sandbox.host().is_unsafe and serving.is_possible() and settings.WARM_IDLE_SECONDS > 0


def alone_seconds() -> int:
    """For how long a server waits for a job, if nobody ends it before: the host's processes may all be gone."""
    return min(int(settings.WARM_IDLE_SECONDS), LIFE_SECONDS) + ALONE_SECONDS


def key_of(version_id: UUID, account_id: UUID) -> str:
    """For whom a server works, as a slot notes it."""
    return f"{version_id} {account_id}"


def start(
    slot: Slot, *, command: Command, owner: str, variables: Mapping[str, str], label: Mapping[str, str]
) -> WarmProcess | None:
    """Start a job in the server of ``owner``, a new one if there is none. None: it must start cold.

    ``command`` is the server's, with the limits and the inputs of the job; ``variables`` are the job's own.
    """
    key = _digest(command, owner)
    server = _idle(slot, key)
    if server is None:
        bare = replace(command, inputs={}, limits=_server_limits(command.limits))
        server = sandbox.start(slot=slot, command=bare, label={"key": key, "owner": owner})
        _allow_memory(server, command.limits, command.limits.memory_bytes)  # until we know what it holds
    slot.cool()
    launch.write_inputs(slot, server.folder / "input", command.inputs or {})
    slot.check_lease()
    job = _prepare(slot, server, command.limits, dict(label))
    request = json.dumps({"variables": dict(variables)}).encode()
    if not serving.ask(server, request):
        shutil.rmtree(job.folder, ignore_errors=True)
        return None
    (job.folder / ASKED).touch()
    if job.record.number > 1 and not _begins(server, job.record.number):
        server.discard()
        shutil.rmtree(job.folder, ignore_errors=True)
        return None
    return job


def unfit(command: Command, owner: str) -> str:
    """Why the program of ``command`` cannot start warm, as we have seen; empty if it can, for all we know."""
    path = _unfit_path(_digest(command, owner))
    with contextlib.suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime < UNFIT_SECONDS:
            return path.read_text()
    return ""


def attach(slot: Slot) -> WarmProcess | None:
    """The job of a server that ``slot`` holds, running or ended; None where there is none."""
    for folder in reversed(slot.runs()):
        try:
            record = Record(**json.loads((folder / JOB).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            continue
        server = sandbox.attach_server(slot)
        if server is not None and server.folder.name != record.server:
            server = None
        return WarmProcess(slot=slot, folder=folder, record=record, server=server)
    return None


def end_idle(*, older_than: float = 0.0) -> None:
    """End the servers of this host that have waited for ``older_than`` seconds, and what is left of others."""
    for slot in slots.waiting("job", before=time.time() - older_than):
        sandbox.clear(slot)


def _prepare(slot: Slot, server: Process, limits: Limits, label: dict[str, str]) -> WarmProcess:
    number = _state(server).get("jobs", 0) + 1
    _write(server.folder / STATE, _state(server) | {"jobs": number})
    has_new_peak = number == 1 or cgroups.reset_peak(server.group)
    record = Record(
        label=label,
        server=server.folder.name,
        number=number,
        started_at=time.time(),
        spooled={"out": 0, "err": 0} if number == 1 else serving.spooled(server),  # the first shows what imports print
        cpu_seconds=0.0 if number == 1 else cgroups.cpu_seconds(server.group),
        oom_kills=cgroups.oom_kills(server.group),
        refused_forks=cgroups.refused_forks(server.group),
        peak_bytes=None if has_new_peak else cgroups.memory_peak_bytes(server.group),
        limits=asdict(limits),
    )
    folder = slot.folder / f"{RUN_PREFIX}{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    _write(folder / JOB, asdict(record))
    return WarmProcess(slot=slot, folder=folder, record=record, server=server)


def _begins(server: Process, number: int) -> bool:
    """Whether ``server``, which has waited, takes up its job. False if it has died meanwhile: the job never began."""
    deadline = time.monotonic() + BEGIN_SECONDS
    while not serving.read_journal(server, number).has_begun:
        if server.ended():
            return serving.read_journal(server, number).has_begun
        if time.monotonic() >= deadline:
            return True  # a busy host, or a server that is none any more: then the time limit ends it
        server.wait(deadline - time.monotonic())
    return True


def _allow_memory(server: Process, limits: Limits, own: int) -> None:
    """Let the group of ``server`` hold the limit of a job, its output, and ``own`` bytes of the server's."""
    extra = limits.output_bytes if server.record.output_is_mount else 0
    if server.group:
        cgroups.allow_memory(server.group, limits.memory_bytes + extra + own)


def _idle(slot: Slot, key: str) -> Process | None:
    """The server that waits in ``slot`` for ``key``, if it is fit for another job."""
    if not slot.warm_key() or slot.runs():
        return None
    server = sandbox.attach_server(slot)
    if server is None or server.label.get("key") != key or server.ended() or len(slot.servers()) != 1:
        return None
    return server if time.time() - server.record.started_at < LIFE_SECONDS else None


def _server_limits(limits: Limits) -> Limits:
    """Those of a job; a server that nobody looks after ends some time after the last job that it can have."""
    return replace(limits, wall_seconds=limits.wall_seconds + 2 * LIFE_SECONDS)


def _digest(command: Command, owner: str) -> str:
    """What makes two commands the same server: owner, program, limits, and the variables that it is started with.

    A folder that was made again is another one: the server still has the old one mounted, which is empty by now.
    """
    limits = asdict(command.limits)
    folders = sorted((inside, folder, folder.stat().st_ino) for inside, folder in command.read_only.items())
    content = [owner, command.argv, folders, limits, sorted(command.variables.items())]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


def _slot_key(label: Mapping[str, str]) -> str:
    return label["owner"]


def _unfit_path(key: str) -> Path:
    return home.jobs_home() / "unfit" / key[:32]


def _state(server: Process) -> dict[str, Any]:
    try:
        found = json.loads((server.folder / STATE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: dict[str, Any]) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(content))
    fresh.replace(path)
