"""Version 2 of control groups: this machine may have version 1 only, so its files are stood in for by a folder."""

from pathlib import Path

import pytest

from services.runtimes.sandbox import cgroups
from tests.services.runtimes.conftest import LIMITS


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    root = tmp_path / "cgroup"
    for path in (root, root / "unit"):
        path.mkdir()
        (path / "cgroup.controllers").write_text("cpu io memory pids\n")
        (path / "cgroup.subtree_control").write_text("memory pids cpu\n")
        (path / "cgroup.procs").write_text("")
    (root / "unit" / "cgroup.events").write_text("populated 1\n")
    return root


def mountinfo(root: Path) -> str:
    return f"30 1 0:26 / {root} rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"


def test_v2_is_not_taken_from_somebody_who_did_not_delegate_it(v2: Path) -> None:
    assert cgroups.detect(mounts=mountinfo(v2), own="0::/unit\n", as_root=False) is None


def test_v2_belongs_to_root(v2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.setattr(cgroups, "_works", lambda parents: made.append(parents.folders["memory"]) or True)
    (v2 / "mercato").mkdir()
    (v2 / "mercato" / "cgroup.controllers").write_text("cpu memory pids\n")
    (v2 / "mercato" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    found = cgroups.detect(mounts=mountinfo(v2), own="0::/unit\n", as_root=True)
    assert found
    assert found.tier == "v2"
    assert made == [v2 / "mercato"]


def test_v2_limits_and_counters(v2: Path) -> None:
    group = v2 / "unit" / "g"
    group.mkdir()
    for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max"):
        (group / name).touch()
    parents = cgroups.Parents(tier="v2", folders=dict.fromkeys(cgroups.V2_CONTROLLERS, v2 / "unit"))
    made = parents.create("g", LIMITS, extra_bytes=5)
    assert set(made.values()) == {group}
    assert (group / "memory.max").read_text() == f"{LIMITS.memory_bytes + 5}\n"
    assert (group / "memory.swap.max").read_text() == "0\n"
    assert (group / "pids.max").read_text() == f"{LIMITS.processes + cgroups.OWN_PROCESSES}\n"
    assert (group / "cpu.max").read_text() == "200000 100000\n"
    (group / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    (group / "memory.peak").write_text("4096\n")
    (group / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    (group / "pids.events").write_text("max 7\n")
    (group / "cgroup.procs").write_text("12\n34\n")
    assert cgroups.cpu_seconds(made) == 1.5
    assert cgroups.memory_peak_bytes(made) == 4096
    assert cgroups.oom_kills(made) == 2
    assert cgroups.refused_forks(made) == 7
    assert cgroups.processes(made) == {12, 34}
    assert cgroups.join_files(made) == [group / "cgroup.procs"]
    (group / "cgroup.kill").touch()
    cgroups.kill(made)
    assert (group / "cgroup.kill").read_text() == "1\n"
