"""Jobs of a version with a warm start, from the queue to their log. The driver's half is in services/runtimes."""

import json
import os
import signal
import threading

import pytest
from django.db import connection

from jobs import execution, results, submission, tasks
from jobs.inputs import Sent
from jobs.models import FINAL, Job, Status
from portal.accounts.actors import Actor
from portal.lib import logstream
from services import variables
from services.runtimes import sandbox, slots, warm
from tests.programs import version_of
from tests.waiting import wait_for

COUNTING = """
import os, time
print("imported", flush=True)
def run(data):
    for number in range(data):
        print("line", number, flush=True)
        time.sleep(0.01)
    return os.environ.get("LEVEL")
"""


@pytest.fixture(autouse=True)
def _nothing_stays():
    yield
    warm.end_idle()
    warm.closing.clear()


@pytest.fixture
def version(transactional_db, provider):
    return version_of(COUNTING, account=provider.personal_account, warm_start=True, publication="marketplace")


def submit(version, user, data=3):
    sent = Sent(data=json.dumps(data), params="{}")
    return submission.submit(version=version, sent=sent, account=user.personal_account, by=Actor(user=user))


def lines(count):
    return "".join(f"line {number}\n" for number in range(count))


def log_of(job):
    entries = logstream.read(*Job.objects.get(pk=job.pk).log_name())
    return b"".join(entry.data for entry in entries if entry.channel == "out").decode()


def servers():
    return [folder.name for slot in slots.waiting("job", before=float("inf")) for folder in slot.servers()]


@pytest.mark.usefixtures("no_worker")
def test_the_second_job_finds_what_the_first_imported(version, provider, consumer):
    first, second = submit(version, provider), submit(version, provider, data=2)
    assert execution.look()
    assert not list(slots.occupied("job"))
    (server,) = servers()
    assert execution.look()
    assert servers() == [server]
    assert (log_of(first), log_of(second)) == ("imported\n" + lines(3), lines(2))
    others = submit(version, consumer)
    assert execution.look()
    assert log_of(others) == "imported\n" + lines(3)
    assert len(servers()) == 2  # of one account each; the empty slot came first
    for job in (first, second, others):
        job.refresh_from_db()
        assert (job.status, job.reason) == (Status.SUCCEEDED, "")
        assert job.cpu_seconds is None or job.cpu_seconds > 0


@pytest.mark.usefixtures("no_worker")
def test_a_changed_variable_needs_another_import(version, provider):
    for level in ("1", "2"):
        variables.set_variable(
            version=version, by=Actor(user=provider), name="LEVEL", value=level, is_secret=level == "2"
        )
        job = submit(version, provider)
        assert execution.look()
        job.refresh_from_db()
        assert results.result_text(job)[0] == f'"{level}"'
        assert log_of(job) == "imported\n" + lines(3)


@pytest.mark.usefixtures("no_worker")
def test_a_planned_stop_leaves_a_warm_job_to_a_successor(version, provider):
    submit(version, provider, data=1)
    assert execution.look()
    job = submit(version, provider, data=150)

    def look():
        try:
            execution.look()
        finally:
            connection.close()

    supervisor = threading.Thread(target=look)
    supervisor.start()
    wait_for(lambda: "line" in log_of(job), what="the first line")
    tasks.warm.closing.set()
    execution.stopping.set()
    supervisor.join(timeout=30)
    execution.stopping.clear()
    warm.end_idle()  # it has a job, so it stays
    execution.end_overtime()
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    assert log_of(job) == lines(150)
    assert servers() == []


@pytest.mark.usefixtures("no_worker")
def test_what_a_job_leaves_idle_in_the_moment_of_a_stop_does_not_stay(version, provider):
    job = submit(version, provider, data=1)
    assert execution.look()
    (server,) = servers()
    held = slots.exchange(slots.acquire("job"), warm.key_of(version.pk, job.account_id))
    warm.closing.set()
    warm.end_idle()  # passes by the slot that a supervisor still holds
    held.release()
    assert servers() == [server]
    assert not execution.look()  # which is what every supervisor ends with
    assert servers() == []


def test_the_death_of_a_worker_costs_a_warm_job_nothing(version, provider, live_worker):
    first = submit(version, provider, data=1)
    wait_for(lambda: Job.objects.get(pk=first.pk).status in FINAL and servers(), what="an idle interpreter")
    job = submit(version, provider, data=200)
    wait_for(lambda: "line 5" in log_of(job), what="some lines")
    live_worker.kill("work")
    live_worker.start()
    wait_for(lambda: Job.objects.get(pk=job.pk).status in FINAL, what="its end")
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    assert log_of(job) == lines(200)


def test_a_worker_ends_what_idles_when_it_stops_and_what_another_left_when_it_starts(version, provider, live_worker):
    first = submit(version, provider, data=1)
    wait_for(lambda: Job.objects.get(pk=first.pk).status in FINAL and servers(), what="an idle interpreter")
    live_worker.kill("work")
    (left,) = servers()
    assert sandbox.attach_server(next(slots.waiting("job", before=float("inf")))) is not None
    live_worker.start()
    wait_for(lambda: left not in servers(), what="the end of what was left")
    second = submit(version, provider, data=1)
    wait_for(lambda: Job.objects.get(pk=second.pk).status in FINAL and servers(), what="an idle interpreter")
    os.kill(live_worker.pid("work"), signal.SIGTERM)
    wait_for(lambda: not servers(), what="the end of what idles")
    live_worker.processes["work"].wait(timeout=20)
