"""Real sandboxes on this host: a slot, a project of one file, and the Python that runs it."""

import contextlib
import json
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest

from portal.lib.ids import new_id
from services.runtimes import environments, home, sandbox, slots
from services.runtimes.base import JobSpec, Limits, Outcome, Runtime
from services.runtimes.home import is_root
from services.runtimes.python import PythonExecution, PythonRuntime
from services.runtimes.slots import Slot
from tests.waiting import wait_for

MIB = 1 << 20
VERSION, ACCOUNT = new_id(), new_id()
LIMITS = Limits(
    cpu_millis=2000,
    memory_bytes=256 * MIB,
    wall_seconds=60,
    processes=64,
    output_bytes=4 * MIB,
    output_files=50,
)


@dataclass
class Ran:
    """A job that has ended, and what it left."""

    outcome: Outcome
    out: str
    err: str
    files: dict[str, bytes]

    @property
    def result(self) -> object:
        return json.loads(self.files["output.json"])


@pytest.fixture
def slot() -> Iterator[Slot]:
    """A held job slot, empty before and after."""
    taken = wait_for(lambda: slots.acquire("job"), what="a free slot")
    sandbox.clear(taken)
    yield taken
    sandbox.clear(taken)
    taken.release()


@pytest.fixture(scope="session")
def environment() -> str:
    """The key of an environment without packages, made by hand: environments.py has tests of its own."""
    host = sandbox.host()
    assert host.uv, host.problem
    key = "plain"
    subprocess.run(
        [host.uv, "venv", "--quiet", "--clear", "--python", host.interpreter.path, environments.path(key)],
        check=True,
        capture_output=True,
        env={"UV_PYTHON_DOWNLOADS": "never", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    return key


@pytest.fixture
def project() -> Iterator[Callable[..., Path]]:
    """Makes the folder of a project from the text of its src/program.py, and of further files."""
    made: list[Path] = []

    def make(program: str, files: Mapping[str, str] | None = None) -> Path:
        folder = home.jobs_home() / "test-projects" / secrets.token_hex(4)
        made.append(folder)
        for name, text in {"src/__init__.py": "", "src/program.py": program, **(files or {})}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder

    yield make
    for folder in made:
        shutil.rmtree(folder)


@pytest.fixture
def runtime() -> Runtime:
    return PythonRuntime()


@pytest.fixture
def spec(environment: str, project: Callable[..., Path]) -> Callable[..., JobSpec]:
    """Makes the JobSpec of a program. Keywords other than its own change the limits."""

    def make(
        program: str,
        *,
        data: object = None,
        params: object = None,
        inputs: Mapping[str, bytes] | None = None,
        files: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        job_id: UUID | None = None,
        **limits: int | bool,
    ) -> JobSpec:
        sent = {"data.json": json.dumps(data).encode(), "params.json": json.dumps(params).encode()}
        return JobSpec(
            job_id=job_id or new_id(),
            attempt=1,
            version_id=VERSION,
            account_id=ACCOUNT,
            source=project(program, files),
            environment=environment,
            inputs=sent if inputs is None else inputs,
            variables=variables or {},
            limits=replace(LIMITS, **limits),  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def start(runtime: PythonRuntime, slot: Slot, spec: Callable[..., JobSpec]) -> Callable[..., PythonExecution]:
    """Starts a program in the slot."""

    def start_it(program: str, **options: object) -> PythonExecution:
        return runtime.start(spec(program, **options), slot)

    return start_it


@pytest.fixture
def run(start: Callable[..., PythonExecution]) -> Callable[..., Ran]:
    """Runs a program to its end and discards it."""

    def run_it(program: str, **options: object) -> Ran:
        execution = start(program, **options)
        finish(execution)
        ran = Ran(
            outcome=execution.outcome(),
            out=read(execution, "out").decode(errors="replace"),
            err=read(execution, "err").decode(errors="replace"),
            files={
                str(path.relative_to(execution.output)): path.read_bytes()
                for path in execution.output.rglob("*")
                if path.is_file() and not path.is_symlink()
            },
        )
        execution.discard()
        return ran

    return run_it


def processes_of(slot: Slot) -> set[int]:
    """Living processes of the slot's user; without root, those in a PID namespace that is not ours."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if is_root():
                is_theirs = path.stat().st_uid == slot.uid
            else:
                is_theirs = (path / "ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
            if is_theirs and (path / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found.add(int(path.name))
    return found


def finish(execution: PythonExecution, seconds: float = 90) -> None:
    """Wait for the end of ``execution``."""

    def has_ended() -> bool:
        execution.wait(1)
        return execution.ended()

    wait_for(has_ended, what="the end of the job", seconds=seconds, interval=0)


def read(execution: PythonExecution, channel: str) -> bytes:
    """All that is in a spool."""
    content = b""
    while data := execution.read(channel, len(content)):
        content += data
    return content


def wait_for_output(execution: PythonExecution, text: bytes, channel: str = "out") -> None:
    """Wait until ``text`` was printed."""

    def has_printed() -> bool:
        execution.wait(1)
        return text in read(execution, channel) or execution.ended()

    wait_for(has_printed, what=repr(text), interval=0)
    assert text in read(execution, channel), read(execution, "err").decode()
