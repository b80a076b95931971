"""Projects with a Dockerfile, built and run by the private engine of the session."""

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from portal.lib.ids import new_id
from services import runtimes
from services.runtimes import environments, home, slots
from services.runtimes.base import BuildSpec, JobSpec, Prepared
from services.runtimes.docker import DockerRuntime
from services.runtimes.docker.execution import ContainerExecution
from services.runtimes.slots import Slot
from tests.engine import BASE, Engine
from tests.services.runtimes.conftest import ACCOUNT, LIMITS, VERSION, Ran, finish, read


class Workbench:
    """Builds projects, and runs what came of them in a slot. ``log`` is what the last build said."""

    def __init__(self, folder: Path, slot: Slot) -> None:
        self.folder = folder
        self.slot = slot
        self.log = ""
        self.runtime: DockerRuntime = runtimes.get("docker")  # type: ignore[assignment]

    def spec(self, dockerfile: str, files: Mapping[str, str] | None = None, **options: object) -> BuildSpec:
        source = self.folder / secrets.token_hex(4)
        for name, text in {"Dockerfile": dockerfile, **(files or {})}.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        limits = replace(environments.limits(), **options.pop("limits", {}))  # type: ignore[arg-type]
        return BuildSpec(build_id=new_id(), source=source, limits=limits, **options)  # type: ignore[arg-type]

    def hear(self, _: str, data: bytes) -> None:
        self.log += data.decode()

    def prepare(self, spec: BuildSpec) -> Prepared:
        self.log = ""
        return self.runtime.prepare(spec, self.slot, self.hear)

    def build(self, dockerfile: str, files: Mapping[str, str] | None = None, **options: object) -> str:
        """The key of what a Dockerfile after FROM builds to."""
        return self.prepare(self.spec(f"FROM {BASE}\n{dockerfile}", files, **options)).environment

    def job(
        self,
        environment: str,
        *,
        inputs: Mapping[str, bytes] | None = None,
        variables: Mapping[str, str] | None = None,
        job_id: UUID | None = None,
        **limits: int | bool,
    ) -> JobSpec:
        return JobSpec(
            job_id=job_id or new_id(),
            attempt=1,
            version_id=VERSION,
            account_id=ACCOUNT,
            source=self.folder,
            environment=environment,
            inputs=inputs or {"data.json": b'{"x": 1}', "params.json": b"null"},
            variables=variables or {},
            limits=replace(LIMITS, **limits),  # type: ignore[arg-type]
        )

    def start(self, environment: str, **options: object) -> ContainerExecution:
        return self.runtime.start(self.job(environment, **options), self.slot)  # type: ignore[arg-type]

    def run(self, environment: str, **options: object) -> Ran:
        """Run it to its end and discard it."""
        execution = self.start(environment, **options)
        finish(execution)  # type: ignore[arg-type]
        ran = Ran(
            outcome=execution.outcome(),
            out=read(execution, "out").decode(errors="replace"),  # type: ignore[arg-type]
            err=read(execution, "err").decode(errors="replace"),  # type: ignore[arg-type]
            files={path.name: path.read_bytes() for path in execution.output.iterdir() if not path.is_symlink()},
        )
        execution.discard()
        return ran


@pytest.fixture
def bench(engine: Engine) -> Iterator[Workbench]:
    folder = home.jobs_home() / "test-containers" / secrets.token_hex(4)
    folder.mkdir(parents=True)
    slot = slots.acquire("job")
    assert slot
    made = Workbench(folder, slot)
    yield made
    while (left := made.runtime.attach(slot)) is not None:
        left.discard()
    slot.release()
    shutil.rmtree(folder)


@pytest.fixture
def shell(bench: Workbench) -> Callable[[str], str]:
    """The key of an image that runs a shell script."""
    return lambda script: bench.build('COPY main.sh /\nCMD ["sh", "/main.sh"]', {"main.sh": script})
