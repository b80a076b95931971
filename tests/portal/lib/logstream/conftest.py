"""A log of its own for each test, and a broker that a test may kill."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from pytest_django.fixtures import Settings

from portal.lib import valkey as valkey_server
from portal.lib.logstream import Entry, read
from tests.waiting import wait_for

LogName = tuple[str, str, int]


@pytest.fixture(autouse=True)
def storage(settings: Settings, tmp_path: Path) -> Path:
    """Where archives go."""
    folder = tmp_path / "files"
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": folder}}
    }
    return folder


@pytest.fixture
def log() -> LogName:
    return ("job", str(uuid4()), 1)


class Broker:
    """A Valkey of the test's own, at settings.REDIS_URL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{valkey_server.socket_path(folder)}?db=0"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = valkey_server.command(run_dir=self.folder, data_dir=self.folder / "data")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            wait_for(lambda: _answers(client), what="the broker")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def forget(self) -> None:
        """Lose everything that it was told."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


@pytest.fixture
def broker(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("v"))
    settings.REDIS_URL = broker.url
    yield broker
    broker.kill()


@pytest.fixture
def expire() -> Callable[[LogName], None]:
    """Let the stream of an archived log go at once, as its time to live does it later."""

    def drop(log: LogName) -> None:
        from django.conf import settings  # noqa: PLC0415 (its value of this very test)

        with redis.Redis.from_url(settings.REDIS_URL) as client:
            stream = "log:{}:{}:{}".format(*log)
            assert client.ttl(stream) > 0
            client.delete(stream)

    return drop


def content(entries: list[Entry], channel: str) -> bytes:
    """The bytes of one channel."""
    return b"".join(entry.data for entry in entries if entry.channel == channel and not entry.event)


def whole(log: LogName, after: str = "") -> list[Entry]:
    """What a reader gets that does not wait."""
    return [entry for entry in read(*log, after=after) if entry]


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
