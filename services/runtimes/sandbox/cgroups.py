"""Limits by control groups, where this host lets us make some: v2 delegated to us (or root's), else v1 as root.

A group is named by its folders, {controller: path}; in v2 one folder has all controllers.
"""

import contextlib
import errno
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtimes.base import Limits

V1_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
V2_CONTROLLERS = ("memory", "pids", "cpu")
OURS = "mercato-main"  # where our own processes go when a delegated group must be free of processes itself
PERIOD_MICROSECONDS = 100_000
REMOVE_TRIES = 100
REMOVE_PAUSE_SECONDS = 0.01
OWN_PROCESSES = 4  # sh, timeout, bubblewrap and the init of the sandbox: not the job's own

Group = Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class Parents:
    """Where groups are made on this host."""

    tier: str  # `v2` or `v1`
    folders: Mapping[str, Path]

    def create(self, name: str, limits: Limits, *, extra_bytes: int = 0) -> dict[str, Path]:
        """A new group with ``limits``; ``extra_bytes`` of memory on top of them."""
        group = {controller: parent / name for controller, parent in self.folders.items()}
        for folder in set(group.values()):
            folder.mkdir(exist_ok=True)
        memory = limits.memory_bytes + extra_bytes
        processes = limits.processes + OWN_PROCESSES
        quota = max(1000, limits.cpu_millis * PERIOD_MICROSECONDS // 1000)
        if self.tier == "v2":
            folder = group["memory"]
            _write(folder / "memory.max", memory)
            _write(folder / "memory.swap.max", 0, optional=True)
            _write(folder / "pids.max", processes)
            _write(folder / "cpu.max", f"{quota} {PERIOD_MICROSECONDS}", optional=True)
        else:
            _write(group["memory"] / "memory.limit_in_bytes", memory)
            _write(group["memory"] / "memory.memsw.limit_in_bytes", memory, optional=True)
            _write(group["pids"] / "pids.max", processes)
            if "cpu" in group:
                _write(group["cpu"] / "cpu.cfs_period_us", PERIOD_MICROSECONDS, optional=True)
                _write(group["cpu"] / "cpu.cfs_quota_us", quota, optional=True)
        return group


def join_files(group: Group) -> list[Path]:
    """Where a process of one thread writes "0" to get into ``group``; its children will be born there.

    It must do so itself and, in v1, as a thread: moving another process, or a whole one, waits for a grace period of
    the kernel each time (10 ms).
    """
    return [
        folder / ("tasks" if (folder / "tasks").exists() else "cgroup.procs") for folder in sorted(set(group.values()))
    ]


def processes(group: Group) -> set[int]:
    """The pids in ``group``. Zombies are not among them."""
    for controller in ("pids", *group):  # each folder of a group has the same
        with contextlib.suppress(OSError, KeyError):
            return {int(line) for line in (group[controller] / "cgroup.procs").read_text().split()}
    return set()


def kill(group: Group) -> None:
    """Kill what is in ``group`` now. Something that forks meanwhile needs a second call, but in v2."""
    for folder in set(group.values()):
        with contextlib.suppress(OSError):
            _write(folder / "cgroup.kill", 1)
            return
    for pid in processes(group):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def remove(group: Group) -> None:
    """Remove an empty ``group``. What is already gone is no error; what has just ended is out of it a moment later."""
    left = set(group.values())
    for _ in range(REMOVE_TRIES):
        left = {folder for folder in left if _is_busy(folder)}
        if not left:
            return
        time.sleep(REMOVE_PAUSE_SECONDS)


def _is_busy(folder: Path) -> bool:
    """Whether ``folder`` could not be removed yet."""
    try:
        folder.rmdir()
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def cpu_seconds(group: Group) -> float | None:
    """The CPU time that ``group`` used."""
    if "cpuacct" in group:
        nanoseconds = _number(group["cpuacct"] / "cpuacct.usage")
        return None if nanoseconds is None else nanoseconds / 1e9
    microseconds = _fields(group.get("memory"), "cpu.stat").get("usage_usec")
    return None if microseconds is None else microseconds / 1e6


def memory_peak_bytes(group: Group) -> int | None:
    """The most memory that ``group`` held at once."""
    if "memory" not in group:
        return None
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        if (peak := _number(group["memory"] / name)) is not None:
            return peak
    return None


def reset_peak(group: Group) -> bool:
    """Measure the peak from now on. False where the kernel cannot (v2)."""
    try:
        _write(group["memory"] / "memory.max_usage_in_bytes", 0)
    except (OSError, KeyError):
        return False
    return True


def held_bytes(group: Group) -> int | None:
    """The memory that ``group`` holds and the kernel cannot take back: of processes, and of files in memory."""
    fields = _fields(group.get("memory"), "memory.stat")
    for names in (("anon", "shmem"), ("total_rss", "total_shmem")):  # v2, v1
        if names[0] in fields:
            return sum(fields.get(name, 0) for name in names)
    return None


def allow_memory(group: Group, size: int) -> None:
    """Change the memory limit of ``group`` to ``size``, as far as what it holds already allows."""
    with contextlib.suppress(OSError, KeyError):
        if (group["memory"] / "memory.max").exists():
            _write(group["memory"] / "memory.max", size)
            return
        _write(group["memory"] / "memory.memsw.limit_in_bytes", size, optional=True)  # never below the next one
        _write(group["memory"] / "memory.limit_in_bytes", size)
        _write(group["memory"] / "memory.memsw.limit_in_bytes", size, optional=True)


def oom_kills(group: Group) -> int:
    """How many processes of ``group`` the kernel killed for want of memory."""
    events = _fields(group.get("memory"), "memory.events") or _fields(group.get("memory"), "memory.oom_control")
    return events.get("oom_kill", 0)


def refused_forks(group: Group) -> int:
    """How often the kernel refused ``group`` another process."""
    return _fields(group.get("pids"), "pids.events").get("max", 0)


def detect(*, mounts: str | None = None, own: str | None = None, as_root: bool | None = None) -> Parents | None:
    """Where groups can be made; None where nowhere. Tries it: what the files say is not what the host allows."""
    mounts = Path("/proc/self/mountinfo").read_text() if mounts is None else mounts
    own = Path("/proc/self/cgroup").read_text() if own is None else own
    as_root = os.geteuid() == 0 if as_root is None else as_root
    paths = {line.split(":")[1]: line.split(":", 2)[2] for line in own.splitlines()}
    found = _detect_v2(_v2_mount(mounts), paths.get("", "/"), as_root)
    if found is None and as_root:
        found = _detect_v1(mounts, paths)
    return found


def _detect_v2(mount: Path | None, own: str, as_root: bool) -> Parents | None:
    if mount is None or not {"memory", "pids"} <= _words(mount / own.lstrip("/") / "cgroup.controllers"):
        return None
    here = mount / own.lstrip("/")
    sees_whole_host = not (mount / "cgroup.events").exists()
    candidates = [here.parent] if here.name == OURS else []
    if as_root and sees_whole_host:
        candidates.append(mount / "mercato")  # outside of our unit: it may be stopped and started while jobs run
    if (here == mount and not sees_whole_host) or _is_delegated(here):
        candidates.append(here)
    for parent in candidates:
        with contextlib.suppress(OSError):
            if parent == mount / "mercato":
                _enable(mount)
                parent.mkdir(exist_ok=True)
            _enable(parent)
            found = Parents(tier="v2", folders=dict.fromkeys(V2_CONTROLLERS, parent))
            if _works(found):
                return found
    return None


def _enable(folder: Path) -> None:
    """Pass the controllers on to the children of ``folder``, whose own processes move into a child if they must."""
    wanted = {"memory", "pids", "cpu"} & _words(folder / "cgroup.controllers")
    missing = wanted - _words(folder / "cgroup.subtree_control")
    if not missing:
        return
    order = " ".join(f"+{name}" for name in sorted(missing))
    try:
        _write(folder / "cgroup.subtree_control", order)
    except OSError:
        inner = folder / OURS
        inner.mkdir(exist_ok=True)
        for pid in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                _write(inner / "cgroup.procs", pid)
        _write(folder / "cgroup.subtree_control", order)


def _detect_v1(mounts: str, paths: Mapping[str, str]) -> Parents | None:
    folders = {}
    for controller in V1_CONTROLLERS:
        for line in mounts.splitlines():
            fields, _, rest = line.partition(" - ")
            kind, _, options = rest.split(" ", 2)
            if kind != "cgroup" or controller not in options.split(","):
                continue
            own = next((path for names, path in paths.items() if controller in names.split(",")), "/")
            root, mount = fields.split()[3:5]
            inside = own.removeprefix(root) if root != "/" else own
            folder = Path(mount) / inside.lstrip("/")
            folders[controller] = folder if folder.is_dir() else Path(mount)
    if not {"memory", "pids"} <= folders.keys():
        return None
    found = Parents(tier="v1", folders=folders)
    return found if _works(found) else None


def _works(parents: Parents) -> bool:
    name = f"mercato-probe-{os.getpid()}"
    probe = Limits(cpu_millis=1000, memory_bytes=1 << 26, wall_seconds=1, processes=1, output_bytes=0, output_files=0)
    group = {controller: parent / name for controller, parent in parents.folders.items()}
    try:
        parents.create(name, probe)
    except OSError:
        return False
    finally:
        remove(group)
    return True


def _v2_mount(mounts: str) -> Path | None:
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            return Path(fields.split()[4])
    return None


def _is_delegated(folder: Path) -> bool:
    """systemd marks what it leaves to a service or a user; without a mark a group is not ours to divide."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _write(path: Path, value: int | str, *, optional: bool = False) -> None:
    """Write a control file. An optional one may be missing or refuse: another file holds the limit then."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:
        if optional:
            return
        raise
    try:
        os.write(descriptor, f"{value}\n".encode())
    except OSError:
        if not optional:
            raise
    finally:
        os.close(descriptor)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _words(path: Path) -> set[str]:
    try:
        return set(path.read_text().split())
    except OSError:
        return set()


def _fields(folder: Path | None, name: str) -> dict[str, int]:
    if folder is None:
        return {}
    try:
        lines = (folder / name).read_text().splitlines()
    except OSError:
        return {}
    return {key: int(value) for key, _, value in (line.partition(" ") for line in lines) if value.isdigit()}
