"""A server in a sandbox, from outside: ask it, read its journal, end its jobs, and make its places new for the next.

All that comes from inside is foreign: what it writes down, its files, and its idea of whether it is ready.
"""

import contextlib
import fcntl
import os
import select
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from services.runtimes.sandbox import cgroups, procfs
from services.runtimes.sandbox.command import SHM, TMP
from services.runtimes.sandbox.launch import REQUEST_MAX_BYTES
from services.runtimes.sandbox.process import CONTROL, ERR, JOURNAL, OUT, REPORT, Process

JOURNAL_MAX_BYTES = 64 * 1024
END_TRIES = 50  # what forks faster than this kills takes the server with it
END_PAUSE_SECONDS = 0.01
ENTRIES_MAX = 5000  # who leaves more files than these gets a new sandbox, which costs less than their removal
DEPTH_MAX = 50
EMPTY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Journal:
    """What a server says of itself and of its job ``number``."""

    is_ready: bool  # it can fork
    unfit: str  # why it cannot
    is_stale: bool  # a job left something that only a new sandbox is free of
    has_begun: bool
    exit_code: int | None  # of the job, once it has ended
    cpu_seconds: float | None


def is_possible() -> bool:
    """Whether the kernel of this host tells who descends from whom."""
    return Path("/proc/thread-self/children").exists()


def ask(server: Process, content: bytes) -> bool:
    """Hand a request to ``server``, whole or not at all: it may still import, and this does not wait for it."""
    message = len(content).to_bytes(8, "big") + content
    if len(message) > REQUEST_MAX_BYTES:
        return False
    try:
        pipe = os.open(server.folder / CONTROL, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # nobody reads it any more
        return False
    try:
        return os.write(pipe, message) == len(message)
    except OSError:
        return False
    finally:
        os.close(pipe)


def read_journal(server: Process, number: int) -> Journal:
    """What ``server`` has written down. Lines without the right form say nothing."""
    ready, unfit, stale, begun = False, "", False, False
    code: int | None = None
    cpu: float | None = None
    for line in _journal(server).splitlines():
        match line.split():
            case ["ready"]:
                ready = True
            case ["unfit", reason]:
                unfit = reason[:20]
            case ["stale"]:
                stale = True
            case ["began", job] if job == str(number):
                begun = True
            case ["ended", job, status, milliseconds] if job == str(number) and code is None:
                if status.isdigit() and milliseconds.isdigit() and int(status[:9]) < 256:
                    code, cpu = int(status), int(milliseconds[:12]) / 1000
    return Journal(is_ready=ready, unfit=unfit, is_stale=stale, has_begun=begun, exit_code=code, cpu_seconds=cpu)


def end_jobs(server: Process) -> bool:
    """Kill every process in the sandbox but the server itself. False if it cannot be done, or the server is gone."""
    for _ in range(END_TRIES):
        init = server.init()
        if init is None:
            return False
        left = procfs.descendants(init)
        if not left:
            return True
        for pid in left:
            procfs.kill(pid)
        _wait_for_one(left)
    return False


def freshen(server: Process) -> bool:
    """Take away all that a job left in the sandbox. False if something stays: then it must not be used again."""
    init = server.init()
    if init is None or not end_jobs(server) or len(procfs.threads(init)) != 1:
        return False
    try:
        if _has_unread_request(server):
            return False
        root = Path(f"/proc/{init}/root")
        deadline = _Budget()
        for folder, mode in (
            (server.output, 0o700),
            (root / TMP[1:], 0o1777),
            (root / SHM[1:], 0o755),
            (server.folder / "input", None),
        ):
            _empty(folder, mode, deadline)
        for name in (OUT, ERR, JOURNAL, REPORT):
            os.truncate(server.folder / name, 0)
    except (OSError, _TooMuch):
        return False
    return server.init() == init  # else another process has its number, and that was another one's folder


def memory_bytes(server: Process) -> int | None:
    """The memory that ``server`` holds while no job runs in it."""
    held = cgroups.held_bytes(server.group)
    return resident_bytes(server) if held is None else held


def resident_bytes(server: Process) -> int | None:
    """The memory of the server's own process."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{server.init()}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return None


def _journal(server: Process) -> str:
    try:
        with (server.folder / JOURNAL).open("rb") as file:
            return file.read(JOURNAL_MAX_BYTES).decode("ascii", "replace")
    except OSError:
        return ""


def _has_unread_request(server: Process) -> bool:
    """A job that was killed before it read what it was asked leaves it to the next, with its secrets."""
    pipe = os.open(server.folder / CONTROL, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return any(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))
    finally:
        os.close(pipe)


def _wait_for_one(pids: list[int]) -> None:
    poll = select.poll()
    opened = []
    for pid in pids:
        with contextlib.suppress(OSError):
            opened.append(os.pidfd_open(pid))
            poll.register(opened[-1], select.POLLIN)
    poll.poll(END_PAUSE_SECONDS * 1000)
    for descriptor in opened:
        os.close(descriptor)


# Folders that a job could write. No name in them is followed as a link, and no number of them keeps us for long.


class _TooMuch(Exception):
    """More than is worth removing."""


class _Budget:
    def __init__(self) -> None:
        self.entries = ENTRIES_MAX
        self.until = time.monotonic() + EMPTY_SECONDS

    def spend(self) -> None:
        self.entries -= 1
        if self.entries < 0 or time.monotonic() > self.until:
            raise _TooMuch


def _empty(folder: Path, mode: int | None, budget: _Budget) -> None:
    """Remove what is in ``folder``, and what a job may have made of the folder itself."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _empty_opened(descriptor, budget, DEPTH_MAX)
        if mode is not None:
            for name in os.listxattr(descriptor):
                if name.startswith(("user.", "system.posix_acl")):
                    os.removexattr(descriptor, name)
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _empty_opened(descriptor: int, budget: _Budget, depth: int) -> None:
    if depth == 0:
        raise _TooMuch
    with os.scandir(descriptor) as entries:
        names = []
        for entry in entries:
            budget.spend()
            names.append((entry.name, entry.is_dir(follow_symlinks=False)))
    for name, is_folder in names:
        if not is_folder:
            os.unlink(name, dir_fd=descriptor)
            continue
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
        try:
            _empty_opened(inner, budget, depth - 1)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=descriptor)


def spooled(server: Process) -> dict[str, int]:
    """How much is in its spools: what the next job prints comes after that."""
    return {channel: (server.folder / channel).stat().st_size for channel in (OUT, ERR)}
