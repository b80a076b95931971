"""A command in its sandbox, running or ended: read, wait, kill, how it ended, clean up. Also by a successor.

Nothing here depends on having started it: the record in its folder says who it is, and a pid counts only together with
its start time.
"""

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inotify_simple import INotify, flags

from services.runtimes.base import Limits, Usage
from services.runtimes.sandbox import cgroups, mounts, procfs
from services.runtimes.sandbox.command import COMMAND_KILLED, INIT_KILLED
from services.runtimes.slots import Slot

RECORD, EXIT, STATUS, KILLED, REPORT = "record.json", "exit", "status", "killed", "report"
OUT, ERR = "out", "err"
CONTROL, JOURNAL = "control", "journal"  # of a server only
MARK = "MERCATO_RUN"  # a variable, in the tier `unsafe` only
SPOOLS = {"out": OUT, "err": ERR}
WATCH_SECONDS = 0.2  # how often folders on disk are measured; a mount with a size needs no watch
OVERTIME_SECONDS = 5  # what `timeout` has for ending it, if it is still there
KILL_TRIES = 200
KILL_PAUSE_SECONDS = 0.01
TIMEOUT_STATUS = 124  # of timeout(1)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a successor must know. Written before the command may start."""

    label: dict[str, str]
    pid: int  # of the shell around `timeout`, in a session of its own
    started_ticks: int
    boot_id: str
    started_at: float
    tier: str
    uid: int
    group: dict[str, str]
    watched: list[str]
    output_is_mount: bool
    file_max_bytes: int
    limits: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the host knows of an end, without a judgement."""

    exit_code: int | None  # of the command; 128 + n after signal n; None if nobody saw it end
    killed: str  # the reason of our own kill
    timed_out: bool
    was_started: bool
    oom_kills: int
    refused_forks: int
    spool_full: bool
    output_full: bool  # a mount without room for another byte or file
    output_exceeded: bool  # a folder on disk beyond its quota
    output_gone: bool  # a mount that a restart of the host took away
    usage: Usage


@dataclass(eq=False)
class Process:
    """One command of a slot. Safe to use from several threads and, by `attach`, from several processes."""

    slot: Slot
    folder: Path
    record: Record
    pidfd: int | None
    is_child: bool = False
    _spools: dict[str, int] = field(default_factory=dict)
    _inotify: INotify | None = None
    _over: bool = False
    _measured_at: float = 0.0

    def __post_init__(self) -> None:
        self._descriptors: list[int] = [] if self.pidfd is None else [self.pidfd]
        self._close = weakref.finalize(self, _close_all, self._descriptors)
        self._stop_watching: Callable[[], object] = lambda: None
        self.limits = Limits(**self.record.limits)
        self.group = {name: Path(path) for name, path in self.record.group.items()}

    @property
    def label(self) -> dict[str, str]:
        return self.record.label

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def report(self) -> Path:
        return self.folder / REPORT

    @property
    def tier(self) -> str:
        return self.record.tier

    def init(self) -> int | None:
        """The init of the sandbox, by its pid on this host; None before it starts and after its end."""
        _, pid = self._status()
        return pid or None

    def read(self, channel: str, offset: int, limit: int = 65536) -> bytes:
        """Bytes of ``out`` or ``err`` from ``offset``; empty where there is nothing new."""
        if channel not in self._spools:
            descriptor = os.open(self.folder / SPOOLS[channel], os.O_RDONLY | os.O_CLOEXEC)
            self._descriptors.append(descriptor)
            self._spools[channel] = descriptor
        return os.pread(self._spools[channel], limit, offset)

    def wait(self, timeout: float) -> None:
        """Block until there is new output, until the end, or for ``timeout`` seconds. It may also return early."""
        deadline = time.monotonic() + timeout
        if self._inotify is None:
            # Once for good: what comes between a read and the next wait is in its queue. Before the first call
            # anything may have come, so that returns at once.
            self._inotify = _take_watcher()
            # What else is written there (the status, a report) is no news; the end is seen by the pidfd.
            files = [path for name in (OUT, ERR, JOURNAL) if (path := self.folder / name).exists()]
            watches = [self._inotify.add_watch(path, flags.MODIFY) for path in files]
            self._stop_watching = weakref.finalize(self, _put_back, self._inotify, watches)
            self._inotify.read(timeout=0)  # what its last user left
            return
        while not self.ended():
            left = deadline - time.monotonic()
            if left <= 0:
                return
            if self.record.watched:
                self._stop_if_too_large()
                left = min(left, WATCH_SECONDS)
            if self._poll(left):
                return

    def ended(self) -> bool:
        """Whether every process of it is gone and its exit status, if any, is written."""
        if self._over:
            return True
        if self._wrapper_is_alive():
            return False
        remaining = self._remaining()
        if remaining and self._is_left_behind():
            self._kill_once()
            remaining = self._remaining()
        self._over = not remaining
        return self._over

    def kill(self, reason: str) -> None:
        """End every process of it now; `facts().killed` will be ``reason``, or that of an earlier call.

        Returns when they are gone. One that has ended keeps its own end.
        """
        if self.ended():
            return
        try:
            note_kill(self.folder, reason)
        except FileNotFoundError:
            return  # somebody discarded it meanwhile
        for _ in range(KILL_TRIES):
            self._kill_once()
            if self.ended():
                return
            self._poll(KILL_PAUSE_SECONDS, with_output=False)

    def facts(self) -> Facts:
        """What is known of the end; call it after `ended()`."""
        killed = text_of(self.folder / KILLED)
        status, seconds = self._exit()
        inside, inner = self._status()
        ended_at = self._ended_at()
        wall = max(0.0, ended_at - self.record.started_at)
        timed_out = (
            not killed
            and inside is None
            and (status == TIMEOUT_STATUS or (status == 128 + signal.SIGKILL and wall >= self.limits.wall_seconds))
        )
        if self.record.tier == "unsafe" and not timed_out:
            inside, inner = status, -1
        spooled = max((self.folder / name).stat().st_size for name in SPOOLS.values())
        cpu = cgroups.cpu_seconds(self.group)
        return Facts(
            exit_code=inside,
            killed=killed,
            timed_out=timed_out,
            was_started=inner is not None,
            oom_kills=cgroups.oom_kills(self.group),
            refused_forks=cgroups.refused_forks(self.group),
            spool_full=spooled >= self.record.file_max_bytes,
            output_full=self._output_is_full(),
            output_exceeded=self._is_too_large(),
            output_gone=self.record.output_is_mount and not self.output.is_mount(),
            usage=Usage(
                wall_seconds=round(wall, 4),
                cpu_seconds=seconds if cpu is None else round(cpu, 4),
                memory_peak_bytes=cgroups.memory_peak_bytes(self.group),
            ),
        )

    def discard(self) -> None:
        """Kill what still runs and remove all it left on the host. Twice is no error."""
        self.kill("lost")
        self.ended()
        self._close()
        self._stop_watching()
        remove_run(self.folder, self.group)

    # Who is alive

    def _wrapper_is_alive(self) -> bool:
        if self.pidfd is None or not self._close.alive:
            return False
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(0):
            return True
        if self.is_child:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.record.pid, os.WNOHANG)
        return False

    def _remaining(self) -> set[int]:
        """Processes of it but the wrapper, that are more than zombies."""
        found = cgroups.processes(self.group) if self.group else self._in_session()
        _, inner = self._status()
        if inner is not None and inner > 0:
            found.add(inner)
        if self.record.tier == "unsafe":
            own_user = self.record.uid != os.getuid()
            # Without users and namespaces a variable is all there is to tell by.
            found |= procfs.of_user(self.record.uid) if own_user else procfs.with_variable(f"{MARK}={self.folder.name}")
        return {pid for pid in found - {self.record.pid} if procfs.is_alive(pid)}

    def _is_left_behind(self) -> bool:
        """Whether nothing ends any more what runs without its wrapper.

        Without a sandbox, what a command started is not gone with it. With one, somebody killed a part of it: the half
        of bubblewrap that was to tell the other one to begin, or `timeout`.
        """
        has_ended = self._exit()[0] is not None
        over_at = self.record.started_at + self.limits.wall_seconds + OVERTIME_SECONDS
        return self.record.tier == "unsafe" or has_ended or time.time() > over_at

    def _in_session(self) -> set[int]:
        """`timeout` and bubblewrap's outer half. The init of the sandbox has a session of its own."""
        return procfs.of_session(self.record.pid) if self._same_boot() else set()

    def _same_boot(self) -> bool:
        return self.record.boot_id == procfs.boot_id()

    def _kill_once(self) -> None:
        if self.pidfd is not None and self._close.alive:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        _, inner = self._status()
        if inner is not None and inner > 0:
            procfs.kill(inner)  # the init of the sandbox: all else inside dies with it
        if self.group:
            cgroups.kill(self.group)
        for pid in self._remaining():
            procfs.kill(pid)

    def _poll(self, seconds: float, *, with_output: bool = True) -> bool:
        """Wait for news; whether there was some."""
        poll = select.poll()
        opened: list[int] = []
        if with_output and self._inotify is not None:
            poll.register(self._inotify, select.POLLIN)
        if self._wrapper_is_alive() and self.pidfd is not None:
            poll.register(self.pidfd, select.POLLIN)
        else:
            for pid in self._remaining():
                with contextlib.suppress(ProcessLookupError):
                    opened.append(os.pidfd_open(pid))
                    poll.register(opened[-1], select.POLLIN)
        try:
            ready = poll.poll(max(0, seconds) * 1000)
        finally:
            for descriptor in opened:
                os.close(descriptor)
        if ready and with_output and self._inotify is not None:
            self._inotify.read(timeout=0)
        return bool(ready)

    # What it wrote down

    def _exit(self) -> tuple[int | None, float | None]:
        """The exit status that the wrapper wrote, and the CPU seconds of what it waited for."""
        lines = text_of(self.folder / EXIT).split("\n")
        if len(lines) < 4:  # not written to its end
            return None, None
        try:
            return int(lines[0]), sum(_seconds(word) for line in lines[1:3] for word in line.split())
        except ValueError:
            return None, None

    def _status(self) -> tuple[int | None, int | None]:
        """The command's exit code as bubblewrap saw it, and the pid of the init of the sandbox.

        The code is None if the sandbox was cut off. The pid is 0 once the init is gone, None if there never was one.
        """
        code = pid = None
        for line in text_of(self.folder / STATUS).splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if "child-pid" in document:
                pid = document["child-pid"] if self._is_inner(document) else 0
            code = document.get("exit-code", code)
        if code in (COMMAND_KILLED, INIT_KILLED):
            code = 128 + signal.SIGKILL if code == COMMAND_KILLED else None
        return code, pid

    def _is_inner(self, document: dict[str, Any]) -> bool:
        try:
            namespace = Path(f"/proc/{document['child-pid']}/ns/pid").stat().st_ino
        except OSError:
            return False
        return self._same_boot() and namespace == document.get("pid-namespace")

    def _ended_at(self) -> float:
        times = [self.record.started_at]
        for name in (EXIT, KILLED, STATUS):
            with contextlib.suppress(FileNotFoundError):
                times.append((self.folder / name).stat().st_mtime)
        return max(times)

    # What it takes

    def _output_is_full(self) -> bool:
        return self.record.output_is_mount and self.output.is_mount() and mounts.is_full(self.output)

    def _is_too_large(self) -> bool:
        size = files = 0
        for folder in self.record.watched:
            more_size, more_files = measure(Path(folder))
            size, files = size + more_size, files + more_files
        return size > self.limits.output_bytes or files > self.limits.output_files

    def _stop_if_too_large(self) -> None:
        began = time.monotonic()
        if began - self._measured_at < WATCH_SECONDS:
            return
        if self._is_too_large():
            self.kill("output_too_large")
        # A folder with many files is measured less often, so that watching stays below a tenth of one CPU.
        self._measured_at = time.monotonic() + 10 * (time.monotonic() - began)


def attach(slot: Slot) -> Process | None:
    """What ``slot`` holds, running or ended; None for an empty slot."""
    return _attach(slot, slot.runs())


def attach_server(slot: Slot) -> Process | None:
    """The server of ``slot``, idle, busy or ended; None where there is none."""
    return _attach(slot, slot.servers())


def _attach(slot: Slot, folders: list[Path]) -> Process | None:
    for folder in reversed(folders):
        try:
            record = Record(**json.loads((folder / RECORD).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            continue  # its start was cut off before the command could run
        return Process(slot=slot, folder=folder, record=record, pidfd=_open_pid(record))
    return None


def note_kill(folder: Path, reason: str) -> None:
    """Write down why what runs in ``folder`` is killed; the first reason counts. FileNotFoundError: it is gone."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(folder / KILLED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(reason)


def remove_run(folder: Path, group: cgroups.Group) -> None:
    """Remove the folder of an ended run, its mount and its ``group``."""
    with contextlib.suppress(FileNotFoundError):
        (folder / RECORD).unlink()
    if (folder / "output").exists():
        mounts.unmount(folder / "output")
    cgroups.remove(group)  # before the folder, which tells its name to whoever has to go on with this
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # folders in folders without end; only where output is no mount
        subprocess.run(["rm", "-rf", "--", str(folder)], check=False)


def measure(folder: Path) -> tuple[int, int]:
    """Bytes on disk and files below ``folder``; follows no link."""
    size = files = 0
    waiting = [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    files += 1
    return size, files


# Watchers to use again: closing one waits for a grace period of the kernel (15 ms), taking a watch away does not.
_watchers: list[INotify] = []


def _take_watcher() -> INotify:
    try:
        return _watchers.pop()
    except IndexError:
        return INotify()


def _put_back(watcher: INotify, watches: list[int]) -> None:
    for watch in watches:
        with contextlib.suppress(OSError):  # with its file the watch is gone too
            watcher.rm_watch(watch)
    _watchers.append(watcher)


@atexit.register
def _close_watchers() -> None:
    while _watchers:
        _watchers.pop().close()


def _open_pid(record: Record) -> int | None:
    """A pidfd of the wrapper; None if it is gone, also where somebody else has its pid by now."""
    if record.boot_id != procfs.boot_id():
        return None
    try:
        descriptor = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return None
    if procfs.started_ticks(record.pid) == record.started_ticks:
        return descriptor
    os.close(descriptor)
    return None


def _close_all(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


def text_of(path: Path) -> str:
    """What a small file holds; empty where there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _seconds(word: str) -> float:
    """What `times` prints: 1m2.34s."""
    minutes, _, rest = word.partition("m")
    return int(minutes) * 60 + float(rest.rstrip("s"))
