"""The runner as plain processes on temporary folders: one at a time, or many forked from one that has all imported."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.runtimes.runner import calling

RUNNER = Path(calling.__file__).parent
BOOT = f"import sys; sys.path.insert(0, {str(RUNNER.parent)!r}); from runner.main import main; "
# A fork for each folder; what most programs import is imported once, before: the module `shapes`.
FORKS = (
    BOOT
    + """
import json, os
sys.path[0] = os.path.dirname(sys.argv[1])
import shapes
for folder, variables in json.load(open(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(folder + "/out", os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(os.open(folder + "/err", os.O_WRONLY | os.O_CREAT), 2)
        os.chdir(folder + "/service")
        os.environ.update(variables)
        try:
            main()
        except SystemExit as end:  # taking an interpreter of this size down takes longer than all else
            os._exit(end.code or 0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    open(folder + "/code", "w").write(str(code))
"""
)


@dataclass
class Answer:
    """What a run left."""

    code: int
    out: str
    err: str
    report: dict[str, Any]
    files: dict[str, bytes]

    @property
    def result(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.files["output.json"])

    @property
    def detail(self) -> str:
        """Why it was refused, without the sentence before the places."""
        assert (self.code, self.report["reason"]) == (1, "invalid_input"), self.err or self.out
        assert self.out == "", "user code ran"
        return str(self.report["detail"].partition("\n")[2])


@dataclass
class Case:
    """A program, its input and what is beside it. ``words`` are what it is expected to say."""

    program: str
    given: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    pools: tuple[str, ...] = ()


def prepare(folder: Path, case: Case) -> dict[str, str]:
    """Write the folders of ``case``; the variables that it runs with."""
    for name in ("input", "output", "service/src", *(f"datapool/{pool}" for pool in case.pools)):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, value in case.given.items():
        text = value.decode() if isinstance(value, bytes) else json.dumps(value)
        (folder / "input" / f"{name}.json").write_text(text)
    program = textwrap.dedent(case.program)
    for name, text in {"src/__init__.py": "", "src/program.py": program, **case.files}.items():
        (folder / "service" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "service" / name).write_text(text)
    return {
        "LANG": "C.UTF-8",
        "INPUT_DIRECTORY": str(folder / "input"),
        "OUTPUT_DIRECTORY": str(folder / "output"),
        "DATAPOOL_DIRECTORY": str(folder / "datapool"),
        "MERCATO_REPORT": str(folder / "report"),
        **case.variables,
    }


def read(folder: Path, *, code: int, out: str, err: str) -> Answer:
    """What a run in ``folder`` left."""
    report = folder / "report"
    return Answer(
        code=code,
        out=out,
        err=err,
        report=json.loads(report.read_text()) if report.exists() else {},
        files={path.name: path.read_bytes() for path in (folder / "output").iterdir()},
    )


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Answer]:
    """Calls the runner on a program, in a process of its own."""

    def run(
        program: str,
        *,
        given: dict[str, object] | None = None,
        files: dict[str, str] | None = None,
        python: str = sys.executable,
        **options: Any,
    ) -> Answer:
        sent = {"data": None, "params": None} if given is None else given
        variables = prepare(tmp_path, Case(program, sent, files=files or {}, **options))
        done = subprocess.run(
            [shutil.which(python) or python, "-u", "-I", "-c", BOOT + "main()"],
            capture_output=True,
            text=True,
            cwd=tmp_path / "service",
            env=variables,
            timeout=60,
            check=False,
        )
        return read(tmp_path, code=done.returncode, out=done.stdout, err=done.stderr)

    return run


@pytest.fixture(scope="session")
def call_all(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Answer]]:
    """Calls the runner on many programs, in forks of one process."""

    def run(cases: Mapping[str, Case], *, shapes: str) -> dict[str, Answer]:
        home = tmp_path_factory.mktemp("cases")
        (home / "shapes.py").write_text(shapes)
        folders = {name: home / str(number) for number, name in enumerate(cases)}
        listed = [(str(folders[name]), prepare(folders[name], case)) for name, case in cases.items()]
        (home / "cases.json").write_text(json.dumps(listed))
        subprocess.run(
            [sys.executable, "-u", "-I", "-c", FORKS, home / "cases.json"],
            check=True,
            env={"LANG": "C.UTF-8", "PATH": os.defpath},
            timeout=120,
        )
        return {
            name: read(
                folder,
                code=int((folder / "code").read_text()),
                out=(folder / "out").read_text(),
                err=(folder / "err").read_text(),
            )
            for name, folder in folders.items()
        }

    return run
