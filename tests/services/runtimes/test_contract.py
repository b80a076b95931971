"""What every runtime promises, whatever it runs. A new one joins by a line in CASES."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.lib.ids import new_id
from services import runtimes
from services.runtimes import docker, environments, sandbox, slots, warm
from services.runtimes.base import BuildSpec, JobSpec, PlatformError, Runtime
from services.runtimes.slots import Slot
from tests.engine import BASE, end
from tests.services.runtimes.conftest import MIB, finish, read, wait_for_output
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]

# Per runtime a program for each thing that a program can do. The fixture `spec` makes a JobSpec of it.
PYTHON = {
    "sum": "def run(data, params):\n    print('adding')\n    return {'sum': sum(data['values'])}",
    "fail": "def run(data, params):\n    raise ValueError('no good')",
    "crash": "import os, signal\ndef run(data, params):\n    os.kill(os.getpid(), signal.SIGSEGV)",
    "sleep": "import time\ndef run(data, params):\n    print('up')\n    time.sleep(600)",
    "count": """
import time
def run(data, params):
    for number in range(params):
        print("line", number)
        time.sleep(0.002)
    return {"lines": params}
""",
    "hog": "def run(data, params):\n    x = bytearray(4 << 30)\n    x[::4096] = b'1' * len(x[::4096])",
    "processes": """
import os, time
def run(data, params):
    while True:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
""",
    "fill": "def run(data, params):\n    open('/var/runtime/output/x', 'wb').write(b'1' * (64 << 20))",
    "files": """
def run(data, params):
    import os
    os.makedirs('/var/runtime/output/a/b')
    open('/var/runtime/output/a/b/c.txt', 'w').write('deep')
    print('printed')
    print('to err', file=__import__('sys').stderr)
""",
    "nan": "def run(data, params):\n    return {'x': [float('nan')]}",
    "wants": "def run(data, params, token):\n    return 1",
}
# A container is started as it is: its program reads the input and writes the output by itself.
DOCKER = {
    "sum": """
print("adding", flush=True)
data = json.load(open("/var/runtime/input/data.json"))
finish({"sum": sum(data["values"])})
""",
    "fail": "raise ValueError('no good')",
    "crash": "import ctypes\nctypes.string_at(0)",
    "sleep": "import time\nprint('up', flush=True)\ntime.sleep(600)",
    "count": """
import time
lines = json.load(open("/var/runtime/input/params.json"))
for number in range(lines):
    print("line", number, flush=True)
    time.sleep(0.002)
finish({"lines": lines})
""",
    "hog": "x = bytearray(4 << 30)\nx[::4096] = b'1' * len(x[::4096])",
    "processes": """
import os, time
while True:
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
""",
    "fill": "open('/var/runtime/output/x', 'wb').write(b'1' * (64 << 20))",
    "files": """
import os, sys
os.makedirs('/var/runtime/output/a/b')
open('/var/runtime/output/a/b/c.txt', 'w').write('deep')
print('printed')
print('to err', file=sys.stderr)
""",
}
DOCKER_BEGINNING = """
import json
def finish(result):
    json.dump(result, open("/var/runtime/output/output.json", "w"))
"""
CASES = {"python": PYTHON, "python warm": PYTHON, "docker": DOCKER}


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def runtime(case: str, request: pytest.FixtureRequest) -> Runtime:
    if case == "docker":
        request.getfixturevalue("engine")
    found = runtimes.get(case.partition(" ")[0])
    if reason := found.unavailable():
        pytest.skip(reason)
    return found


@pytest.fixture
def programs(runtime: Runtime) -> dict[str, str]:
    return CASES[runtime.name]


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The image of each program that was run in a container: built once."""
    return {}


@pytest.fixture
def spec(
    case: str,
    runtime: Runtime,
    spec: Callable[..., JobSpec],
    images: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Callable[..., JobSpec]:
    if runtime.name == "docker":
        held: Slot = request.getfixturevalue("slot")

    def in_image(program: str, **options: Any) -> JobSpec:
        if program not in images:
            (tmp_path / "Dockerfile").write_text(f'FROM {BASE}\nCOPY main.py /\nCMD ["python", "-u", "/main.py"]\n')
            (tmp_path / "main.py").write_text(DOCKER_BEGINNING + program)
            wanted = BuildSpec(build_id=new_id(), source=tmp_path, limits=environments.limits())
            images[program] = runtime.prepare(wanted, held, lambda *_: None).environment
        return replace(spec(program, **options), environment=images[program])

    def warm_already(program: str, **options: Any) -> JobSpec:
        """Its interpreter waits, and has had a job that failed."""
        wanted = replace(spec(program, **options), warm=True)
        is_held = "slot" in request.fixturenames
        place = request.getfixturevalue("slot") if is_held else slots.acquire("job")
        execution: Any = runtime.start(replace(wanted, inputs={"data.json": b"{"}), place)
        finish(execution)
        assert execution.outcome().reason == "invalid_input"
        execution.discard()
        assert place.warm_key()
        if not is_held:
            place.release()
        return wanted

    return {"docker": in_image, "python warm": warm_already}.get(case, spec)


@pytest.fixture(autouse=True)
def _no_warm_slots() -> Iterator[None]:
    yield
    warm.end_idle()


def test_every_registered_runtime_is_tested() -> None:
    assert {name.partition(" ")[0] for name in CASES} == set(runtimes.REGISTRY)


def test_it_says_what_it_is(runtime: Runtime) -> None:
    assert runtimes.get(runtime.name) is runtime
    assert runtime.unavailable() == ""
    assert runtime.tier() in ("v2", "v1", "rlimit", "unsafe")


def test_success(run, programs: dict[str, str]) -> None:
    ran = run(programs["sum"], data={"values": [1, 2, 3]}, params={})
    assert (ran.outcome.reason, ran.outcome.detail, ran.outcome.error, ran.outcome.exit_code) == ("", "", None, 0)
    assert ran.out == "adding\n"
    assert ran.result == {"sum": 6}
    assert 0 < ran.outcome.usage.wall_seconds < 60


def test_usage_is_measured(run, runtime: Runtime, programs: dict[str, str]) -> None:
    usage = run(programs["sum"], data={"values": [1]}).outcome.usage
    assert usage.cpu_seconds is not None
    assert 0 < usage.cpu_seconds < 10
    assert usage.memory_peak_bytes is not None
    assert 1 * MIB < usage.memory_peak_bytes < 200 * MIB


def test_files_and_both_channels(run, programs: dict[str, str]) -> None:
    ran = run(programs["files"])
    assert ran.files == {"a/b/c.txt": b"deep"}
    assert (ran.out, ran.err) == ("printed\n", "to err\n")


def test_user_error(run, programs: dict[str, str]) -> None:
    ran = run(programs["fail"])
    assert (ran.outcome.reason, ran.outcome.exit_code) == ("error", 1)
    assert "Traceback" in ran.err
    assert "ValueError: no good" in ran.err


def test_the_report_of_an_error(run, runtime: Runtime, programs: dict[str, str]) -> None:
    ran = run(programs["fail"])
    if runtime.name == "docker":  # whatever the program is, all that is known of it is how it ended
        assert ran.outcome.error is None
        assert "exit code 1" in ran.outcome.detail
        return
    assert ran.outcome.error
    assert ran.outcome.error.type == "ValueError"
    assert ran.outcome.error.message == "no good"
    assert ran.outcome.error.frames == ["src/program.py:2 in run"]
    assert "no good" in ran.outcome.detail
    assert "Traceback" in ran.err


def test_crash(run, programs: dict[str, str]) -> None:
    ran = run(programs["crash"])
    assert ran.outcome.reason == "error"
    assert "SIGSEGV" in ran.outcome.detail
    assert ran.outcome.exit_code == 139


def test_invalid_input_and_result(run, programs: dict[str, str]) -> None:
    if "wants" not in programs:
        pytest.skip("a container reads its input itself")
    wants = run(programs["wants"])
    assert (wants.outcome.reason, wants.outcome.error) == ("invalid_input", None)
    assert "token" in wants.outcome.detail
    nan = run(programs["nan"])
    assert (nan.outcome.reason, nan.outcome.error) == ("invalid_result", None)
    assert "result.x[0]" in nan.outcome.detail
    assert nan.files == {}


def test_time_limit(run, programs: dict[str, str]) -> None:
    ran = run(programs["sleep"], wall_seconds=1)
    assert ran.outcome.reason == "timeout"
    assert "1 s" in ran.outcome.detail
    assert ran.out == "up\n"


def test_memory_limit(run, programs: dict[str, str]) -> None:
    ran = run(programs["hog"])
    assert ran.outcome.reason == "out_of_memory"
    assert "256 MiB" in ran.outcome.detail


def test_process_limit(run, programs: dict[str, str]) -> None:
    ran = run(programs["processes"])
    assert ran.outcome.reason == "too_many_processes"
    assert "64" in ran.outcome.detail


def test_output_limit(run, programs: dict[str, str]) -> None:
    ran = run(programs["fill"])
    assert ran.outcome.reason == "output_too_large"
    assert "4 MiB" in ran.outcome.detail


def test_kill(start, programs: dict[str, str]) -> None:
    execution = start(programs["sleep"])
    wait_for_output(execution, b"up")
    assert not execution.ended()
    execution.kill("cancelled")
    execution.kill("lost")
    finish(execution)
    outcome = execution.outcome()
    assert outcome.reason == "cancelled"
    assert outcome.detail
    execution.kill("lost")
    assert execution.outcome() == outcome


def test_reading_does_not_consume(start, programs: dict[str, str]) -> None:
    execution = start(programs["sum"], data={"values": []})
    finish(execution)
    assert execution.read("out", 0, 3) == b"add"
    assert execution.read("out", 3) == b"ing\n"
    assert execution.read("out", 0) == b"adding\n"
    assert execution.read("out", 7) == b""
    assert execution.read("err", 0) == b""


def test_wait_returns_with_output_and_at_the_end(start, programs: dict[str, str]) -> None:
    execution = start(programs["count"], params=3)
    seen: list[bytes] = []

    def tail() -> None:
        offset = 0
        while True:
            over = execution.ended()
            while data := execution.read("out", offset):
                seen.append(data)
                offset += len(data)
            if over:
                return
            execution.wait(60)  # far longer than the test may take: it must return by itself

    thread = threading.Thread(target=tail)
    thread.start()
    thread.join(timeout=50)
    assert not thread.is_alive()
    assert b"".join(seen) == b"line 0\nline 1\nline 2\n"


def test_one_slot_after_the_other(run, programs: dict[str, str], slot: Slot) -> None:
    for number in range(3):
        assert run(programs["sum"], data={"values": [number]}).result == {"sum": number}
        assert slot.runs() == []


def test_an_empty_slot_holds_nothing(runtime: Runtime, slot: Slot) -> None:
    assert runtime.attach(slot) is None


def test_attach_knows_the_job(runtime: Runtime, slot: Slot, spec, programs: dict[str, str]) -> None:
    wanted = spec(programs["sum"], data={"values": [4]})
    first = runtime.start(wanted, slot)
    second = runtime.attach(slot)
    assert second
    assert (second.job_id, second.attempt) == (wanted.job_id, 1)
    finish(second)  # type: ignore[arg-type]
    assert second.ended()
    assert second.outcome().reason == ""
    assert json.loads((second.output / "output.json").read_text()) == {"sum": 4}
    second.discard()
    assert first.ended()
    assert runtime.attach(slot) is None


def test_an_environment_that_is_not_here(runtime: Runtime, slot: Slot, spec, programs: dict[str, str]) -> None:
    wanted: JobSpec = spec(programs["sum"])
    missing = JobSpec(**{**wanted.__dict__, "environment": "no-such-key"})
    assert not runtime.is_prepared("no-such-key")
    with pytest.raises(PlatformError, match="no-such-key"):
        runtime.start(missing, slot)
    assert runtime.attach(slot) is None


# A job survives whoever started it


STARTER = """
import django, json, sys
django.setup()
from pathlib import Path
from uuid import UUID
from services import runtimes
from services.runtimes import slots, warm
from services.runtimes.base import JobSpec, Limits
asked = json.load(sys.stdin)
slot = slots.acquire("job")
if asked["warm"]:
    slot = slots.exchange(slot, warm.key_of(UUID(asked["version_id"]), UUID(asked["account_id"])))
    assert slot.warm_key()
spec = JobSpec(
    job_id=UUID(asked["job_id"]), attempt=asked["attempt"], source=Path(asked["source"]),
    version_id=UUID(asked["version_id"]), account_id=UUID(asked["account_id"]),
    environment=asked["environment"], warm=asked["warm"],
    inputs={name: text.encode() for name, text in asked["inputs"].items()},
    limits=Limits(**asked["limits"]),
)
execution = runtimes.get(asked["runtime"]).start(spec, slot)
while not execution.read("out", 0):
    execution.wait(5)
print(slot.name, len(execution.read("out", 0)), flush=True)
sys.stdin = open("/dev/zero")
sys.stdin.buffer.read()
"""


@pytest.fixture
def start_elsewhere(runtime: Runtime) -> Iterator[Callable[[JobSpec], "subprocess.Popen[bytes]"]]:
    """Starts a job in another process, which then supervises it (it only waits)."""
    made: list[subprocess.Popen[bytes]] = []

    def start_it(spec: JobSpec) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-c", STARTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings"},
            start_new_session=True,
        )
        made.append(process)
        asked = {
            "runtime": runtime.name,
            "job_id": str(spec.job_id),
            "attempt": spec.attempt,
            "version_id": str(spec.version_id),
            "account_id": str(spec.account_id),
            "source": str(spec.source),
            "environment": spec.environment,
            "warm": spec.warm,
            "inputs": {name: content.decode() for name, content in spec.inputs.items()},
            "limits": spec.limits.__dict__,
        }
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(asked).encode())
        process.stdin.close()
        process.stdin = None
        assert process.stdout.readline().split()[0] in (b"job-0", b"job-1")
        return process

    yield start_it
    for process in made:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_it_runs_on_when_its_supervisor_is_killed(
    runtime: Runtime, start_elsewhere: Callable[[JobSpec], "subprocess.Popen[bytes]"], spec, programs: dict[str, str]
) -> None:
    wanted = spec(programs["count"], params=400)
    supervisor = start_elsewhere(wanted)
    os.killpg(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    slot = slots.acquire("job")
    assert slot
    assert slot.runs()
    execution = runtime.attach(slot)
    assert execution
    assert (execution.job_id, execution.attempt) == (wanted.job_id, wanted.attempt)
    assert not execution.ended()
    finish(execution)  # type: ignore[arg-type]
    assert read(execution, "out").decode() == "".join(f"line {number}\n" for number in range(400))  # type: ignore[arg-type]
    outcome = execution.outcome()
    assert (outcome.reason, outcome.exit_code) == ("", 0)
    assert outcome.usage.wall_seconds >= 0.8
    assert json.loads((execution.output / "output.json").read_text()) == {"lines": 400}
    execution.discard()
    slot.release()
    assert slot.runs() == []


def test_it_is_lost_when_supervisor_and_sandbox_are_killed(
    runtime: Runtime, start_elsewhere: Callable[[JobSpec], "subprocess.Popen[bytes]"], spec, programs: dict[str, str]
) -> None:
    supervisor = start_elsewhere(spec(programs["count"], params=100_000))
    found = next(slots.occupied("job"))
    os.killpg(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    kill_sandbox(found)
    slot = slots.acquire("job")
    assert slot
    execution = runtime.attach(slot)
    assert execution
    finish(execution)  # type: ignore[arg-type]
    outcome = execution.outcome()
    assert (outcome.reason, outcome.exit_code) == ("lost", None)
    assert "again" in outcome.detail
    execution.discard()
    slot.release()


def kill_sandbox(slot: Slot) -> None:
    """Kill what runs in ``slot`` from outside, as nobody of ours would."""
    if (container := docker.execution.attach(slot)) is not None:
        end(container.record["pid"])
        return
    process = sandbox.attach(slot) or sandbox.attach_server(slot)
    assert process
    for pid in sorted(process._remaining())[:1]:
        os.kill(pid, signal.SIGKILL)
    os.kill(process.record.pid, signal.SIGKILL)


def test_a_third_process_may_end_it_while_its_supervisor_lives(
    runtime: Runtime, start_elsewhere: Callable[[JobSpec], "subprocess.Popen[bytes]"], spec, programs: dict[str, str]
) -> None:
    supervisor = start_elsewhere(spec(programs["count"], params=100_000))
    watched = wait_for(lambda: next(slots.occupied("job"), None), what="the slot")
    execution = runtime.attach(watched)
    assert execution
    execution.kill("lost")
    assert execution.ended()
    assert execution.outcome().reason == "lost"
    os.killpg(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    slot = slots.acquire("job")
    assert slot
    sandbox.clear(slot)
    slot.release()
