"""Projects of other platforms and years: each is checked, built and run. tests/foreign/README.md lists them."""

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from jobs import execution, submission
from jobs.inputs import Sent
from jobs.models import Job
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.lib import logstream
from services import builds, importing
from services.models import Build, ServiceVersion
from tests import engine as private_engine
from tests.engine import BASE, Engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_worker")]
PROJECTS = Path(__file__).parent / "foreign"
NODE = "node:20-slim"


@pytest.fixture
def build(provider: User):
    """Imports a project and builds it, in this process."""

    def build_it(name: str) -> ServiceVersion:
        imported = importing.import_project(
            path=PROJECTS / name, account=provider.personal_account, by=Actor(user=provider)
        )
        assert builds.look()
        made = Build.objects.get(version=imported.version)
        assert made.status == "SUCCEEDED", made.detail
        return made.version

    return build_it


@pytest.fixture
def run(provider: User):
    """Runs a version to its end, in this process. ``more`` are further keys of the input."""

    def run_it(version: ServiceVersion, data: object, params: object = None, **more: object) -> Job:
        secrets = more.pop("secrets", {})
        sent = Sent(
            data=json.dumps(data),
            params=json.dumps({} if params is None else params),
            more={name: json.dumps(value) for name, value in more.items()},
            secrets=secrets,  # type: ignore[arg-type]
        )
        job = submission.submit(version=version, sent=sent, account=provider.personal_account, by=Actor(user=provider))
        assert execution.look()
        return Job.objects.get(pk=job.pk)

    return run_it


def log_of(job: Job) -> str:
    return b"".join(logstream.text(*job.log_name())).decode()


def content(job: Job, name: str = "output.json") -> str:
    assert job.status == "SUCCEEDED", (job.reason, job.detail, log_of(job))
    with default_storage.open(job.files.get(name=name).key) as file:
        return file.read().decode()


def result(job: Job) -> object:
    return json.loads(content(job))


def test_the_starter_of_today(build, run) -> None:
    version = build("starter-python")
    assert version.service.name == "Averages"
    assert (version.cpu_millis, version.memory_mib) == (1000, 1024)
    assert [warning.partition(":")[0] for warning in version.warnings] == ["planqk.json"]  # what is taken from it
    job = run(version, {"values": [1, 2, 6]}, {"round_up": False})
    assert result(job) == {"mean": 3.0}
    assert "averaged 3 values" in log_of(job)


def test_pydantic_models(build, run) -> None:
    version = build("pydantic-models")
    assert result(run(version, {"values": [3, 1, 2]}, {"direction": "down", "limit": 2})) == {
        "ordered": [3.0, 2.0],
        "direction": "down",
    }
    assert result(run(version, {"values": ["1.5"]}))["ordered"] == [1.5]  # type: ignore[index]
    refused = run(version, {"values": []}, {"direction": "sideways"})
    assert (refused.status, refused.reason) == ("FAILED", "invalid_input")
    assert "values" in refused.detail
    assert "direction" in refused.detail


def test_secrets_of_both_packages(build, run) -> None:
    version = build("secrets-both-packages")
    job = run(
        version, {"expected": "of-ibm-4711"}, secrets={"api_token": "very-secret-token", "ibmToken": "of-ibm-4711"}
    )
    assert result(job) == {"length": 17, "same": True}
    log = log_of(job)
    assert "token: [redacted] SecretValue([redacted])" in log
    assert "very-secret-token" not in log
    assert "leaked:" in log


def test_a_data_pool_that_is_not_mounted(build, run) -> None:
    version = build("data-pool")
    assert result(run(version, {})) == {"files": None}


def test_the_template_of_2022(build, run) -> None:
    version = build("template-2022")
    job = run(version, {"values": [100, 50, 200, 70, 0.69]}, {"round_off": True})
    assert result(job)["result"] == {"sum": 420}  # type: ignore[index]
    failed = run(version, {})
    assert (failed.status, failed.reason) == ("FAILED", "error")
    assert "400" in failed.detail
    assert "there are no values" in failed.detail


def test_a_project_of_2022_that_starts_itself(build, run) -> None:
    version = build("template-2022-itself")
    job = run(version, {"values": [1, 2, 3]}, {"a": 1})
    assert result(job) == {"sum": 6, "params": {"a": 1}}
    failed = run(version, {"x": 1})
    assert (failed.status, failed.reason) == ("FAILED", "error")
    assert "'values' is missing" in failed.detail
    long = run(version, {"values": [1] * 40_000}, {})  # too long for a variable: it reads the files
    assert result(long) == {"sum": 40_000, "params": {}}


def test_the_template_of_2024(build, run) -> None:
    job = run(build("template-2024"), {"start": 10}, {"steps": 3})
    assert result(job) == {"best": 7}
    assert content(job, "steps.txt") == "3\n"
    assert [json.loads(text) for text in job.interims.order_by("number").values_list("content", flat=True)] == [
        {"step": 0, "best": 10},
        {"step": 1, "best": 9},
        {"step": 2, "best": 8},
    ]


@pytest.fixture
def node(engine: Engine) -> None:
    """The image that a Node.js project begins with, made of the host's own Node.js."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no node here, of which an image could be made")
    program = os.path.realpath(found)
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        dockerfile = f"FROM {BASE}\nCOPY root /\n".encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        tar.addfile(entry, io.BytesIO(dockerfile))
        tar.add(program, arcname="root/usr/local/bin/node")
        for path in private_engine._libraries([program]):
            if not Path(path).is_symlink():
                tar.add(path, arcname=f"root/{private_engine._merged(path)}")
        for path in private_engine._libraries([program]):
            if Path(path).is_symlink():
                tar.add(os.path.realpath(path), arcname=f"root/{private_engine._merged(path)}")
    context.seek(0)
    for told in engine.client.build(fileobj=context, custom_context=True, tag=NODE, rm=True, decode=True):
        assert "error" not in told, told


def test_a_container_of_node_js(build, run, node: None) -> None:
    version = build("node-container")
    assert version.runtime == "docker"
    job = run(version, {"values": [1, 2, 3.5]})
    assert result(job) == {"sum": 6.5}
    assert content(job, "count.txt") == "3"
    assert log_of(job).strip().endswith("adding 3 values")
    failed = run(version, {})
    assert (failed.status, failed.reason) == ("FAILED", "error")
    assert "there are no values" in log_of(failed)


def test_every_project_is_run() -> None:
    told = (PROJECTS / "README.md").read_text()
    text = Path(__file__).read_text()
    for folder in PROJECTS.iterdir():
        if folder.is_dir():
            assert f'build("{folder.name}")' in text
            assert f"`{folder.name}`" in told
