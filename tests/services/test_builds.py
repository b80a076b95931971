"""Builds from request to result, on the real queue, storage, log and sandbox."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import Account, User
from portal.lib import claims, logstream
from services import builds, runtimes, sources
from services.models import Build, BuildStatus, ServiceVersion
from services.runtimes import environments, home, slots
from tests.conftest import ROOT, Workers
from tests.factories import BuildFactory, ServiceVersionFactory
from tests.packages import PackageIndex, package_index
from tests.programs import zipped
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

LOOK = "import django; django.setup(); from services import builds; builds.look()"


@pytest.fixture(autouse=True)
def _alone(_workers: Workers) -> None:
    """No worker of another test takes our builds, and no lock of another test is known."""
    _workers.stop()
    shutil.rmtree(default_storage.path("locks"), ignore_errors=True)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with package_index() as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        yield index


@pytest.fixture
def closed_index(index: PackageIndex) -> Iterator["Gate"]:
    """An index that answers nobody before `open()`."""
    gate = Gate(index)
    yield gate
    gate.open()


class Gate:
    def __init__(self, index: PackageIndex) -> None:
        self.is_open, self.was_asked = threading.Event(), threading.Event()
        answer = index.answer

        def wait_and_answer(path: str) -> tuple[str, bytes] | None:
            self.was_asked.set()
            self.is_open.wait(60)
            return answer(path)

        index.answer = wait_and_answer

    def open(self) -> None:
        self.is_open.set()

    def await_somebody(self) -> None:
        assert self.was_asked.wait(60)


@pytest.fixture
def version(provider_account: Account) -> Callable[..., ServiceVersion]:
    """Makes a version that is not built, whose project has the ``requirements``."""

    def make(requirements: str = "", **files: str) -> ServiceVersion:
        program = "def run(data, params):\n    return 1\n"
        archive = zipped({"src/program.py": program, "requirements.txt": requirements, **files})
        source = sources.check(ContentFile(archive), name="project.zip")
        sources.store(ContentFile(archive), sha256=source.sha256)
        return ServiceVersionFactory(
            service__account=provider_account, built=False, source_sha256=source.sha256, source_size=source.size
        )

    return make


@pytest.fixture
def request_build(provider: User) -> Callable[..., Build]:
    def request(version: ServiceVersion, **options: bool) -> Build:
        return builds.request_build(version=version, by=Actor(user=provider), **options)

    return request


@pytest.fixture
def build(version: Callable[..., ServiceVersion], request_build: Callable[..., Build]) -> Callable[..., Build]:
    """Builds a project with the ``requirements`` to its end, in this process."""

    def make(requirements: str = "", **options: bool) -> Build:
        build = request_build(version(requirements), **options)
        assert builds.look()
        build.refresh_from_db()
        return build

    return make


def asking_for(version: ServiceVersion, interpreter: str) -> ServiceVersion:
    version.interpreter = interpreter
    version.save()
    return version


def log_of(build: Build, attempt: int | None = None) -> str:
    kind, pk, last = build.log_name()
    return b"".join(logstream.text(kind, pk, attempt or last)).decode()


def in_thread(work: Callable[[], Any]) -> ThreadPoolExecutor:
    """Run ``work`` beside the test; leave the block to wait for it."""

    def with_own_connection() -> Any:
        try:
            return work()
        finally:
            connection.close()

    pool = ThreadPoolExecutor(1)
    pool.result = pool.submit(with_own_connection).result
    return pool


# To the end


def test_a_build_makes_its_version_runnable_and_tells_how_in_its_log(build, index):
    index.add_wheel("tool")
    made = build("tool")
    made.version.refresh_from_db()
    assert (made.status, made.detail, made.attempt, made.lease_expires_at) == (BuildStatus.SUCCEEDED, "", 1, None)
    assert made.started_at <= made.ended_at
    assert environments.exists(made.version.environment)
    assert made.log_archived
    lines = log_of(made).splitlines()
    for line in ("Requirements in requirements.txt: tool", "== Find versions", "tool 1.0", "== Download"):
        assert line in lines
    assert lines[-1].startswith("Built (")
    names = [entry.event for entry in logstream.read(*made.log_name())]
    assert names.count("status") == 2
    assert names[-1] == logstream.END


def test_a_build_begins_by_the_ring_of_its_request_and_a_worker_makes_it(live_worker, version, request_build):
    build = request_build(version("six"))
    wait_for(lambda: not Build.objects.get(pk=build.pk).is_live, what="the build", seconds=60)
    build.refresh_from_db()
    assert (build.status, build.detail) == (BuildStatus.SUCCEEDED, "")
    wait_for(lambda: Build.objects.get(pk=build.pk).log_archived, what="the archive of its log")
    assert "six 1." in log_of(build)


def test_two_services_with_the_same_requirements_share_one_environment(build, index):
    index.add_wheel("tool")
    first, second = build("tool"), build("tool # the same\n")
    assert first.version.service != second.version.service
    assert (first.reused, second.reused) == (False, True)
    first.version.refresh_from_db()
    second.version.refresh_from_db()
    assert first.version.environment == second.version.environment != ""


def test_a_rebuild_finds_new_versions_and_a_request_that_waits_is_not_doubled(build, index, request_build):
    index.add_wheel("tool", "1.0")
    version = build("tool").version
    version.refresh_from_db()
    before = version.environment
    index.add_wheel("tool", "2.0")
    rebuild = request_build(version, fresh=True)
    assert request_build(version, fresh=True) == request_build(version) == rebuild
    assert builds.look()
    version.refresh_from_db()
    assert version.environment != before
    assert version.builds.count() == 2
    assert not builds.look(), "nothing waits any more"


def test_a_request_rings_once_its_transaction_commits(valkey, version, request_build):
    valkey.delete("builds")
    request_build(version())
    assert valkey.llen("builds") == 1


# To a bad end


def test_what_cannot_be_resolved_fails_in_the_words_of_uv(build, index):
    index.add_wheel("tool")
    failed = build("tool>=2")
    assert failed.status == BuildStatus.FAILED
    assert "No set of versions fits these requirements. uv says:" in failed.detail
    assert "tool>=2" in failed.detail
    failed.version.refresh_from_db()
    assert not failed.version.is_runnable
    assert log_of(failed).splitlines()[-1].startswith("Failed: No set of versions fits these requirements. (")


def test_a_failing_rebuild_leaves_the_version_as_it_was(build, index, request_build):
    index.add_wheel("tool")
    version = build("tool").version
    version.refresh_from_db()
    before = version.environment
    index.remove("tool")
    again = request_build(version, fresh=True)
    builds.look()
    again.refresh_from_db()
    version.refresh_from_db()
    assert again.status == BuildStatus.FAILED
    assert version.environment == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--index-url https://packages.example/simple", "the operator decides where packages come from"),
        ("tool @ git+https://code.example/tool.git", "is a repository"),
        ("-e .", "an editable install runs build code"),
        ("evil", "a source distribution would run its build code"),
    ],
)
def test_what_is_refused_fails_with_the_reason(build, index, line, words):
    index.add_sdist("evil", setup="raise SystemExit('ran')")
    failed = build(line)
    assert failed.status == BuildStatus.FAILED
    assert words in failed.detail


def test_a_fault_of_the_platform_says_so_names_the_build_and_is_in_the_servers_log(request_build, caplog):
    failed = request_build(ServiceVersionFactory(built=False))  # its source is not in storage
    builds.look()
    failed.refresh_from_db()
    assert failed.status == BuildStatus.FAILED
    assert "your project is not the cause" in failed.detail
    assert str(failed.pk) in failed.detail
    assert "Traceback" not in failed.detail + log_of(failed)
    assert any(str(failed.pk) in record.getMessage() and record.exc_info for record in caplog.records)


def test_a_host_that_cannot_build_names_cause_and_cure(build, settings):
    settings.JOB_PYTHON = "/nowhere/python"
    failed = build()
    assert failed.status == BuildStatus.FAILED
    assert "JOB_PYTHON" in failed.detail


def test_a_build_for_an_interpreter_that_is_gone_says_which_there_are(request_build, version):
    failed = request_build(asking_for(version(), "3.99"))
    assert builds.look()
    failed.refresh_from_db()
    assert failed.status == BuildStatus.FAILED
    assert "Python 3.99" in failed.detail
    assert runtimes.interpreters()[0] in failed.detail


def test_a_build_for_an_interpreter_of_another_host_waits_for_it_for_a_while(request_build, version):
    BuildFactory(status=BuildStatus.SUCCEEDED, host="elsewhere", started_at=timezone.now())
    waiting = request_build(asking_for(version(), "3.99"))
    assert not builds.look()
    long_ago = timezone.now() - timedelta(seconds=builds.ELSEWHERE_SECONDS + 1)
    Build.objects.filter(pk=waiting.pk).update(created_at=long_ago)
    assert builds.look()
    waiting.refresh_from_db()
    assert waiting.status == BuildStatus.FAILED


# Interrupted


def test_concurrent_looks_claim_a_build_once(version, request_build, settings):
    settings.BUILD_SLOTS = 2
    build = request_build(version())
    with in_thread(builds.look) as one, in_thread(builds.look) as other:
        looked = sorted([one.result(), other.result()])
    build.refresh_from_db()
    assert looked == [False, True]
    assert (build.status, build.attempt) == (BuildStatus.SUCCEEDED, 1)


def test_a_build_whose_worker_is_killed_in_the_middle_is_made_by_the_next(version, request_build, index, closed_index):
    index.add_wheel("tool")
    build = request_build(version("tool"))
    worker = subprocess.Popen([sys.executable, "-c", LOOK], cwd=ROOT, env=Workers()._environment())
    try:
        closed_index.await_somebody()
    finally:
        worker.kill()
        worker.wait()
    build.refresh_from_db()
    assert build.status == BuildStatus.RUNNING

    def waits_again() -> bool:
        builds.reap()
        build.refresh_from_db()
        return build.status == BuildStatus.QUEUED

    wait_for(waits_again, what="the reaper to see that nobody supervises it")
    closed_index.open()
    assert builds.look()
    build.refresh_from_db()
    assert (build.status, build.attempt) == (BuildStatus.SUCCEEDED, 2)
    assert builds.INTERRUPTED in log_of(build, attempt=1)
    assert log_of(build, attempt=2).splitlines()[-1].startswith("Built (")
    slot = slots.acquire("build")
    assert slot.runs() == []
    slot.release()


def test_a_build_that_somebody_supervises_is_left_alone(version, request_build, index, closed_index):
    index.add_wheel("tool")
    build = request_build(version("tool"))
    with in_thread(builds.look) as supervisor:
        closed_index.await_somebody()
        Build.objects.update(started_at=timezone.now() - timedelta(minutes=1))
        builds.reap()
        build.refresh_from_db()
        assert (build.status, build.attempt) == (BuildStatus.RUNNING, 1)
        closed_index.open()
        assert supervisor.result()
    build.refresh_from_db()
    assert build.status == BuildStatus.SUCCEEDED
    assert not list((home.jobs_home() / "builds").iterdir())


def test_a_build_of_another_host_waits_again_when_its_lease_ends(version):
    build = BuildFactory(version=version(), status=BuildStatus.RUNNING, attempt=1, host="gone", **_times(lease=60))
    builds.reap()
    build.refresh_from_db()
    assert build.status == BuildStatus.RUNNING
    Build.objects.update(lease_expires_at=timezone.now())
    builds.reap()
    build.refresh_from_db()
    assert (build.status, build.host, build.lease_expires_at) == (BuildStatus.QUEUED, "", None)
    builds.look()
    build.refresh_from_db()
    assert (build.status, build.attempt) == (BuildStatus.SUCCEEDED, 2)


def test_a_build_that_is_always_interrupted_fails_in_the_end_and_says_why(version):
    build = BuildFactory(version=version(), status=BuildStatus.RUNNING, attempt=3, host="gone", **_times(lease=-1))
    builds.reap()
    build.refresh_from_db()
    assert (build.status, build.detail) == (BuildStatus.FAILED, builds.GIVEN_UP)
    assert build.log_archived
    assert builds.GIVEN_UP in log_of(build)


def test_a_lease_is_renewed_while_uv_is_silent(version, request_build, index, closed_index, settings):
    settings.LEASE_RENEWAL_SECONDS = 0.05
    index.add_wheel("tool")
    build = request_build(version("tool"))
    with in_thread(builds.look):
        closed_index.await_somebody()
        build.refresh_from_db()
        first = build.lease_expires_at
        wait_for(lambda: Build.objects.get(pk=build.pk).lease_expires_at > first, what="a renewal")
        closed_index.open()


def test_a_supervisor_that_lost_its_claim_ends_and_writes_nothing(
    version, request_build, index, closed_index, settings
):
    settings.LEASE_RENEWAL_SECONDS = 0.05
    index.add_wheel("tool")
    build = request_build(version("tool"))
    with in_thread(builds.look):
        closed_index.await_somebody()
        theirs = {"attempt": 2, "host": "other", "lease_expires_at": claims.lease_end(60)}
        Build.objects.update(**theirs)
    build.refresh_from_db()
    assert {name: getattr(build, name) for name in theirs} == theirs
    assert build.status == BuildStatus.RUNNING
    build.version.refresh_from_db()
    assert not build.version.is_runnable


def test_a_worker_that_is_told_to_stop_gives_its_build_back(version, request_build, index, closed_index):
    index.add_wheel("tool")
    build = request_build(version("tool"))
    stop = threading.Event()
    with in_thread(lambda: builds.look(stop=stop)):
        closed_index.await_somebody()
        stop.set()
    build.refresh_from_db()
    assert (build.status, build.detail) == (BuildStatus.QUEUED, "")
    assert not builds.look(stop=stop), "it takes nothing more"
    closed_index.open()
    builds.look()
    build.refresh_from_db()
    assert (build.status, build.attempt) == (BuildStatus.SUCCEEDED, 2)


def test_a_broker_that_refuses_for_a_while_costs_no_line(version, request_build, valkey, caplog):
    build = request_build(version())
    valkey.config_set("maxmemory", 1)
    try:
        with in_thread(builds.look):
            wait_for(lambda: "waits for the broker" in caplog.text, what="a refused write")
            valkey.config_set("maxmemory", 0)
    finally:
        valkey.config_set("maxmemory", 0)
    build.refresh_from_db()
    assert build.status == BuildStatus.SUCCEEDED
    lines = log_of(build).splitlines()
    assert lines[0].startswith("Python 3.")
    assert lines[-1].startswith("Built (")


def test_the_tick_closes_a_log_that_stayed_open(version, valkey: redis.Redis):
    build = BuildFactory(version=version(), status=BuildStatus.FAILED, attempt=1, **_times(ended=-60))
    logstream.LogWriter(*build.log_name()).write("out", b"half a build\n")
    builds.close_left_open()
    build.refresh_from_db()
    assert build.log_archived
    assert log_of(build) == "half a build\n"


def test_the_tick_rings_for_what_waits(version, request_build, valkey):
    request_build(version())
    valkey.delete("builds")
    builds.ring_again()
    assert valkey.llen("builds") == django_settings.BUILD_SLOTS


def _times(*, lease: float | None = None, ended: float | None = None) -> dict[str, Any]:
    now = timezone.now()
    times = {"started_at": now - timedelta(minutes=2)}
    if lease is not None:
        times["lease_expires_at"] = now + timedelta(seconds=lease)
    if ended is not None:
        times["ended_at"] = now + timedelta(seconds=ended)
    return times
