import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings

from services.runtimes import slots
from services.runtimes.base import PlatformError
from services.runtimes.home import is_root
from tests.settings import TESTS_HOME

ROOT = Path(__file__).resolve().parents[3]
HOLD = """
import django, sys
django.setup()
from services.runtimes import slots
slot = slots.acquire("job")
if "leave" in sys.argv:
    (slot.folder / "run-left").mkdir()
print(slot.name, slot.uid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def jobs_home(settings: LazySettings) -> Path:
    """A folder of slots for each test."""
    folder = TESTS_HOME / f"slots-{os.urandom(4).hex()}"
    settings.JOBS_HOME = str(folder)
    settings.JOB_SLOTS, settings.BUILD_SLOTS = 2, 1
    return folder


@pytest.fixture
def holder(jobs_home: Path) -> Iterator["Holder"]:
    made = Holder(jobs_home)
    yield made
    made.kill()


class Holder:
    """Another process that holds a slot."""

    def __init__(self, jobs_home: Path) -> None:
        self.environment = os.environ | {
            "JOBS_HOME": str(jobs_home),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def hold(self, *arguments: str) -> tuple[str, int]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            cwd=ROOT,
        )
        self.processes.append(process)
        assert process.stdout
        name, uid = process.stdout.readline().split()
        return name.decode(), int(uid)

    def kill(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.processes.clear()


def test_a_slot_has_one_holder_and_a_user_of_its_own() -> None:
    first, second = slots.acquire("job"), slots.acquire("job")
    assert first
    assert second
    assert slots.acquire("job") is None
    assert {first.name, second.name} == {"job-0", "job-1"}
    if is_root():
        assert first.uid != second.uid
        assert first.folder.stat().st_gid == first.uid
        assert first.folder.stat().st_mode & 0o777 == 0o710
    second.release()
    second.release()
    again = slots.acquire("job")
    assert again
    assert again.name == second.name
    again.release()
    first.release()


def test_kinds_do_not_take_each_others_slots() -> None:
    build = slots.acquire("build")
    assert build
    assert slots.acquire("build") is None
    job = slots.acquire("job")
    assert job
    assert job.uid != build.uid or not is_root()


def test_threads_of_one_process_share_no_slot() -> None:
    taken: list[slots.Slot] = []
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait()
        if (slot := slots.acquire("job")) is not None:
            taken.append(slot)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slot.name for slot in taken) == ["job-0", "job-1"]


def test_processes_share_no_slot_and_death_releases_it(holder: Holder) -> None:
    name, uid = holder.hold()
    mine = slots.acquire("job")
    assert mine
    assert mine.name != name
    assert slots.acquire("job") is None
    holder.kill()
    again = slots.acquire("job")
    assert again
    assert (again.name, again.uid) == (name, uid)


def test_what_a_dead_holder_left_comes_first(holder: Holder) -> None:
    first = slots.acquire("job")
    assert first
    name, _ = holder.hold("leave")
    first.release()
    holder.kill()
    assert [slot.name for slot in slots.occupied("job")] == [name] == ["job-1"]
    found = slots.acquire("job")
    assert found
    assert found.name == name
    assert found.runs() == [found.folder / "run-left"]


def test_leftovers_are_found_where_there_are_fewer_slots_now(settings: LazySettings) -> None:
    held = [slots.acquire("job"), slots.acquire("job")]
    last = held[1]
    assert last
    (last.folder / "run-left").mkdir()
    last.release()
    settings.JOB_SLOTS = 1
    found = slots.acquire("job")
    assert found
    assert found.name == "job-1"
    (found.folder / "run-left").rmdir()
    found.release()
    assert slots.acquire("job") is None


@pytest.mark.skipif(not is_root(), reason="users of their own need root")
def test_instances_side_by_side_share_no_user(settings: LazySettings, jobs_home: Path) -> None:
    ours = slots.acquire("job")
    settings.JOBS_HOME = str(jobs_home) + "-other"
    theirs = slots.acquire("job")
    assert ours
    assert theirs
    assert ours.name == theirs.name
    assert ours.uid != theirs.uid
    settings.JOBS_HOME = str(jobs_home)
    ours.release()
    again = slots.acquire("job")
    assert again
    assert again.uid == ours.uid


def test_an_expired_lease_shows_whoever_holds_the_slot() -> None:
    slot = slots.acquire("job")
    assert slot
    assert list(slots.expired("job")) == []
    now = datetime.now(UTC)
    slot.lease(now + timedelta(seconds=60))
    assert list(slots.expired("job")) == []
    assert slot.lease_expires_at() == (now + timedelta(seconds=60))
    slot.lease(now - timedelta(seconds=1))
    assert [found.name for found in slots.expired("job")] == [slot.name]
    assert list(slots.expired("build")) == []
    slot.release()
    assert list(slots.expired("job")) == []


@pytest.mark.skipif(not is_root(), reason="only root gives slots users of their own")
def test_a_warm_slot_without_a_user_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    held, other = slots.acquire("job"), slots.acquire("job")
    assert held
    assert other
    other.keep_warm("mine")
    other.release()
    (slots.USERS / str(other.uid)).unlink()  # as after a boot
    with monkeypatch.context() as full:
        full.setattr(slots, "UIDS_MAX", 0)
        with pytest.raises(PlatformError, match="JOB_UID_BASE"):
            slots.exchange(held, "mine")
    assert held.is_held
    assert slots.exchange(held, "mine").name == other.name
