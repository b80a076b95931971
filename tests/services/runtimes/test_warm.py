"""What is special to a warm start. All that it has in common with a cold one is in test_contract.py."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import LazySettings

from portal.lib.ids import new_id
from services.runtimes import home, sandbox, slots, warm
from services.runtimes.base import JobSpec
from services.runtimes.python import PythonExecution, PythonRuntime
from services.runtimes.sandbox import procfs, serving
from services.runtimes.slots import Slot
from tests.services.runtimes.conftest import ACCOUNT, MIB, Ran, finish, processes_of, read, wait_for_output
from tests.waiting import wait_for

COUNTER = """
import os, time
print("imported")
calls = []
def run(data):
    calls.append(data)
    print("called")
    return {"calls": calls}
"""


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    warm.end_idle()
    warm.closing.clear()


class Version:
    """One version and its jobs, in the slot of the test."""

    def __init__(self, runtime: PythonRuntime, slot: Slot, spec: JobSpec) -> None:
        self.runtime = runtime
        self.slot = slot
        self.spec = spec

    def start(self, data: object = None, **options: object) -> PythonExecution:
        inputs = {"data.json": json.dumps(data).encode(), "params.json": b"null"}
        return self.runtime.start(replace(self.spec, job_id=new_id(), inputs=inputs, **options), self.slot)

    def run(self, data: object = None, **options: object) -> Ran:
        execution = self.start(data, **options)
        finish(execution)
        ran = Ran(
            outcome=execution.outcome(),
            out=read(execution, "out").decode(errors="replace"),
            err=read(execution, "err").decode(errors="replace"),
            files={path.name: path.read_bytes() for path in execution.output.glob("*.json")},
        )
        execution.discard()
        return ran

    @property
    def server(self) -> str:
        """The name of the interpreter that waits."""
        found = self.slot.servers()
        return found[0].name if found and self.slot.warm_key() else ""

    @property
    def init(self) -> int:
        process = sandbox.attach_server(self.slot)
        assert process
        pid = process.init()
        assert pid
        return pid


@pytest.fixture
def version(runtime: PythonRuntime, slot: Slot, spec: Callable[..., JobSpec]) -> Callable[..., Version]:
    """Makes the version of a program."""

    def make(program: str, **options: object) -> Version:
        return Version(runtime, slot, replace(spec(program, **options), warm=True))

    return make


def test_the_program_is_imported_once_and_each_job_begins_from_there(version) -> None:
    counter = version(COUNTER)
    first, second, third = counter.run(1), counter.run(2), counter.run(3)
    assert first.out == "imported\ncalled\n"
    assert second.out == third.out == "called\n"
    assert [ran.result for ran in (first, second, third)] == [{"calls": [1]}, {"calls": [2]}, {"calls": [3]}]
    assert len(counter.slot.servers()) == 1


def test_an_idle_interpreter_leaves_its_slot_free(version) -> None:
    counter = version(COUNTER)
    counter.run()
    slot = counter.slot
    assert slot.runs() == []
    assert list(slots.occupied("job")) == []
    slot.release()
    assert list(slots.left_behind("job")) == []
    assert slot.lease_expires_at() is None
    other = slots.acquire("job")
    assert other
    assert other.name != slot.name  # empty ones come first
    assert slots.exchange(other, "somebody else") is other
    mine = slots.exchange(other, warm.key_of(counter.spec.version_id, ACCOUNT))
    assert (mine.name, mine.is_held, other.is_held) == (slot.name, True, False)
    assert mine.uid == slot.uid
    other, last = slots.acquire("job"), slots.acquire("job")
    assert last is None
    assert slots.exchange(other, mine.warm_key()) is other  # type: ignore[arg-type]  # it is held
    other.release()  # type: ignore[union-attr]
    counter.slot = mine
    name = counter.server
    assert counter.run().out == "called\n"
    assert counter.server == name
    mine.release()
    assert wait_for(lambda: slot._lock is None, what="the slot")
    slot._lock = None


@pytest.mark.parametrize(
    "change",
    [
        {"account_id": new_id()},
        {"version_id": new_id()},
        {"variables": {"LEVEL": "2"}, "version_variables": frozenset({"LEVEL"})},
        {"limits": {"memory_bytes": 128 * MIB}},
        {"warm": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_it_serves_one_account_and_one_version(version, change: dict[str, object]) -> None:
    counter = version(COUNTER)
    counter.run()
    before, init = counter.server, counter.init
    if "limits" in change:
        change = {"limits": replace(counter.spec.limits, **change["limits"])}  # type: ignore[arg-type]
    assert counter.run(**change).out == "imported\ncalled\n"
    assert counter.server != before
    assert not procfs.is_alive(init)


def test_variables_of_the_version_come_before_the_import_and_those_of_the_job_after(version) -> None:
    program = version("""
import os
seen = [os.environ.get("LEVEL"), os.environ.get("SECRET_TOKEN"), os.environ.get("DATA_VALUE")]
def run():
    return [seen, os.environ["LEVEL"], os.environ.get("SECRET_TOKEN"), os.environ["BASE64_ENCODED"]]
""")
    shared = {"version_variables": frozenset({"LEVEL"})}
    for token in ("one", "two"):
        ran = program.run(variables={"LEVEL": "9", "SECRET_TOKEN": token}, **shared)
        assert ran.result == [["9", None, None], "9", token, "true"]
    assert program.run(variables={"LEVEL": "9"}, **shared).result == [["9", None, None], "9", None, "true"]


def test_nothing_of_a_secret_is_left_for_the_next_job(version) -> None:
    program = version("""
import os
def found(text):
    places = []
    for process in [name for name in os.listdir("/proc") if name.isdigit()]:
        for name in ("environ", "cmdline"):
            try:
                if text in open(f"/proc/{process}/{name}", "rb").read():
                    places.append(process + name)
            except OSError:
                pass
    for folder in ("/tmp", "/dev/shm", "/var/runtime", "/run"):
        for parent, _, files in os.walk(folder):
            for name in files:
                if text in open(os.path.join(parent, name), "rb").read():
                    places.append(name)
    return places
def run(data):
    if data is None:
        secret = os.environ["SECRET_TOKEN"]
        for folder in ("/tmp", "/dev/shm", "/var/runtime/output"):
            os.makedirs(folder + "/a/b")
            open(folder + "/a/b/" + "left", "w").write(secret)
        print(secret)
        return len(found(secret.encode())) == 3
    return found(data.encode()[::-1])
""")
    secret = "to" + os.urandom(12).hex()
    assert program.run(variables={"SECRET_TOKEN": secret}).result is True
    name = program.server
    process = sandbox.attach_server(program.slot)
    assert process
    memory = _memory_of(program.init)
    assert secret.encode() not in memory
    assert b"sys.path" in memory  # we did look
    assert secret not in "".join(
        path.read_text(errors="replace") for path in process.folder.iterdir() if path.is_file()
    )
    assert program.run(secret[::-1]).result == []
    assert program.server == name


def _memory_of(pid: int) -> bytes:
    content = b""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            first, _, last = line.split()[0].partition("-")
            try:
                memory.seek(int(first, 16))
                content += memory.read(int(last, 16) - int(first, 16))
            except (OSError, ValueError, OverflowError):
                continue
    return content


def test_what_a_job_leaves_behind_is_gone_before_the_next(version) -> None:
    program = version("""
import json, os, signal, subprocess, sys, time
def run(data):
    seen = [sorted(os.listdir(folder)) for folder in ("/tmp", "/dev/shm", "/var/runtime/output", "/var/runtime/input")]
    seen.append(sorted(name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())))
    seen.append(os.stat("/tmp").st_mode & 0o7777)
    if data == "leave":
        open("/tmp/file", "w").close()
        os.symlink("/etc/passwd", "/dev/shm/link")
        os.makedirs("/var/runtime/output/" + "d/" * 20)
        os.chmod("/var/runtime/output/d", 0)
        os.chmod("/tmp", 0o700)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.close(1)
                time.sleep(600)
            os._exit(0)
        subprocess.Popen(["sleep", "600"])
    return seen
""")
    clean = [[], [], [], ["data.json", "params.json"], [], 0o1777]
    for data in ("leave", "look", "leave", "look"):
        assert program.run(data).result == clean
    assert program.server
    assert len(processes_of(program.slot)) == 2  # bubblewrap and the interpreter


def test_more_than_can_be_cleared_up_soon_ends_the_interpreter(version) -> None:
    program = version(
        """
import ctypes, os
def run(data):
    if data == "files":
        for number in range(6000):
            open(f"/tmp/{number}", "w").close()
    if data == "deep":
        for _ in range(100):
            os.mkdir("d")
            os.chdir("d")
    if data == "shared":
        ctypes.CDLL(None).shmget(0, 4096, 0o1600)
    return sorted(os.listdir("/tmp"))
""".replace("def run(data):", "def run(data):\n    os.chdir('/tmp')")
    )
    for data in ("files", "deep", "shared"):
        assert program.run("nothing").result == []
        assert program.server
        assert program.run(data).outcome.reason == ""
        assert program.server == ""
        assert program.slot.folders() == []
        assert not processes_of(program.slot)


def test_a_link_that_a_job_leaves_is_not_followed(version) -> None:
    victim = home.jobs_home() / "victim"
    victim.mkdir()
    (victim / "kept").touch()
    program = version("import os\ndef run(data):\n    os.symlink(data, '/var/runtime/output/x')\n"
                      "    os.symlink(data, '/tmp/x')\n    os.symlink('/', '/dev/shm/root')")  # fmt: skip
    for _ in range(2):
        assert program.run(str(victim)).outcome.reason == ""
        assert program.server
    assert (victim / "kept").exists()
    (victim / "kept").unlink()
    victim.rmdir()


def test_it_is_replaced_after_so_many_jobs_and_with_age(version, settings: LazySettings, monkeypatch) -> None:
    settings.WARM_JOBS_MAX = 2
    counter = version(COUNTER)
    printed = [counter.run().out for _ in range(3)]
    assert printed == ["imported\ncalled\n", "called\n", "imported\ncalled\n"]
    monkeypatch.setattr(warm, "LIFE_SECONDS", 0)
    assert counter.run().out == "imported\ncalled\n"
    assert counter.server == ""


def test_it_is_replaced_when_it_holds_more_memory(version) -> None:
    program = version("""
import ctypes, os
kept = os.memfd_create("kept")
def run(data):
    os.posix_fallocate(kept, 0, data << 20)  # the interpreter has it open, so it stays
""")
    program.run(1)
    assert program.server
    program.run(2)
    assert program.server
    program.run(80)
    assert program.server == ""
    assert program.run(1).outcome.reason == ""


def test_idle_ones_end_by_time_and_with_their_worker(version) -> None:
    counter = version(COUNTER)
    counter.run()
    counter.slot.release()
    warm.end_idle(older_than=60)
    assert counter.server
    warm.end_idle()
    assert (counter.slot.servers(), counter.slot.warm_key()) == ([], "")
    assert not processes_of(counter.slot)
    counter.slot = wait_for(lambda: slots.acquire("job"), what="a slot")
    execution = counter.start()
    warm.closing.set()
    finish(execution)
    execution.discard()
    assert counter.slot.folders() == []
    counter.slot.release()


def test_an_idle_one_that_everybody_forgot_ends_by_itself(version, settings: LazySettings, monkeypatch) -> None:
    settings.WARM_IDLE_SECONDS = 1
    monkeypatch.setattr(warm, "ALONE_SECONDS", 0)
    counter = version(COUNTER)
    counter.run()
    server = sandbox.attach_server(counter.slot)
    assert server
    wait_for(server.ended, what="its end")
    assert not processes_of(counter.slot)
    assert counter.run().out == "imported\ncalled\n"


def test_an_interpreter_that_was_killed_while_it_waited_is_replaced(version) -> None:
    counter = version(COUNTER)
    counter.run()
    os.kill(counter.init, signal.SIGKILL)
    ran = counter.run(7)
    assert ran.out == "imported\ncalled\n"
    assert ran.result == {"calls": [7]}


def test_an_interpreter_that_is_killed_takes_its_job_with_it(version) -> None:
    program = version("import time\ndef run():\n    print('up')\n    time.sleep(600)")
    execution = program.start()
    wait_for_output(execution, b"up")
    os.kill(program.init, signal.SIGKILL)
    finish(execution)
    outcome = execution.outcome()
    assert (outcome.reason, outcome.exit_code) == ("lost", None)
    execution.discard()
    assert program.slot.folders() == []


def test_a_job_cannot_end_its_interpreter_by_signals(version) -> None:
    program = version("""
import os, signal, time
def stop(*_):
    raise SystemExit("stopped")
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    signal.signal(number, stop)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def run(data):
    if data == "all":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            os.kill(os.getppid(), number)
            try:
                os.kill(-1, number)
            except ProcessLookupError:
                pass  # the interpreter and this process are all there is
        os.setsid()
        return signal.getsignal(signal.SIGTERM) is stop and signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    if data == "itself":
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(60)
""")
    assert program.run("all").result is True
    name = program.server
    assert name
    ran = program.run("itself")
    assert (ran.outcome.exit_code, ran.err) == (1, "stopped\n")
    assert program.run("all").result is True
    assert program.server == name


def test_memory_that_a_job_takes_ends_the_job_and_the_next_succeeds(version) -> None:
    program = version("def run(data):\n    return len(bytearray(data << 20).replace(b'\\0', b'1'))")
    assert program.run(1).result == MIB
    ran = program.run(2000)
    assert ran.outcome.reason == "out_of_memory"
    assert program.run(1).result == MIB


def test_a_cancelled_job_ends_with_its_sandbox(version) -> None:
    program = version("import subprocess\ndef run():\n    print('up')\n    subprocess.run(['sleep', '600'])")
    execution = program.start()
    wait_for_output(execution, b"up")
    found = PythonRuntime().attach(Slot(kind="job", number=program.slot.number, folder=program.slot.folder, uid=-1))
    assert found
    found.kill("cancelled")  # by another process
    assert execution.ended()
    assert execution.outcome().reason == "cancelled"
    execution.discard()
    assert not processes_of(program.slot)


def test_a_late_kill_does_not_hit_the_next_job(version) -> None:
    counter = version(COUNTER)
    execution = counter.start()
    late = PythonRuntime().attach(counter.slot)
    assert late
    finish(execution)
    execution.discard()
    following = counter.start(5)
    late.kill("cancelled")
    assert late.ended()
    finish(following)
    assert following.outcome().reason == ""
    following.discard()
    assert counter.server


def test_only_the_holder_of_the_slot_clears_up_behind_a_job(version) -> None:
    program = version("import os, time\ndef run():\n    if os.fork() == 0:\n        time.sleep(600)\n    return 1")
    execution = program.start()
    watcher = PythonRuntime().attach(Slot(kind="job", number=0, folder=program.slot.folder, uid=-1))
    assert watcher
    server = sandbox.attach_server(program.slot)
    assert server
    wait_for(lambda: serving.read_journal(server, 1).exit_code is not None, what="the end")
    assert not watcher.ended()
    assert len(procfs.descendants(program.init)) == 1
    assert execution.ended()
    assert procfs.descendants(program.init) == []
    assert watcher.ended()
    execution.discard()


def test_a_time_limit_holds_without_a_supervisor(version) -> None:
    program = version("import time\ndef run():\n    print('up')\n    time.sleep(600)", wall_seconds=1)
    execution = program.start()
    wait_for_output(execution, b"up")
    watcher = PythonRuntime().attach(Slot(kind="job", number=0, folder=program.slot.folder, uid=-1))
    assert watcher
    wait_for(watcher.ended, what="the time limit")
    assert watcher.outcome().reason == "timeout"
    execution.discard()


def test_what_was_never_asked_for_is_lost(version, monkeypatch) -> None:
    counter = version(COUNTER)
    counter.run()
    monkeypatch.setattr(warm, "BEGIN_SECONDS", 0)
    monkeypatch.setattr(serving, "ask", lambda *_: True)  # its supervisor dies before it asks
    execution = counter.start()
    (execution.process.folder / warm.ASKED).unlink()
    monkeypatch.setattr(warm, "ASK_SECONDS", 0)
    time.sleep(0.01)
    assert execution.ended()
    assert execution.outcome().reason == "lost"
    assert "could not be started" in execution.outcome().detail
    execution.discard()


def test_a_request_that_does_not_fit_starts_cold(version) -> None:
    counter = version(COUNTER)
    counter.run()
    ran = counter.run(8, variables={f"BIG_{number}": "x" * 120_000 for number in range(9)})
    assert (ran.out, ran.result) == ("imported\ncalled\n", {"calls": [8]})
    assert counter.server == ""


def test_a_program_with_threads_starts_cold_and_says_so(version) -> None:
    program = version("""
import threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
def run():
    return threading.active_count()
""")
    for _ in range(2):
        ran = program.run()
        assert ran.result == 2
        assert "cannot start this program warm" in ran.err
        assert "threads" in ran.err
        assert program.server == ""
    assert "threads at its import" in ran.err, "the second job is not imported twice"


def test_an_import_that_fails_reports_as_a_cold_start_does(version) -> None:
    for code in ("import nothing_like_that\ndef run():\n    pass", "raise SystemExit(3)", "def other():\n    pass"):
        program = version(code)
        cold = program.run(warm=False)
        ran = program.run()
        assert ran.outcome.error == cold.outcome.error
        assert (ran.outcome.reason, ran.outcome.detail) == (cold.outcome.reason, cold.outcome.detail)
        assert ran.outcome.exit_code == cold.outcome.exit_code
        assert ran.err.endswith(cold.err)
        assert program.server == ""


def test_an_import_that_crashes_reports_as_a_cold_start_does(version) -> None:
    for code in ("import ctypes\nctypes.string_at(0)", "import os\nos._exit(7)"):
        program = version(code)
        cold, ran = program.run(warm=False), program.run()
        assert (ran.outcome.reason, ran.outcome.detail) == (cold.outcome.reason, cold.outcome.detail)
        assert ran.outcome.exit_code == cold.outcome.exit_code
        assert program.slot.folders() == []


def test_what_the_interpreter_holds_comes_on_top_of_the_memory_of_a_job(version) -> None:
    program = version("""
held = bytearray(b"1" * (150 << 20))
def run():
    for place in range(0, len(held), 4096):
        held[place] = 50  # now the job has a copy of it
    return len(held)
""")
    assert program.spec.limits.memory_bytes == 256 * MIB
    assert [program.run().result for _ in range(2)] == [150 * MIB] * 2
    assert program.server


def test_an_import_that_needs_a_secret_of_the_job_starts_cold(version) -> None:
    program = version("import os\nTOKEN = os.environ['SECRET_TOKEN']\ndef run():\n    return TOKEN")
    for token in ("one", "two"):
        ran = program.run(variables={"SECRET_TOKEN": token})
        assert (ran.outcome.reason, ran.result) == ("", token)
        assert "starts cold" in ran.err
    assert not any(b"one" in path.read_bytes() for path in (home.jobs_home() / "unfit").iterdir())


def test_an_import_that_reads_the_input_starts_cold(version) -> None:
    program = version("""
import json, pathlib
SENT = json.loads(pathlib.Path("/var/input/data.json").read_bytes())
def run():
    return SENT
""")
    for sent in (1, 2):
        ran = program.run(sent)
        assert (ran.outcome.reason, ran.result, program.server) == ("", sent, "")
        assert "starts cold" in ran.err


def test_what_the_import_printed_into_a_buffer_is_printed_once(version) -> None:
    program = version("""
import sys
sys.stdout.reconfigure(line_buffering=False, write_through=False)
print("imported")
def run():
    print("called")
""")
    assert [program.run().out for _ in range(2)] == ["imported\ncalled\n", "called\n"]
    assert program.server


def test_a_folder_that_was_made_again_is_seen_by_the_next_job(version) -> None:
    program = version("def run():\n    from src import late\n    return late.VALUE")
    source = program.spec.source
    for value in (1, 2):
        shutil.copytree(source, source.with_name("again"))
        shutil.rmtree(source)
        source.with_name("again").rename(source)
        (source / "src" / "late.py").write_text(f"VALUE = {value}")
        assert program.run().result == value


def test_random_numbers_differ_from_job_to_job(version) -> None:
    program = version("import random\nfirst = random.random()\ndef run():\n    return [first, random.random()]")
    (import_1, first), (import_2, second) = program.run().result, program.run().result
    assert import_1 == import_2
    assert first != second


def test_frames_are_told_wherever_the_import_went(version) -> None:
    program = version("import os\nos.chdir('/tmp')\ndef run():\n    raise ValueError")
    assert program.run().outcome.error == program.run(warm=False).outcome.error
    assert program.run().outcome.error.frames == ["src/program.py:4 in run"]


def test_no_queue_is_left_for_the_next_job(version) -> None:
    program = version("""
import ctypes, os
def run(data):
    return ctypes.CDLL(None).mq_open(b"/left", data, 0o600, None)
""")
    assert [program.run(flags).result for flags in (os.O_CREAT | os.O_RDWR, os.O_RDONLY)] == [-1, -1]
    assert program.server


def test_a_job_has_no_descriptor_of_the_interpreter(version) -> None:
    program = version("""
import os
def run():
    return [name for name in range(3, 1000) if os.path.exists(f"/proc/self/fd/{name}")]
""")
    for _ in range(2):
        assert program.run().result == []


def test_what_the_interpreter_says_is_not_believed(version) -> None:
    counter = version(COUNTER)
    execution = counter.start()
    finish(execution)
    server = sandbox.attach_server(counter.slot)
    assert server
    (server.folder / "journal").write_bytes(
        b"ended 1 -5 1\nended 1 999 2\nended 1 x y\n\xff\xfe\nunfit\nended 1 3 9\n" * 9
    )
    journal = serving.read_journal(server, 1)
    assert (journal.exit_code, journal.unfit, journal.is_ready) == (3, "", False)
    (server.folder / "journal").write_bytes(b"x" * (1 << 20))
    assert serving.read_journal(server, 1).exit_code is None
    execution.discard()


def test_usage_is_that_of_the_job_alone(version) -> None:
    program = version("""
def run(data):
    content = bytearray(data << 20)
    content[::4096] = b"1" * len(content[::4096])
    return sum(range(data * 100_000))
""")
    large, small = program.run(60).outcome.usage, program.run(1).outcome.usage
    assert large.cpu_seconds is not None
    assert small.cpu_seconds is not None
    assert small.cpu_seconds < large.cpu_seconds
    assert large.memory_peak_bytes is not None
    assert large.memory_peak_bytes > 60 * MIB
    assert small.memory_peak_bytes is not None
    assert small.memory_peak_bytes < 50 * MIB


WITHOUT_ROOT = """
import django, json, sys
django.setup()
from pathlib import Path
from uuid import UUID
from services import runtimes
from services.runtimes import environments, sandbox, slots, warm
from services.runtimes.base import JobSpec, Limits
source = sandbox.host().home / "project"
(source / "src").mkdir(parents=True)
(source / "src" / "program.py").write_text(sys.stdin.read())
python = sandbox.host().interpreter.path
environment = environments.path("plain")
(environment / "bin").mkdir(parents=True)
(environment / "bin" / "python").symlink_to(python)
slot = slots.acquire("job")
spec = JobSpec(
    job_id=UUID(int=1), attempt=1, version_id=UUID(int=2), account_id=UUID(int=3), source=source, environment="plain",
    warm=True, inputs={"data.json": b"1", "params.json": b"2"},
    limits=Limits(cpu_millis=1000, memory_bytes=1 << 28, wall_seconds=20, processes=40, output_bytes=1 << 20,
                  output_files=9),
)
found = [sandbox.host().tier]
for _ in range(3):
    execution = runtimes.get("python").start(spec, slot)
    while not execution.ended():
        execution.wait(1)
    found.append([execution.outcome().reason, execution.read("out", 0).decode(),
                  json.loads((execution.output / "output.json").read_text())])
    execution.discard()
    found.append(len(slot.servers()) if slot.warm_key() else 0)
slot.release()
warm.end_idle()
print(json.dumps([*found, len(slot.folders())]))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)")
def test_without_root_and_control_groups_it_is_the_same() -> None:
    place = home.jobs_home().parent / "without-root"
    place.mkdir()
    place.chmod(0o777)
    program = """
import os, time
print("imported")
def run():
    seen = [os.listdir(folder) for folder in ("/tmp", "/dev/shm", "/var/runtime/output")]
    seen.append(len([name for name in os.listdir("/proc") if name.isdigit()]))
    os.mkdir("/tmp/x")
    os.mkdir("/var/runtime/output/d")
    if os.fork() == 0:
        time.sleep(600)
    return seen
"""
    done = subprocess.run(
        ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-c", WITHOUT_ROOT],
        input=program,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings", "MERCATO_HOME": str(place)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = [[], [], [], 2]
    first, *later = ["", "imported\n", seen], ["", "", seen], ["", "", seen]
    assert json.loads(done.stdout)[1:] == [first, 1, later[0], 1, later[1], 1, 0]
    shutil.rmtree(place, ignore_errors=True)
