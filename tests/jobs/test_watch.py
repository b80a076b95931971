"""The watch over the sandboxes of a host: what cannot renew its lease is dead when that ends."""

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from jobs import claiming, execution, watch
from jobs.models import Job, Reason, Status
from services.runtimes import slots
from tests.jobs.test_execution import submit, supervise
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_worker")]

ENDLESS = "import time\ndef run(data, params):\n    time.sleep(600)\n"


@pytest.fixture
def sandbox(provider):
    """That of a job that does not end by itself."""
    job = submit(ENDLESS, provider)
    supervisor = supervise()
    wait_for(_is_held, what="the lease of the running job")
    yield execution.find(Job.objects.get(pk=job.pk))
    execution.kill(Job.objects.get(pk=job.pk), Reason.LOST)
    supervisor.join(timeout=30)
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.FAILED, Reason.LOST)


def _is_held():
    """Whether the slot notes the lease of a job that runs, which is longer than that of its claim."""
    longer = timedelta(seconds=claiming.STARTING_LEASE_SECONDS + 1)
    noted = [slot.lease_expires_at() for slot in slots.occupied("job")]
    return any(noted) and noted[0] > datetime.now(UTC) + longer


def lease(seconds):
    """Have the lease of the job end in ``seconds``, as if nobody could renew it; when that is."""
    ends_at = datetime.now(UTC) + timedelta(seconds=seconds)
    next(slots.occupied("job")).lease(ends_at)
    return ends_at


@contextmanager
def watching(*, grace_seconds):
    """The watch, in a thread of its own; yields what it left of connections to the database."""
    stop, connected = threading.Event(), []

    def look():
        watch.watch(stop, grace_seconds)
        connected.append(connection.connection is not None)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield connected
    finally:
        stop.set()
        thread.join(timeout=10)


def test_a_sandbox_ends_before_its_lease_does(sandbox):
    lease(execution.FENCE_SECONDS + 60)
    execution.kill_expired()
    assert not sandbox.ended()
    ends_at = lease(execution.FENCE_SECONDS)
    execution.kill_expired()
    assert sandbox.ended()
    assert datetime.now(UTC) < ends_at


def test_the_watch_ends_it_without_a_database(sandbox):
    with watching(grace_seconds=0) as connected:
        lease(execution.FENCE_SECONDS)
        wait_for(sandbox.ended, what="the end of the sandbox")
    assert connected == [False]


def test_after_a_start_the_workers_have_time_to_take_up_their_jobs(sandbox, monkeypatch):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    looks = threading.Semaphore(0)
    monkeypatch.setattr(execution, "end_overtime", looks.release)
    lease(0)
    with watching(grace_seconds=60):
        assert all(looks.acquire(timeout=10) for _ in range(3))
    assert not sandbox.ended()


def test_one_slot_in_disorder_does_not_end_the_watch(sandbox, monkeypatch, caplog):
    slot = next(slots.occupied("job"))
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    (slot.folder / "lease").rename(slot.folder / "lease.kept")
    (slot.folder / "lease").mkdir()  # cannot be read
    with watching(grace_seconds=0):
        wait_for(lambda: "the next one follows" in caplog.text, what="a look that failed")
        (slot.folder / "lease").rmdir()
        lease(0)
        wait_for(sandbox.ended, what="the end of the sandbox")
