"""The cast and the servers that tests run against: a Valkey, workers on the test database, and one whole instance.

The cast: **provider** offers services and runs jobs in an account of their own; **teammate** is a viewer there: sees
everything and may change nothing; **consumer** has an account of their own and no part in the provider's; **stranger**
neither, and gets 404 wherever a test asks. Each is a User with a verified address and the password ``PASSWORD``.
"""

import gc
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from portal.accounts.models import Account, Membership, User
from portal.lib import valkey as valkey_server
from services.runtimes import sandbox, slots
from tests import children
from tests.engine import DoesNotStart, Engine, missing
from tests.factories import MembershipFactory, UserFactory, personal_account
from tests.live_stack import LiveStack
from tests.settings import TESTS_HOME
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent
IN_A_BROWSER = {"browser"}
ON_ITS_OWN_DATABASE = {"live_stack"} | IN_A_BROWSER


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what belongs to which run of tests/__main__.py, by what a test asks for."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        uses_database = item.get_closest_marker("django_db") or names & {"db", "transactional_db"}
        if uses_database and not names & ON_ITS_OWN_DATABASE:
            item.add_marker(pytest.mark.postgres)
        if names & ON_ITS_OWN_DATABASE:
            item.add_marker(pytest.mark.stack)
        if names & IN_A_BROWSER:
            item.add_marker(pytest.mark.e2e)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules and the thousands of tests, which are there until the end."""
    gc.freeze()
    gc.set_threshold(20_000)


def pytest_unconfigure() -> None:
    for kind in slots.KINDS:
        for slot in (*slots.occupied(kind), *slots.waiting(kind, before=time.time())):
            sandbox.clear(slot)  # a test that was cut off leaves processes, mounts and control groups
    shutil.rmtree(TESTS_HOME, ignore_errors=True)


# The cast


@pytest.fixture
def provider(db: None) -> User:
    """Offers services; owner of the account ``provider_account``."""
    return UserFactory(email="provider@example.com")


@pytest.fixture
def consumer(db: None) -> User:
    """Uses services; owner of the account ``consumer_account``."""
    return UserFactory(email="consumer@example.com")


@pytest.fixture
def teammate(provider: User) -> User:
    """A viewer of the provider's account."""
    user = UserFactory(email="teammate@example.com")
    MembershipFactory(account=personal_account(provider), user=user, role=Membership.Role.VIEWER)
    return user


@pytest.fixture
def stranger(db: None) -> User:
    """Signed in, with an account of their own, and no business with anybody else's."""
    return UserFactory(email="stranger@example.com")


@pytest.fixture
def provider_account(provider: User) -> Account:
    return personal_account(provider)


@pytest.fixture
def consumer_account(consumer: User) -> Account:
    return personal_account(consumer)


@pytest.fixture
def stranger_account(stranger: User) -> Account:
    return personal_account(stranger)


# Servers


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    cache.clear()


@pytest.fixture(scope="session", autouse=True)
def valkey() -> Iterator[redis.Redis]:
    """A real private Valkey for the whole run, at settings.REDIS_URL. Yields a client of it."""
    command = valkey_server.command(run_dir=settings.RUN_DIR, data_dir=TESTS_HOME / "valkey")
    server = children.start(command, stdout=subprocess.DEVNULL)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        wait_for(lambda: _answers(client), what="Valkey")
        yield client
    server.terminate()
    server.wait(timeout=10)


@pytest.fixture(scope="session")
def live_stack() -> Iterator[LiveStack]:
    """One whole instance for the session: the real `manage.py up`, demo included. See tests/live_stack.py.

    Its database is its own: the ORM of the test process does not see it. Leave it as you found it, running.
    """
    stack = LiveStack()
    stack.start()
    yield stack
    stack.remove()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A container engine of our own with a base image; where there can be none, its tests skip and say why."""
    if reason := missing():
        pytest.skip(reason)
    private = Engine()
    try:
        try:
            private.start()
        except DoesNotStart as refused:
            pytest.skip(f"no container engine starts here: {refused}")
        private.make_base()
        yield private
    finally:
        private.remove()


@pytest.fixture(scope="session")
def _workers(valkey: redis.Redis, django_db_setup: None) -> Iterator["Workers"]:
    workers = Workers()
    yield workers
    workers.stop()


@pytest.fixture
def live_worker(transactional_db: None, _workers: "Workers") -> "Workers":
    """The workers of an instance as real processes on the test database: ``work`` (jobs, builds) and ``system``.

    They go on from test to test. ``live_worker.kill("work")`` is kill -9; ``live_worker.start()`` starts what is dead.
    """
    _workers.start()
    return _workers


@pytest.fixture
def no_worker(transactional_db: None, _workers: "Workers") -> None:
    """Nobody but the test itself answers rings."""
    _workers.stop()


class Workers:
    """The two worker processes of a host, started as `manage.py up` starts them. Output: TESTS_HOME/<name>.log."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start the workers that do not run, and wait until they listen."""
        from portal.management.processes import worker_commands  # noqa: PLC0415 (few tests need it)

        fresh = []
        for name, command in worker_commands().items():
            if name not in self.processes or self.processes[name].poll() is not None:
                log = (TESTS_HOME / f"{name}.log").open("wb")
                self.processes[name] = children.start(
                    command, cwd=ROOT, env=self._environment(), stdout=log, stderr=log, start_new_session=True
                )
                log.close()
                fresh.append(name)
        for name in fresh:
            wait_for(lambda name=name: b" ready." in self.log(name), what=f"the worker {name}", seconds=60)

    def log(self, name: str) -> bytes:
        """What the worker printed since its last start."""
        return (TESTS_HOME / f"{name}.log").read_bytes()

    def pid(self, name: str) -> int:
        return self.processes[name].pid

    def kill(self, *names: str) -> None:
        """Kill -9 of the workers ``names``, all at once."""
        for name in names:
            os.killpg(self.processes[name].pid, signal.SIGKILL)
        for name in names:
            self.processes[name].wait()

    def stop(self) -> None:
        """End what runs as `up` does: SIGTERM, and SIGKILL after 3 s."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _environment(self) -> dict[str, str]:
        name = str(connection.settings_dict["NAME"])
        if connection.vendor == "sqlite":
            url = f"sqlite:///{name}"
        else:
            url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
        return os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings", "DATABASE_URL": url}


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
