"""What /proc tells of the processes of this host. A process that is gone meanwhile is no error anywhere here."""

import contextlib
import functools
import os
import signal
from pathlib import Path


@functools.cache
def boot_id() -> str:
    """The name of this boot: pids and start times mean nothing in another."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def started_ticks(pid: int) -> int:
    """When ``pid`` was started, in clock ticks since the boot; -1 if there is no such process."""
    fields = _stat(pid)
    return int(fields[19]) if fields else -1


def is_alive(pid: int) -> bool:
    """Whether ``pid`` is there and more than a zombie."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def of_session(leader: int) -> set[int]:
    """Processes in the session of ``leader``."""
    return {pid for pid in _pids() if _stat(pid)[3:4] == [str(leader)]}


def of_user(uid: int) -> set[int]:
    """Processes of the user ``uid``."""
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}").stat().st_uid == uid:
                found.add(pid)
    return found


def with_variable(assignment: str) -> set[int]:
    """Processes that were started with ``assignment``, `NAME=value`, in their environment."""
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            if assignment.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.add(pid)
    return found


def threads(pid: int) -> list[str]:
    """The ids of its threads, the first among them; empty if there is no such process."""
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 (called for every process of a job)
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """Living processes below ``pid``. Below the init of a sandbox nothing is missing: it gets the orphans."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            if is_alive(child):
                found.append(child)
                waiting.append(child)
    return found


def kill(pid: int) -> None:
    """Send SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """/proc/<pid>/stat from the state on; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (a thousand Path objects)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in threads(pid):
        with contextlib.suppress(OSError, ValueError):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return found
