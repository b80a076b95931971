"""Environments made by the real uv in the real sandbox: from the registry, and from an index that means harm."""

import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from portal.lib.ids import new_id
from services.runtimes import environments, home, sandbox, slots
from services.runtimes.base import BuildSpec, JobSpec, PlatformError, Prepared, UserError
from services.runtimes.environments import locks, places
from services.runtimes.python import PythonRuntime
from services.runtimes.slots import Slot
from tests.packages import PackageIndex, package_index
from tests.services.runtimes.conftest import LIMITS, finish, read
from tests.settings import TESTS_HOME
from tests.waiting import wait_for

TELL_TALE = "import sys; print('a package ran its code', file=sys.stderr); open('/build/cache/ran', 'w')\n"


class Builder:
    """Builds projects in one slot and hears the log."""

    def __init__(self, slot: Slot, folder: Path) -> None:
        self.slot = slot
        self.folder = folder
        self.log = ""

    def __call__(self, requirements: str | Mapping[str, str], **options: object) -> Prepared:
        files = {"requirements.txt": requirements} if isinstance(requirements, str) else requirements
        project = self.project(files)
        limits = replace(environments.limits(), **options.pop("limits", {}))
        spec = BuildSpec(build_id=new_id(), source=project, limits=limits, **options)
        self.log = ""
        return environments.prepare(spec, self.slot, self.hear)

    def project(self, files: Mapping[str, str]) -> Path:
        """A folder with ``files``, which the users of jobs can read."""
        project = home.jobs_home() / "test-projects" / str(new_id())
        for name, text in files.items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(text)
        return project

    def hear(self, _channel: str, data: bytes) -> None:
        self.log += data.decode()

    def refusal(self, requirements: str | Mapping[str, str], **options: object) -> str:
        with pytest.raises(UserError) as refused:
            self(requirements, **options)
        return str(refused.value)

    @property
    def bench(self) -> Path:
        return places.folder() / ".bench" / self.slot.name

    def run(self, key: str, code: str) -> str:
        """What ``code`` prints where jobs see the environment."""
        said = bytearray()
        command = sandbox.Command(
            argv=[f"{environments.MOUNTED_AT}/bin/python", "-I", "-c", code],
            limits=environments.limits(),
            read_only={environments.MOUNTED_AT: environments.path(key)},
        )
        ending = sandbox.run(slot=self.slot, command=command, log=lambda _, data: said.extend(data))
        assert not ending.reason, said.decode()
        return said.decode().strip()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Builder]:
    """Builds in a slot of its own; no lock is known yet."""
    shutil.rmtree(default_storage.path("locks"), ignore_errors=True)
    slot = wait_for(lambda: slots.acquire("build"), what="a free build slot")
    yield Builder(slot, tmp_path)
    slot.release()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The operator's index. Builds know no other."""
    with package_index() as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        yield index


def site_packages(key: str) -> Path:
    return next(environments.path(key).glob("lib/python3.*/site-packages"))


def entries(key: str) -> Iterator[os.stat_result]:
    for parent, folders, files in os.walk(environments.path(key)):
        for name in (".", *folders, *files):
            yield (Path(parent) / name).lstat()


def forget(key: str, build: Builder) -> None:
    """Make this host one that never had the environment nor its packages."""
    shutil.rmtree(environments.path(key))
    shutil.rmtree(build.bench)


# What a build makes


def test_packages_of_the_registry_work_in_a_job_read_only_and_compiled(build):
    made = build("six==1.17.0\niniconfig==2.1.0\n")
    code = "import six, iniconfig; print(six.__version__, six.__cached__, iniconfig.__file__)"
    version, cached, file = build.run(made.environment, code).split()
    assert version == "1.17.0"
    assert file.startswith(f"{environments.MOUNTED_AT}/lib/")
    compiled = environments.path(made.environment) / Path(cached).relative_to(environments.MOUNTED_AT)
    assert compiled.is_file()
    assert f"{environments.MOUNTED_AT}/lib".encode() in compiled.read_bytes()
    for heading in ("== Find versions", "six 1.17.0", "== Download", "== Install and compile, without network"):
        assert heading in build.log


NUMPY = """
import numpy as np
def run(n: np.float64):
    return {
        "array": np.array([[1, 2], [3, 4]]), "number": np.float32(n) / 4, "flag": np.bool_(True),
        "when": np.array(["2024-01-31"], dtype="M8[D]"), "keys": {np.int64(1): np.int8(2)}, "none": np.array([None]),
    }
"""


def test_numpy_works_from_its_wheel_and_in_a_result(build, slot):
    files = {"requirements.txt": "numpy", "src/__init__.py": "", "src/program.py": NUMPY}
    made = build(files)
    spec = JobSpec(
        job_id=new_id(), attempt=1, version_id=new_id(), account_id=new_id(), source=build.project(files),
        environment=made.environment, inputs={"n.json": b"2"}, limits=LIMITS,
    )  # fmt: skip
    execution = PythonRuntime().start(spec, slot)
    finish(execution)
    assert execution.outcome().reason == "", read(execution, "err")
    result = json.loads((execution.output / "output.json").read_bytes())
    execution.discard()
    assert result == {
        "array": [[1, 2], [3, 4]], "number": 0.5, "flag": True, "when": ["2024-01-31"], "keys": {"1": 2}, "none": [None]
    }  # fmt: skip


def test_all_of_an_environment_belongs_to_the_system_and_nobody_may_write(build, index):
    index.add_wheel("tool", files={"tool.py": "x = 1\n", "tool-1.0.data/scripts/tool": "#!python\nprint('ran')\n"})
    made = build("tool")
    for entry in entries(made.environment):
        if not stat.S_ISLNK(entry.st_mode):
            assert entry.st_mode & 0o222 == 0
            assert entry.st_uid == os.getuid()
    tool = environments.path(made.environment) / "bin" / "tool"
    assert tool.stat().st_mode & 0o111
    assert build.run(made.environment, "import subprocess; subprocess.run(['/opt/environment/bin/tool'])") == "ran"


def test_no_requirements_make_an_empty_environment_without_any_network(build, index):
    made = build({"src.py": ""})
    assert index.requests == []
    assert build.run(made.environment, "import json; print(json.dumps([1]))") == "[1]"
    assert "standard library alone" in build.log


def test_locks_hold_names_versions_and_hashes_and_no_address(build, index):
    sha256 = index.add_wheel("tool")
    text = locks.read(build("tool").environment)
    assert f"tool==1.0 \\\n    --hash=sha256:{sha256}" in text
    assert "://" not in text
    assert str(index.port) not in text


def test_a_file_that_does_not_compile_does_not_fail_the_build(build, index):
    index.add_wheel("tool", files={"tool.py": "x = 1\n", "tool_py2.py": "print 1\n"})
    assert build.run(build("tool").environment, "import tool; print(tool.x)") == "1"


# Environments are shared


def test_equal_wishes_share_an_environment_and_ask_nobody_again(build, index):
    index.add_wheel("tool")
    index.add_wheel("other")
    first = build("tool\nother\n")
    index.requests.clear()
    second = build("# again\nother\nTool\n")
    assert (first.reused, second.reused) == (False, True)
    assert first.environment == second.environment
    assert index.requests == []
    assert "nothing is to be done" in build.log


def test_versions_stay_until_a_fresh_build_looks_again(build, index):
    index.add_wheel("tool", "1.0")
    old = build("tool")
    index.add_wheel("tool", "2.0")
    assert build("tool").environment == old.environment
    new = build("tool", fresh=True)
    assert new.environment != old.environment
    assert build("tool").environment == new.environment
    assert build("tool", fresh=True) == Prepared(environment=new.environment, reused=True)
    assert environments.exists(old.environment)


def test_packages_that_environments_share_lie_on_disk_once(build, index):
    index.add_wheel("tool")
    index.add_wheel("other")
    paths = [site_packages(build(wish).environment) / "tool.py" for wish in ("tool", "tool\nother")]
    assert paths[0].samefile(paths[1])
    assert paths[0].stat().st_uid == os.getuid()


def test_of_concurrent_builds_of_one_environment_one_makes_it(build, index, settings, tmp_path):
    settings.BUILD_SLOTS = 2
    index.add_wheel("tool")
    other_slot = wait_for(lambda: slots.acquire("build"), what="a second build slot")
    builders = [build, Builder(other_slot, tmp_path)]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda builder: builder("tool"), builders))
    other_slot.release()
    assert sorted(prepared.reused for prepared in made) == [False, True]
    assert made[0].environment == made[1].environment


def test_an_environment_is_restored_from_its_lock_alone(build, index):
    index.add_wheel("tool", "1.0")
    key = build("tool").environment
    index.add_wheel("tool", "2.0")
    forget(key, build)
    assert not environments.exists(key)
    environments.restore(key, build.slot, build.hear)
    assert build.run(key, "import tool; print(tool.version)") == "1.0"


def test_a_jobs_slot_restores_too_and_keeps_nothing_of_it(build, index):
    index.add_wheel("tool")
    key = build("tool").environment
    forget(key, build)
    slot = wait_for(lambda: slots.acquire("job"), what="a free job slot")
    environments.restore(key, slot, build.hear)
    slot.release()
    assert environments.exists(key)
    assert not (places.folder() / ".bench" / slot.name).exists()


def test_what_the_cache_has_is_restored_without_the_index(build, monkeypatch):
    with package_index() as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        index.add_wheel("tool")
        key = build("tool").environment
    shutil.rmtree(environments.path(key))
    environments.restore(key, build.slot, build.hear)
    assert environments.exists(key)


def test_a_version_says_which_interpreter_it_wants(build, index):
    known = sandbox.host().interpreter
    prepared = build("", interpreter=known.number)
    assert build("").environment == prepared.environment
    words = build.refusal("", interpreter="3.99")
    assert "Python 3.99" in words
    assert known.number in words


def test_an_environment_whose_interpreter_is_gone_is_made_again(build, index):
    index.add_wheel("tool")
    key = build("tool").environment
    python = environments.path(key) / "bin" / "python"
    python.unlink()
    python.symlink_to("/usr/bin/python-of-long-ago")
    assert not environments.exists(key)
    assert build("tool").environment == key
    assert environments.exists(key)


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_lock_that_is_not_what_its_name_says_restores_nothing(build, index, damage):
    index.add_wheel("tool")
    key = build("tool").environment
    forget(key, build)
    lock = Path(default_storage.path(f"locks/{key}.txt"))
    if damage == "gone":
        lock.unlink()
    else:
        lock.write_text(lock.read_text() + "evil==1.0\n")
    with pytest.raises(PlatformError, match="lock"):
        environments.restore(key, build.slot, build.hear)


def test_versions_that_vanished_from_the_index_give_way_to_others(build, index):
    index.add_wheel("tool", "1.0")
    old = build("tool").environment
    forget(old, build)
    index.remove("tool")
    index.add_wheel("tool", "1.1")
    new = build("tool")
    assert new.environment != old
    assert build.run(new.environment, "import tool; print(tool.version)") == "1.1"


# What harm a package could mean


def test_no_code_of_a_wheel_runs_in_a_build(build, index):
    index.add_wheel("evil", files={"evil.py": TELL_TALE, "evil.pth": TELL_TALE, "sitecustomize.py": TELL_TALE})
    made = build("evil")
    assert "ran its code" not in build.log
    assert not (build.bench / "cache" / "ran").exists()
    assert "ran its code" in build.run(made.environment, "pass"), "in a job, where it may, it does run"


def test_a_package_without_a_wheel_is_refused_with_the_reason_and_its_setup_does_not_run(build, index):
    index.add_sdist("evil", setup=TELL_TALE)
    said = build.refusal("evil")
    assert "no usable wheels" in said
    assert "a source distribution would run its build code" in said
    assert "ran its code" not in build.log


def test_a_dependency_without_a_wheel_is_refused_too(build, index):
    index.add_wheel("tool", files={"tool.py": ""})
    index.add_sdist("evil", setup=TELL_TALE)
    assert "building from source is disabled" in build.refusal("tool\nevil")


def test_a_file_that_changed_behind_its_name_is_not_installed(build, index):
    index.add_wheel("tool")
    key = build("tool").environment
    forget(key, build)
    index.remove("tool")
    index.add_wheel("tool", files={"tool.py": "stolen = True\n"})
    with pytest.raises(UserError, match="could not be downloaded") as refused:
        environments.restore(key, build.slot, build.hear)
    assert "ash mismatch" in str(refused.value)
    assert not environments.exists(key)


def test_hashes_of_the_project_are_kept_to(build, index):
    sha256 = index.add_wheel("tool")
    assert "has one of the hashes" in build.refusal(f"tool==1.0 --hash=sha256:{'0' * 64}")
    made = build(f"tool==1.0 --hash=sha256:{'0' * 64} --hash=sha256:{sha256}")
    assert "0" * 64 not in locks.read(made.environment)


def test_a_wheel_that_unpacks_to_more_than_a_build_may_write_is_stopped(build, index, settings):
    settings.BUILD_OUTPUT_MAX_BYTES = 8 << 20
    index.add_wheel("bomb", files={"bomb.txt": "x" * (64 << 20)})
    assert "BUILD_OUTPUT_MAX_BYTES" in build.refusal("bomb")
    settings.BUILD_OUTPUT_MAX_BYTES = 1 << 30
    index.add_wheel("tool")
    assert build("tool").environment


# What uv says


def test_requirements_that_nothing_fits_fail_in_the_words_of_uv(build, index):
    index.add_wheel("tool")
    said = build.refusal("tool>=3")
    assert "Because only tool==1.0 is available" in said or "Because there is no version of tool" in said
    assert "Mend the requirements" in said
    assert said.split("\n\n")[1].splitlines()[0] in build.log


def test_an_index_that_does_not_answer_is_not_the_fault_of_the_project(build, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    said = build.refusal("tool")
    assert said.startswith("The package index could not be read.")
    assert "tell the operator" in said


def test_options_of_pip_are_refused_before_anything_runs(build, index):
    assert "the operator decides" in build.refusal("--index-url http://127.0.0.1/simple\ntool")
    assert index.requests == []


# The operator's index


@pytest.mark.parametrize("told_by", ["variable", "file", "pip"])
def test_a_password_of_the_index_stays_out_of_all_that_a_build_leaves(build, monkeypatch, tmp_path, told_by):
    with package_index(password="hunter2") as index:
        if told_by == "variable":
            monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        elif told_by == "pip":
            monkeypatch.setenv("PIP_INDEX_URL", index.url)
        else:
            config = tmp_path / "uv.toml"
            config.write_text(f'[[index]]\nurl = "{index.url}"\ndefault = true\n')
            monkeypatch.setenv("UV_CONFIG_FILE", str(config))
        index.add_wheel("tool")
        made = build("tool")
    assert build.run(made.environment, "import tool; print(tool.version)") == "1.0"
    assert "hunter2" not in build.log
    assert "hunter2" not in locks.read(made.environment)
    kept = [*environments.path(made.environment).rglob("*"), *build.bench.rglob("*")]
    assert not [file for file in kept if file.is_file() and b"hunter2" in file.read_bytes()]


def test_a_mistake_in_the_operators_file_shows_no_password(build, monkeypatch, tmp_path):
    config = tmp_path / "uv.toml"
    config.write_text('[[index]]\nurl = "https://me:hunter2@packages.example/simple" mistake\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(config))
    said = build.refusal("tool")
    assert "packages.example" in said
    assert "hunter2" not in said + build.log


def test_a_folder_of_wheels_serves_as_an_index(build, monkeypatch):
    offered = PackageIndex()
    offered.add_wheel("tool")
    folder = TESTS_HOME / "wheels"
    folder.mkdir()
    for name, content in offered.files.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    key = build("tool").environment
    assert build.run(key, "import tool; print(tool.version)") == "1.0"
    assert str(folder) not in locks.read(key)


# Ends before the end


def test_what_a_killed_build_left_behind_is_never_used_and_is_cleared(build, index):
    index.add_wheel("tool")
    build("tool")
    half = build.bench / "half-made" / "environment" / "bin"
    half.mkdir(parents=True)
    (half / "python").symlink_to("/usr/bin/python3")
    build("tool", fresh=True)
    assert [path.name for path in build.bench.iterdir()] == ["cache"]


def test_a_build_that_is_told_to_stop_stops_while_uv_waits(build, index):
    asked = threading.Event()
    index.answer = lambda _path: asked.set() or wait_for(lambda: None, what="nothing", seconds=20)
    with pytest.raises(PlatformError, match="worker-ends"):
        build("tool", stopped=lambda: "worker-ends" if asked.is_set() else "")


def test_a_build_ends_at_its_time_limit_and_names_it(build, index):
    release = threading.Event()
    index.answer = lambda _path: release.wait(20) and None
    said = build.refusal("tool", limits={"wall_seconds": 1})
    release.set()
    assert "time limit of builds" in said


def test_a_build_that_needs_too_much_memory_names_the_limit(build, index):
    index.add_wheel("tool", files={"tool.py": "x = " + "[" * 50 + "1," * 400_000 + "]" * 50})
    assert "BUILD_MEMORY_MIB" in build.refusal("tool", limits={"memory_bytes": 24 << 20})


def test_a_host_that_cannot_run_jobs_says_so(build, settings, monkeypatch):
    settings.JOB_PYTHON = "/nonexistent/python"
    with pytest.raises(PlatformError, match="JOB_PYTHON"):
        build("tool")
