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
from pathlib import Path

import pytest

from services.runtimes import home, sandbox, slots
from services.runtimes.base import Limits, PlatformError
from services.runtimes.sandbox import Command, Ending, Process, cgroups, launch, process, seccomp
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
    assert 1 <= ending.usage.wall_seconds < 10
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
    ending, _ = sh(text, limits=replace(LIMITS, processes=10))
    if sandbox.host().tier in ("v1", "v2"):
        assert ending.reason == "too_many_processes"
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
    processes = sorted(processes_of(slot))
    assert len(processes) >= 3  # bubblewrap, the init, the command
    victim = {"outer": processes[0], "init": processes[1]}[which]
    os.kill(victim, signal.SIGKILL)
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


# A host that forbids namespaces, and one without root: real ones, made by a process around ours


FORBIDDEN = """
import ctypes, sys
program = open(sys.argv[1], "rb").read()
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0) == 0, ctypes.get_errno()
exec(sys.stdin.read())
"""
REPORT_HOST = """
import django, json
django.setup()
from services.runtimes import sandbox, slots
from services.runtimes.base import Limits, PlatformError
host = sandbox.host()
slot = slots.acquire("job")
ending = None
printed = []
if not host.problem:
    limits = Limits(cpu_millis=1000, memory_bytes=1 << 28, wall_seconds=20, processes=40, output_bytes=1 << 20,
                    output_files=9)
    command = sandbox.Command(
        argv=["/bin/sh", "-c", 'echo $INPUT_DIRECTORY; cat $INPUT_DIRECTORY/data.json; echo x >$OUTPUT_DIRECTORY/y; '
              'pwd; setsid sleep 50 & exit 4'],
        variables={"INPUT_DIRECTORY": sandbox.INPUT, "OUTPUT_DIRECTORY": sandbox.OUTPUT},
        inputs={"data.json": b"[7]"}, output=True, limits=limits,
    )
    ending = sandbox.run(slot=slot, command=command, log=lambda _, data: printed.append(data))
else:
    try:
        sandbox.start(slot=slot, command=sandbox.Command(argv=["/bin/true"], limits=None))
    except PlatformError as error:
        printed.append(str(error).encode())
print(json.dumps({
    "problem": host.problem, "tier": host.tier, "printed": b"".join(printed).decode(),
    "reason": ending and ending.reason, "exit_code": ending and ending.exit_code, "uid": slot.uid,
}))
"""


def report_host(*around: str, text: str = REPORT_HOST, **environment: str) -> dict[str, object]:
    """What a host is found to be from within ``around``."""
    folder = home.jobs_home().parent / f"jobs-{secrets.token_hex(4)}"
    asked = subprocess.run(
        [*around, *([sys.executable, "-"] if not around or around[0] != sys.executable else [])],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings", "JOBS_HOME": str(folder), **environment},
        check=False,
    )
    shutil.rmtree(folder, ignore_errors=True)
    assert asked.returncode == 0, asked.stderr
    answer: dict[str, object] = json.loads(asked.stdout.splitlines()[-1])
    return answer


@pytest.fixture
def forbidden(tmp_path: Path) -> list[str]:
    """Around a Python text: a process whose kernel refuses namespaces and mounts, like a container engine's."""
    (tmp_path / "filter").write_bytes(seccomp.program())
    return [sys.executable, "-c", FORBIDDEN, str(tmp_path / "filter")]


def test_a_host_that_forbids_namespaces_says_so_and_how_to_mend_it(forbidden: list[str]) -> None:
    found = report_host(*forbidden)
    assert "forbids" in str(found["problem"])
    assert "seccomp=unconfined" in str(found["problem"])
    assert "bubblewrap says" in str(found["problem"])
    assert found["printed"] == found["problem"]


def test_the_operator_may_run_without_a_sandbox(forbidden: list[str]) -> None:
    found = report_host(*forbidden, ALLOW_UNSAFE_RUNTIME="1")
    assert (found["problem"], found["tier"]) == ("", "unsafe")
    assert (found["reason"], found["exit_code"]) == ("error", 4)
    printed = str(found["printed"])
    assert "[7]" in printed
    assert "/var/runtime" not in printed
    assert not [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"sleep\x0050" in _bytes(path) and path.parent.stat().st_uid == found["uid"]
    ]


def test_a_safe_host_stays_safe_where_unsafe_is_allowed() -> None:
    assert report_host(ALLOW_UNSAFE_RUNTIME="1")["tier"] == sandbox.host().tier


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)")
def test_without_root_there_is_one_user_and_the_rlimit_tier() -> None:
    found = report_host("unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-")
    assert (found["problem"], found["uid"]) == ("", 1000)
    assert found["tier"] in ("rlimit", "v2")
    assert (found["reason"], found["exit_code"]) == ("error", 4)
    assert "/var/runtime/input" in str(found["printed"])


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)")
def test_a_host_without_user_namespaces_names_the_sysctl() -> None:
    text = "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n" + REPORT_HOST
    around = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps", sys.executable, "-"]
    found = report_host(*around, text=text)
    assert "user.max_user_namespaces" in str(found["problem"])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# Limits by control groups, version 2: this machine may have version 1 only, so its files are stood in for by a folder


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


# The filter, decided by a small machine of our own for the architectures that this host is not


def decide(program: bytes, *, architecture: int, number: int, argument: int = 0) -> int:
    """What the kernel would answer."""
    words = {0: number, 4: architecture, 16: argument}
    steps = [(int.from_bytes(program[i : i + 2], "little"), *program[i + 2 : i + 4],
              int.from_bytes(program[i + 4 : i + 8], "little")) for i in range(0, len(program), 8)]  # fmt: skip
    at = accumulator = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == seccomp.LOAD:
            accumulator = words[value]
        elif code == seccomp.RETURN:
            return value
        else:
            holds = {
                seccomp.JUMP_EQUAL: accumulator == value,
                seccomp.JUMP_AT_LEAST: accumulator >= value,
                seccomp.JUMP_ANY_BIT: bool(accumulator & value),
            }[code]
            at += yes if holds else no


@pytest.mark.parametrize("machine", sorted(seccomp.ARCHITECTURES))
def test_the_filter_decides(machine: str) -> None:
    column, architecture = seccomp.ARCHITECTURES[machine]
    program = seccomp.program(machine)

    def answer(number: int, argument: int = 0, on: int = architecture) -> int:
        return decide(program, architecture=on, number=number, argument=argument)

    for name, numbers in seccomp.FORBIDDEN.items():
        if (number := numbers[column]) is not None:
            assert answer(number) == seccomp.ERRNO | 1, name
    assert answer(seccomp.CLONE3[column]) == seccomp.ERRNO | 38
    assert answer(seccomp.CLONE[column], 0x01200011) == seccomp.ALLOW
    assert answer(seccomp.CLONE[column], seccomp.CLONE_NEWUSER | 17) == seccomp.ERRNO | 1
    for family in (1, 2, 10, 16):
        assert answer(seccomp.SOCKET[column], family) == seccomp.ALLOW
    for family in (0, 3, 17, 38, 40, 44):
        assert answer(seccomp.SOCKET[column], family) == seccomp.ERRNO | 97
    assert answer(64 if machine == "aarch64" else 1) == seccomp.ALLOW  # write
    assert answer(1, on=0x40000003) == seccomp.KILL  # 32 bits
    if machine == "x86_64":
        assert answer(seccomp.X32_BIT | 1) == seccomp.KILL
    assert len(program) // 8 < 4096


def test_the_filter_knows_its_machines() -> None:
    with pytest.raises(PlatformError, match="riscv64"):
        seccomp.program("riscv64")


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
