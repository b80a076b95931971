"""A container of a job in its slot, running or ended: started, found again, read, ended and cleared away.

The run folder in the slot is the truth here: its record names the container before there is one, its spools have what
was printed, and `exit.json` says how it ended. The watcher writes these, and whoever finds none sends another one.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from inotify_simple import INotify, flags

from services.runtimes import sandbox
from services.runtimes.base import JobSpec, Limits, Outcome, Usage
from services.runtimes.docker import engine, groups, watcher
from services.runtimes.sandbox import cgroups, ending, mounts
from services.runtimes.sandbox.launch import SPOOL_MAX_BYTES
from services.runtimes.sandbox.process import Facts, measure, note_kill, text_of
from services.runtimes.slots import Slot

LOCK = "watcher.lock"
WATCHER_LOG = "watcher.log"
KILL_SECONDS = 10.0  # how long a kill waits for the engine's word that all is over
POLL_SECONDS = 0.02
CUT_OFF_CODES = (128 + 9, 128 + 15, 255)  # what a container ends with that an engine took down with itself
START_FAILED = 127


class ContainerExecution:
    """One container, seen from the host. Safe to use from several processes."""

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self.folder = folder
        self.record = record
        self.job_id = UUID(record["job_id"])
        self.attempt = int(record["attempt"])
        self.limits = Limits(**record["limits"])
        self.group = {name: Path(path) for name, path in record["group"].items()}
        self.output = folder / "output"
        self._inotify: INotify | None = None
        self._end: dict[str, Any] | None = None

    def read(self, channel: str, offset: int, limit: int = 65536) -> bytes:
        """Bytes of ``out`` or ``err`` from ``offset``; empty where there is nothing new."""
        with (self.folder / channel).open("rb", buffering=0) as spool:
            return os.pread(spool.fileno(), limit, offset)

    def wait(self, timeout: float) -> None:
        """Block until there is new output, until the end, or for ``timeout`` seconds. It may also return early."""
        if self._inotify is None:  # before the first call anything may have come, so that returns at once
            self._inotify = INotify()
            weakref.finalize(self, self._inotify.close)
            self._inotify.add_watch(self.folder, flags.MODIFY | flags.MOVED_TO)
            return
        deadline = time.monotonic() + timeout
        while not self.ended() and (left := deadline - time.monotonic()) > 0:
            # A watcher that is killed tells nobody.
            if select.select([self._inotify], [], [], min(left, 1.0))[0]:
                self._inotify.read(timeout=0)
                return

    def ended(self) -> bool:
        """Whether it is over and its end is known. Sends another watcher where there is none."""
        if self._read_end() is not None:
            return True
        if self.folder.exists():
            send_watcher(self.folder)
            return self._read_end() is not None
        return True  # somebody discarded it

    def kill(self, reason: str) -> None:
        """End every process of it now; ``outcome().reason`` will be ``reason``, or that of an earlier call."""
        if self.ended():
            return
        with contextlib.suppress(FileNotFoundError):
            note_kill(self.folder, reason)
        deadline = time.monotonic() + KILL_SECONDS
        while not self.ended() and time.monotonic() < deadline:
            self._kill_once()
            time.sleep(POLL_SECONDS)

    def outcome(self) -> Outcome:
        """How it ended; call it after `ended()`."""
        end = self._read_end() or {"exit_code": None}
        if failure := end.get("start_error"):
            usage = Usage(wall_seconds=0.0, cpu_seconds=None, memory_peak_bytes=None)
            return Outcome(reason="error", detail=_not_started(failure), usage=usage, exit_code=START_FAILED)
        facts = self._facts(end)
        reason, detail = ending.reason_of(facts, self.limits)
        return Outcome(
            reason=reason,
            detail=detail,
            usage=facts.usage,
            exit_code=facts.exit_code,
            was_started=facts.was_started,
        )

    def discard(self) -> None:
        """Kill it if it still runs, and remove all it left on the host. Twice is no error."""
        if self.folder.exists():
            self.kill("lost")
            with contextlib.suppress(Exception):  # what stays behind, the clean-up finds by its label
                engine.client().remove_container(self.record["name"], force=True, v=True)
            remove(self.folder, self.group)
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _kill_once(self) -> None:
        try:
            engine.client().kill(self.record["name"], signal="SIGKILL")
        except Exception:
            # The engine does not answer, or it runs no more. Its first process takes all others with it.
            record = read_record(self.folder) or self.record
            pid = record.get("pid")
            if pid and watcher.started_ticks(pid) == record["ticks"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)

    def _read_end(self) -> dict[str, Any] | None:
        if self._end is None:
            with contextlib.suppress(FileNotFoundError, ValueError):
                self._end = json.loads((self.folder / watcher.EXIT).read_text())
        return self._end

    def _facts(self, end: dict[str, Any]) -> Facts:
        killed = text_of(self.folder / watcher.KILLED)
        code = end["exit_code"]
        was_out_of_memory = bool(end.get("out_of_memory"))
        if killed == watcher.SPOOL_FULL:
            code = code or 128 + 9
        elif code == 128 + 9 and not was_out_of_memory and not killed:
            code = None  # nobody but the host can kill the first process of a container
        elif code in CUT_OFF_CODES and end.get("was_cut_off") and not killed:
            code = None
        peak = groups.peak_of_processes(self.group)
        cpu = cgroups.cpu_seconds(self.group)
        is_mount = self.record["output_is_mount"]
        return Facts(
            exit_code=code,
            killed=killed if killed not in (watcher.TIMEOUT, watcher.SPOOL_FULL) else "",
            timed_out=killed == watcher.TIMEOUT,
            was_started=bool(end.get("was_started", True)),
            oom_kills=int(was_out_of_memory),
            refused_forks=cgroups.refused_forks(self.group) or int(peak >= self.limits.processes),
            spool_full=killed == watcher.SPOOL_FULL,
            output_full=is_mount and self.output.is_mount() and mounts.is_full(self.output),
            output_exceeded=False if is_mount else _exceeds(self.output, self.limits),
            output_gone=is_mount and not self.output.is_mount(),
            usage=Usage(
                wall_seconds=round(end.get("wall_seconds") or self._wall(end), 4),
                cpu_seconds=end.get("cpu_seconds") if cpu is None else round(cpu, 4),
                memory_peak_bytes=cgroups.memory_peak_bytes(self.group) or end.get("memory_peak_bytes"),
            ),
        )

    def _wall(self, end: dict[str, Any]) -> float:
        record = read_record(self.folder) or self.record
        began = float(record.get("started_at") or record["made_at"])
        return max(0.0, float(end.get("ended_at", began)) - began)


def attach(slot: Slot) -> ContainerExecution | None:
    """What ``slot`` holds, running or ended; None where it holds no container."""
    for folder in reversed(slot.runs()):
        if (record := read_record(folder)) is not None:
            return ContainerExecution(folder, record)
    return None


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a run; None where it holds no container, or its making was cut off before there was one."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        record: dict[str, Any] = json.loads((folder / watcher.RECORD).read_text())
        return record
    return None


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Note what a successor must know. Before there is a container."""
    fresh = folder / f"{watcher.RECORD}.new"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(record, file)
    fresh.replace(folder / watcher.RECORD)


def new_record(spec: JobSpec, *, slot: Slot, run: Path, group: cgroups.Group) -> dict[str, Any]:
    """What is known of a container before there is one. The watcher adds its pid and when it was started."""
    has_quota = sandbox.host().has_tmpfs
    return {
        "name": f"mercato-{settings.INSTANCE}-{slot.name}-{run.name}",
        "engine": engine.address(),
        "certificates": engine.certificates(),
        "job_id": str(spec.job_id),
        "attempt": spec.attempt,
        "limits": asdict(spec.limits),
        "group": {name: str(path) for name, path in group.items()},
        "output_is_mount": has_quota,
        "watched": "" if has_quota else str(run / "output"),
        "spool_max_bytes": SPOOL_MAX_BYTES,
        "made_at": time.time(),
    }


def send_watcher(folder: Path, *, to_wait: bool = False) -> "subprocess.Popen[bytes] | None":
    """Start a watcher over ``folder``; None where one is there already. One that is ``to_wait`` begins at a word."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (folder / watcher.EXIT).exists():
            return None
        arguments = ["wait"] if to_wait else []
        with (folder / WATCHER_LOG).open("ab") as log:
            # The lock goes with the descriptor, so that there is no moment without a holder.
            child = subprocess.Popen(
                ["setsid", "--fork", sys.executable, "-I", "-S", watcher.__file__, str(folder), *arguments],
                stdin=subprocess.PIPE if to_wait else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock],
                cwd="/",
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            )
            child.wait()  # it has forked the watcher, which is nobody's child: a worker has no zombies to bury
    except BlockingIOError:
        return None
    finally:
        os.close(lock)
    return child


def remove(folder: Path, group: cgroups.Group) -> None:
    """Remove the folder of an ended run, its mount and its control group."""
    with contextlib.suppress(FileNotFoundError):
        (folder / watcher.RECORD).unlink()
    mounts.unmount(folder / "output")
    shutil.rmtree(folder, ignore_errors=True)
    groups.remove(group)


def _not_started(failure: str) -> str:
    return (
        f"The container could not be started: {failure} Look at CMD and ENTRYPOINT of the image: the program must be "
        "in it, executable for every user, and built for this machine."
    )


def _exceeds(folder: Path, limits: Limits) -> bool:
    size, files = measure(folder)
    return size > limits.output_bytes or files > limits.output_files
