"""The sandbox itself, by commands of the system: no runner, no Python project."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.runtimes import home, sandbox, slots
from services.runtimes.base import Limits, PlatformError
from services.runtimes.sandbox import Command, Ending, Process, launch, process
from services.runtimes.slots import Slot
from tests.services.runtimes.conftest import LIMITS, MIB, finish, processes_of, read, wait_for_output
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(slot: Slot) -> Iterator[Path]:
    """A folder on disk that the slot's user may write."""
    made = home.jobs_home() / "test-folders" / secrets.token_hex(4)
    made.mkdir(parents=True)
    slot.give(made)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def sh(slot: Slot) -> Callable[..., tuple[Ending, str]]:
    """Runs a shell text to its end; returns the ending, and all it printed."""

    def run(text: str, *, limits: Limits = LIMITS, **options: object) -> tuple[Ending, str]:
        printed: list[bytes] = []
        command = Command(argv=["/bin/sh", "-c", text], limits=limits, **options)  # type: ignore[arg-type]
        ending = sandbox.run(slot=slot, command=command, log=lambda _, data: printed.append(data))
        assert slot.runs() == []
        return ending, b"".join(printed).decode(errors="replace")

    return run


@pytest.fixture
def start(slot: Slot) -> Callable[..., Process]:
    def start_it(text: str, *, limits: Limits = LIMITS, **options: object) -> Process:
        command = Command(argv=["/bin/sh", "-c", text], limits=limits, **options)  # type: ignore[arg-type]
        return sandbox.start(slot=slot, command=command, label={"who": "test"})

    return start_it


def groups_of(slot: Slot) -> list[Path]:
    """The control groups that runs in ``slot`` left."""
    parents = sandbox.host().groups
    folders = set(parents.folders.values()) if parents else set()
    return [group for folder in folders for group in folder.glob(f"mercato-{slot.name}-*") if process.attach(slot)]


def test_output_exit_code_and_usage(sh: Callable[..., tuple[Ending, str]]) -> None:
    ending, printed = sh("echo out; echo err >&2; exit 3")
    assert (ending.reason, ending.exit_code) == ("error", 3)
    assert "exit code 3" in ending.detail
    assert sorted(printed.split()) == ["err", "out"]
    assert 0 < ending.usage.wall_seconds < 60
    assert ending.usage.cpu_seconds is not None
    good, _ = sh("exit 0")
    assert (good.reason, good.detail, good.exit_code) == ("", "", 0)


def test_only_what_is_named_is_in_the_environment(
    sh: Callable[..., tuple[Ending, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_SECRET", "of the worker")
    _, printed = sh("env; cat /proc/1/environ | tr '\\0' '\\n'", variables={"GIVEN": "a b'c\n$d"})
    assert "of the worker" not in printed
    assert "GIVEN=a b'c\n$d\n" in printed
    names = {line.partition("=")[0] for line in printed.splitlines() if "=" in line}
    assert names <= {"PATH", "LANG", "HOME", "TMPDIR", "USER", "LOGNAME", "GIVEN", "PWD", "OLDPWD", "_", "SHLVL"}


def test_what_a_command_line_shows_holds_no_variable(start: Callable[..., Process]) -> None:
    running = start("echo up; sleep 60", variables={"TOKEN": "very-secret"})
    wait_for_output(running, b"up")
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "very-secret" not in lines
    assert not any("very-secret" in path.read_text(errors="replace") for path in running.folder.glob("*.json"))
    running.discard()


def test_binds_are_what_they_say(sh: Callable[..., tuple[Ending, str]], folder: Path) -> None:
    (folder / "inner").write_text("hello")
    ending, printed = sh(
        "cat /opt/ro/inner; touch /opt/ro/new; touch /opt/rw/new; ls /var/runtime/input; cat /var/runtime/input/a.json",
        read_only={"/opt/ro": folder},
        writable={"/opt/rw": folder},
        inputs={"a.json": b"[1]"},
    )
    assert ending.reason == ""
    assert "hello" in printed
    assert "Read-only file system" in printed
    assert "[1]" in printed
    assert (folder / "new").exists()


def test_input_names_cannot_leave_their_folder(slot: Slot) -> None:
    for name in ("../x", "/etc/x", "..", ""):
        with pytest.raises(PlatformError, match="no name"):
            sandbox.start(slot=slot, command=Command(argv=["/bin/true"], limits=LIMITS, inputs={name: b""}))
    assert [path for run in slot.runs() for path in run.glob("record.json")] == []


def test_time_limit(sh: Callable[..., tuple[Ending, str]], slot: Slot) -> None:
    ending, _ = sh("trap '' TERM; sleep 60 & sleep 60", limits=replace(LIMITS, wall_seconds=1))
    assert (ending.reason, ending.exit_code) == ("timeout", None)
    assert "1 s" in ending.detail
    assert 0.98 <= ending.usage.wall_seconds < 10  # the clock of files ticks
    assert processes_of(slot) == set()


def test_an_exit_code_of_124_is_no_timeout(sh: Callable[..., tuple[Ending, str]]) -> None:
    ending, _ = sh("exit 124")
    assert (ending.reason, ending.exit_code) == ("error", 124)


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGSEGV, "segmentation fault"), (signal.SIGKILL, "kill signal"), (signal.SIGABRT, "abort")],
)
def test_a_crash_names_the_signal(sh: Callable[..., tuple[Ending, str]], number: int, words: str) -> None:
    ending, _ = sh(f"kill -{number} $$")
    assert (ending.reason, ending.exit_code) == ("error", 128 + number)
    assert words in ending.detail
    assert signal.Signals(number).name in ending.detail


def test_memory_limit(sh: Callable[..., tuple[Ending, str]]) -> None:
    ending, _ = sh(
        f"exec {sandbox.host().interpreter.path} -I -c 'x = bytearray(400 << 20)'",
        limits=replace(LIMITS, memory_bytes=64 * MIB),
    )
    if sandbox.host().tier in ("v1", "v2"):
        assert ending.reason == "out_of_memory"
        assert "64 MiB" in ending.detail


def test_process_limit(sh: Callable[..., tuple[Ending, str]]) -> None:
    text = "i=0; while [ $i -lt 40 ]; do sleep 30 & i=$((i+1)); done; exit 1"
    ending, printed = sh(text, limits=replace(LIMITS, processes=10))
    if sandbox.host().tier in ("v1", "v2"):
        assert ending.reason == "too_many_processes", (ending, printed)
        assert "10" in ending.detail


def test_output_quota(sh: Callable[..., tuple[Ending, str]]) -> None:
    ending, _ = sh("dd if=/dev/zero of=/var/runtime/output/x bs=1M count=10", output=True)
    assert ending.reason == "output_too_large"
    assert "4 MiB" in ending.detail


def test_a_full_output_folder_is_no_failure_by_itself(sh: Callable[..., tuple[Ending, str]]) -> None:
    ending, _ = sh("dd if=/dev/zero of=/var/runtime/output/x bs=1M count=4 2>/dev/null", output=True)
    assert ending.reason == ""


def test_writable_folders_on_disk_are_watched(sh: Callable[..., tuple[Ending, str]], folder: Path) -> None:
    text = "i=0; while true; do dd if=/dev/zero of=/opt/rw/$i bs=1M count=1 2>/dev/null; i=$((i+1)); done"
    ending, _ = sh(text, writable={"/opt/rw": folder}, limits=replace(LIMITS, output_bytes=8 * MIB))
    assert ending.reason == "output_too_large"


def test_a_flooded_log_is_stopped(sh: Callable[..., tuple[Ending, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "SPOOL_MAX_BYTES", 8 * MIB)  # a GiB would be as true and take the disk's time
    ending, printed = sh("exec yes")
    assert ending.reason == "output_too_large"
    assert "log" in ending.detail
    assert len(printed) >= 8 * MIB


def test_every_byte_of_the_log_arrives_in_order(sh: Callable[..., tuple[Ending, str]]) -> None:
    ending, printed = sh("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
    assert ending.reason == ""
    assert printed.splitlines() == [f"line {number}" for number in range(20000)]


def test_dev_stdout_can_be_opened(sh: Callable[..., tuple[Ending, str]]) -> None:
    ending, printed = sh("echo one; echo two >>/dev/stdout; echo three >/proc/self/fd/2")
    assert ending.reason == ""
    assert set(printed.split()) >= {"two", "three"}


def test_stop_ends_a_run(sh: Callable[..., tuple[Ending, str]], slot: Slot) -> None:
    command = Command(argv=["/bin/sleep", "60"], limits=LIMITS)
    ending = sandbox.run(slot=slot, command=command, stop=lambda: "cancelled")
    assert ending.reason == "cancelled"
    assert processes_of(slot) == set()


def test_who_stood_still_until_its_lease_ended_starts_nothing(start: Callable[..., Process], slot: Slot) -> None:
    slot.lease(datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(PlatformError, match="lease ended before the start"):
        start("true")
    assert slot.runs() == []
    assert not processes_of(slot)
    slot.lease(datetime.now(UTC) + timedelta(seconds=60))
    finish(start("true"))


def test_kill_ends_every_process_at_once(start: Callable[..., Process], slot: Slot) -> None:
    text = "for i in 1 2 3 4 5 6 7 8; do setsid sh -c 'trap \"\" TERM HUP; sleep 60' & done; echo up; wait"
    running = start(text)
    wait_for_output(running, b"up")
    assert len(processes_of(slot)) >= 8
    began = time.monotonic()
    running.kill("cancelled")
    took = time.monotonic() - began
    assert running.ended()
    assert processes_of(slot) == set()
    running.kill("lost")
    assert sandbox.judge(running).reason == "cancelled"
    assert took < 5  # the figure itself is a benchmark's business


def test_kill_right_after_the_start(start: Callable[..., Process], slot: Slot) -> None:
    for _ in range(5):
        running = start("sleep 60")
        running.kill("cancelled")
        assert running.ended()
        assert processes_of(slot) == set()
        assert sandbox.judge(running).reason == "cancelled"
        running.discard()


def test_one_that_has_ended_keeps_its_end(start: Callable[..., Process]) -> None:
    running = start("exit 5")
    finish(running)  # type: ignore[arg-type]
    running.kill("cancelled")
    assert sandbox.judge(running).exit_code == 5
    assert sandbox.judge(running).reason == "error"


def test_nothing_outlives_its_command(sh: Callable[..., tuple[Ending, str]], slot: Slot) -> None:
    ending, _ = sh("setsid sh -c 'setsid sleep 60 & setsid sleep 60 &' & sleep 0.2; exit 0")
    assert ending.reason == ""
    assert ending.usage.wall_seconds < 30
    assert processes_of(slot) == set()


def test_discard_leaves_nothing(start: Callable[..., Process], slot: Slot) -> None:
    running = start("echo x >/var/runtime/output/x; sleep 60", output=True, report="/run/mercato/report")
    assert groups_of(slot) or sandbox.host().tier == "rlimit"
    running.discard()
    running.discard()
    assert slot.runs() == []
    assert groups_of(slot) == []
    assert str(running.folder) not in Path("/proc/self/mountinfo").read_text()
    assert processes_of(slot) == set()


@pytest.mark.parametrize("which", ["outer", "init"])
def test_a_killed_sandbox_is_lost(start: Callable[..., Process], slot: Slot, which: str) -> None:
    running = start("echo up; sleep 60")
    wait_for_output(running, b"up")
    init = running._status()[1]
    assert init
    outer = int(Path(f"/proc/{init}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill({"outer": outer, "init": init}[which], signal.SIGKILL)
    finish(running)  # type: ignore[arg-type]
    assert sandbox.judge(running).reason == "lost"
    assert processes_of(slot) == set()


def test_a_killed_wrapper_is_lost_and_leaves_nothing(start: Callable[..., Process], slot: Slot) -> None:
    running = start("echo up; sleep 60")
    wait_for_output(running, b"up")
    os.killpg(running.record.pid, signal.SIGKILL)
    for pid in children_in_session(running.record.pid):
        os.kill(pid, signal.SIGKILL)
    finish(running)  # type: ignore[arg-type]
    ending = sandbox.judge(running)
    assert ending.reason == "lost"
    assert "went away" in ending.detail
    assert processes_of(slot) == set()


@pytest.mark.skipif(sandbox.host().groups is None, reason="without control groups there is nothing to be left in")
@pytest.mark.parametrize("with_wrapper", [False, True])
def test_what_is_left_of_a_killed_sandbox_does_not_keep_its_slot(
    start: Callable[..., Process], slot: Slot, monkeypatch: pytest.MonkeyPatch, with_wrapper: bool
) -> None:
    monkeypatch.setattr(process, "OVERTIME_SECONDS", 0)  # with the wrapper goes the word of an end, not the time limit
    running = start("echo up; sleep 60", limits=replace(LIMITS, wall_seconds=2))
    wait_for_output(running, b"up")
    with subprocess.Popen(["sleep", "600"]) as stray:  # as one half of bubblewrap waits for the other for ever
        for folder in set(running.group.values()):
            (folder / "cgroup.procs").write_text(str(stray.pid))
        for pid in children_in_session(running.record.pid):
            if with_wrapper or pid != running.record.pid:
                os.kill(pid, signal.SIGKILL)
        finish(running)  # type: ignore[arg-type]
    assert sandbox.judge(running).reason == "lost"
    running.discard()
    assert groups_of(slot) == []


def children_in_session(session: int) -> list[int]:
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[3] == str(session):
                found.append(int(path.name))
    return found


def test_a_start_that_was_cut_off_leaves_an_empty_slot(slot: Slot, sh: Callable[..., tuple[Ending, str]]) -> None:
    (slot.folder / "run-cut").mkdir()
    assert sandbox.attach(slot) is None
    ending, _ = sh("exit 0")
    assert ending.reason == ""


def test_starting_in_a_slot_ends_what_a_dead_supervisor_left(start: Callable[..., Process], slot: Slot) -> None:
    start("echo up; sleep 60")
    second = start("echo second; sleep 60")
    assert len(slot.runs()) == 1
    wait_for_output(second, b"second")


def test_attach_finds_it_again(start: Callable[..., Process], slot: Slot) -> None:
    assert sandbox.attach(slot) is None
    first = start("echo up; read line </dev/zero; sleep 60")
    wait_for_output(first, b"up")
    second = sandbox.attach(slot)
    assert second
    assert second.label == {"who": "test"}
    assert not second.ended()
    assert read(second, "out") == b"up\n"  # type: ignore[arg-type]
    second.kill("lost")
    assert first.ended()
    assert sandbox.judge(first).reason == "lost"


def test_a_pid_of_another_time_is_not_ours(start: Callable[..., Process], slot: Slot) -> None:
    running = start("sleep 60")
    running.kill("cancelled")
    path = running.folder / "record.json"
    record = json.loads(path.read_text())
    record["pid"] = os.getpid()
    path.write_text(json.dumps(record))
    (running.folder / "killed").unlink()
    (running.folder / "exit").unlink(missing_ok=True)
    found = sandbox.attach(slot)
    assert found
    assert found.ended()
    found.kill("cancelled")  # that would have been the end of this test
    assert sandbox.judge(found).reason == "lost"


def test_network_is_closed_unless_asked_for(sh: Callable[..., tuple[Ending, str]]) -> None:
    _, closed = sh("cat /proc/net/dev; ls /etc/ssl /etc/resolv.conf; cat /etc/resolv.conf")
    assert "lo:" in closed
    assert closed.count(":") == closed.count("lo:") or "eth" not in closed
    _, opened = sh("cat /proc/net/dev; ls /etc/ssl", limits=replace(LIMITS, network=True))
    ours = {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines() if ":" in line}
    assert all(f"{name}:" in opened for name in ours)


def test_cpu_quota(sh: Callable[..., tuple[Ending, str]]) -> None:
    if sandbox.host().tier not in ("v1", "v2"):
        pytest.skip("the tier of this host has no CPU quota")
    text = f"exec {sandbox.host().interpreter.path} -I -c 'while True: pass'"
    ending, _ = sh(text, limits=replace(LIMITS, cpu_millis=200, wall_seconds=2))
    assert ending.reason == "timeout"
    assert ending.usage.cpu_seconds is not None
    assert ending.usage.cpu_seconds < 1


def test_two_runs_at_once_do_not_meet(sh: Callable[..., tuple[Ending, str]]) -> None:
    other = wait_for(lambda: slots.acquire("job"), what="a second slot")
    command = Command(argv=["/bin/sh", "-c", "echo up; sleep 60"], limits=LIMITS)
    running = sandbox.start(slot=other, command=command)
    wait_for_output(running, b"up")
    _, printed = sh("ps -e 2>/dev/null || ls /proc; kill -9 -1; echo unreached")
    assert "sleep" not in printed
    assert not running.ended()
    running.discard()
    other.release()


def test_a_run_is_removed_however_deep_its_folders_are(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    process.remove_run(tmp_path / "d", {})
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_ends_leaves_no_watcher_open() -> None:
    program = "from services.runtimes.sandbox import process; process._put_back(process._take_watcher(), [])"
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
