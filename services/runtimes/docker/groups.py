"""Control groups around those that the engine makes: they keep the sums of a container that is gone, and bound builds.

Only where the engine makes its groups itself: one that leaves them to systemd takes no folder of ours. There the
watcher looks up what a container uses while it runs.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

from services.runtimes import sandbox
from services.runtimes.base import Limits
from services.runtimes.docker import engine
from services.runtimes.sandbox import cgroups


def create(name: str, limits: Limits, *, extra_bytes: int = 0) -> tuple[dict[str, Path], str]:
    """A new group, and what the engine calls it; both empty where there can be none."""
    parents = sandbox.host().groups
    if parents is None or engine.facts().cgroup_driver != "cgroupfs":
        return {}, ""
    if parents.tier == "v1":  # an engine has one name for all hierarchies, and in each we may be somewhere else
        parents = replace(parents, folders={key: _mount(folder) for key, folder in parents.folders.items()})
    place = next(iter(parents.folders.values()))
    try:
        group = parents.create(name, limits, extra_bytes=extra_bytes)
    except OSError:
        return {}, ""
    inside = str(place.relative_to(_mount(place)))
    return group, f"/{name}" if inside == "." else f"/{inside}/{name}"


def remove(group: cgroups.Group) -> None:
    """Remove an empty group, also where only the engine needed one of its name, and what a dead engine left in it."""
    for folder in list(group.values())[:1]:  # each hierarchy has it under the same name
        inside = folder.relative_to(_mount(folder.parent))
        for hierarchy in _hierarchies():
            _remove(hierarchy / inside)


def peak_of_processes(group: cgroups.Group) -> int:
    """How many processes were in ``group`` at once."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return int((group["pids"] / "pids.peak").read_text())
    return 0


def _mount(folder: Path) -> Path:
    """The hierarchy that a control group is in."""
    return next(parent for parent in (folder, *folder.parents) if parent.is_mount())


def _hierarchies() -> list[Path]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [Path(line.split()[1]) for line in lines if line.split()[2] in ("cgroup", "cgroup2")]


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for inner in folder.iterdir():
            if inner.is_dir():
                inner.rmdir()
        folder.rmdir()
