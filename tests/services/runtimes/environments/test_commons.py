"""`planqk.commons` and `qhub.commons` beside an environment: who gets them, and what a version keeps."""

import json
import shutil

import pytest
from django.core.files.storage import default_storage

from portal.lib.ids import new_id
from services.runtimes import environments, sandbox
from services.runtimes.base import JobSpec, PlatformError, Prepared
from services.runtimes.environments import commons, locks, places
from services.runtimes.environments.requirements import Requirements
from services.runtimes.python import PythonRuntime
from tests.services.runtimes.conftest import LIMITS, finish, read
from tests.services.runtimes.test_environments import Builder, build, index  # noqa: F401 (fixtures)

IMPORTS_IT = "import planqk.commons.secret\n"
USES_IT = """
import importlib.metadata
import loguru, pydantic, yaml
from planqk.commons.secret import SecretValue as Secret
from planqk.commons.datapool import DataPool
from qhub.commons.secret import SecretValue
def run(api_token: SecretValue, other: Secret, pool: DataPool = None):
    loguru.logger.info("said through loguru")
    return {
        "unwrapped": [api_token.unwrap(), other.unwrap()],
        "shown": f"{api_token} {api_token!r}",
        "from": [type(each).__module__ for each in (api_token, other)],
        "versions": [importlib.metadata.version(name) for name in ("planqk-commons", "qhub-commons")],
        "places": [module.__file__.split("/")[2] for module in (pydantic, loguru, yaml)],
    }
"""


def test_code_that_does_not_list_them_has_them(build: Builder, slot) -> None:  # noqa: F811
    files = {"src/program.py": USES_IT, "src/__init__.py": ""}
    made = build(files)
    assert "planqk-commons" in build.log
    assert build(files) == Prepared(environment=made.environment, reused=True)
    assert environments.commons_of(build({"src/program.py": "x = 1"}).environment) is None

    spec = JobSpec(
        job_id=new_id(), attempt=1, version_id=new_id(), account_id=new_id(), source=build.project(files),
        environment=made.environment, inputs={}, limits=LIMITS,
        variables={"SECRET_API_TOKEN": "s3cret", "SECRET_OTHER": "s4cret"},
    )  # fmt: skip
    execution = PythonRuntime().start(spec, slot)
    finish(execution)
    assert execution.outcome().reason == "", read(execution, "err").decode()
    result = json.loads((execution.output / "output.json").read_bytes())
    assert b"said through loguru" in read(execution, "err")
    execution.discard()
    assert result.pop("versions")[0].startswith("1.")
    assert result == {
        "unwrapped": ["s3cret", "s4cret"],
        "shown": "[redacted] SecretValue([redacted])",
        "from": ["qhub.commons.secret", "planqk.commons.secret"],
        "places": ["commons", "commons", "commons"],
    }


def test_a_host_that_lost_only_them_has_not_the_environment(build: Builder, index) -> None:  # noqa: F811
    index.add_wheel("planqk_commons", "1.40", files={"planqk/commons/secret.py": "x = 1\n"})
    made = build({"src/program.py": IMPORTS_IT})
    assert "qhub" not in locks.read(str(environments.commons_of(made.environment).name))
    assert environments.exists(made.environment)
    shutil.rmtree(environments.commons_of(made.environment))
    assert not environments.exists(made.environment)
    environments.restore(made.environment, build.slot, build.hear)
    assert environments.exists(made.environment)
    key = environments.commons_of(made.environment).name
    shutil.rmtree(environments.path(key))
    default_storage.delete(f"locks/{key}.txt")
    with pytest.raises(PlatformError):
        environments.restore(made.environment, build.slot, build.hear)


def test_an_index_without_them_is_a_note_and_no_failure(build: Builder, index) -> None:  # noqa: F811
    made = build({"src/program.py": IMPORTS_IT})
    assert "has neither planqk-commons nor qhub-commons" in build.log
    assert environments.commons_of(made.environment) is None
    assert environments.exists(made.environment)
    plain = build({"src/program.py": "x = 1\n"})
    assert plain.environment == made.environment


def test_a_fresh_build_looks_for_newer_ones(build: Builder, index) -> None:  # noqa: F811
    def lock(**options: object) -> str:
        return locks.read(environments.commons_of(build({"src/program.py": IMPORTS_IT}, **options).environment).name)

    index.add_wheel("planqk_commons", "1.40", files={"planqk/commons/secret.py": "x = 1\n"})
    assert "==1.40" in lock()
    index.add_wheel("planqk_commons", "1.41", files={"planqk/commons/secret.py": "x = 2\n"})
    assert "==1.40" in lock()
    assert "==1.41" in lock(fresh=True)
    assert "==1.41" in lock()


def test_an_index_that_does_not_answer_is_asked_once_and_said_to_be_away(build: Builder, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    made = build({"src/program.py": IMPORTS_IT})
    assert build.log.count("== Find versions") == 1
    assert "The package index could not be read" in build.log
    assert "has neither" not in build.log
    assert environments.exists(made.environment)


@pytest.mark.parametrize(
    ("code", "listed", "is_wanted"),
    [
        ("import json", (), False),
        ("from loguru import logger", (), True),
        ("from loguru import logger", ("loguru==0.7.3",), False),
        ("    import pydantic", ("numpy",), True),
        ("import yaml", ("pyyaml>=6",), False),
        ("from planqk.commons.secret import SecretValue", (), True),
        ("import importlib\nx = importlib.import_module('qhub.commons.json')", (), True),
        ("from planqk.quantum.sdk import Provider", ("planqk-quantum",), True),
        ("from planqk.commons.secret import SecretValue\nimport loguru", ("planqk-commons[x]==1.32.1",), True),
        ("from planqk.commons.secret import SecretValue", ("planqk-commons==1.32.1",), False),
        ("# pydantic is not imported", (), False),
    ],
)
def test_who_wants_them(tmp_path, code: str, listed: tuple[str, ...], is_wanted: bool) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "program.py").write_text(code)
    wanted = Requirements(origin="", packages=listed)
    assert commons.is_wanted(tmp_path, wanted, sandbox.host().interpreter) is is_wanted


def test_an_older_python_has_none_of_it(tmp_path) -> None:
    (tmp_path / "program.py").write_text(IMPORTS_IT)
    older = sandbox.Interpreter(path=tmp_path, version="3.9.18", prefix=tmp_path, tag="cpython-39")
    assert not commons.is_wanted(tmp_path, Requirements(origin=""), older)


def test_the_lock_names_it() -> None:
    text = commons.name_in("# cpython-311 linux-x86_64 format-1\nsix==1 \\\n    --hash=sha256:0\n", "abc")
    assert text.splitlines()[1] == "# commons abc"
    assert commons.named_in(text) == "abc"
    assert commons.named_in("# cpython-311 linux-x86_64 format-1\n") == ""
    assert places.commons_of("no-such-key") is None
