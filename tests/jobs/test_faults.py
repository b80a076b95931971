"""What a job outlives: the death of its worker, of its sandbox, of both. Real workers on the test database.

What the whole instance outlives, its broker among it, is in tests/e2e/test_faults.py.
"""

import json
import os
import signal
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from jobs import execution, results, secrets, submission
from jobs.inputs import Sent
from jobs.models import FINAL, Job, JobAttempt, JobInput, Reason, Status
from portal.accounts.actors import Actor
from portal.lib import logstream
from services.runtimes import slots
from tests.factories import JobFactory
from tests.programs import version_of
from tests.waiting import wait_for

LINES = 300
COUNTING = f"""
import subprocess, time
def run(data, params):
    subprocess.Popen(["/bin/sleep", "600"])
    for number in range({LINES}):
        print("line", number, flush=True)
        time.sleep(0.02)
    return {{"lines": {LINES}}}
"""


@pytest.fixture
def submit(live_worker, provider):
    def submit(code=COUNTING, *, retryable=False, **sent):
        version = version_of(code, account=provider.personal_account, retryable=retryable)
        return submission.submit(
            version=version, sent=Sent(**sent), account=provider.personal_account, by=Actor(user=provider)
        )

    return submit


def entries(job):
    return logstream.read(*Job.objects.get(pk=job.pk).log_name())


def has_printed(job, *, at_least=1):
    job.refresh_from_db()
    return job.attempt and sum(entry.data.count(b"\n") for entry in entries(job) if entry.channel == "out") >= at_least


def finished(job, seconds=60):
    def is_final():
        job.refresh_from_db()
        return job.status in FINAL

    wait_for(is_final, what=f"the end of job {job.pk}", seconds=seconds)
    return job


def log_of(job):
    return b"".join(entry.data for entry in entries(job) if entry.channel == "out").decode()


def is_closed(job):
    return any(entry.event == "end" for entry in entries(job))


def processes_of(process):
    """Pids of the sandbox: the wrapper, and all that is in its PID namespace or has its user."""
    found = set()
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if folder.name.isdigit() and f" {process.record.pid} " in (folder / "stat").read_text():
                found.add(int(folder.name))
            if folder.name.isdigit() and folder.stat().st_uid == process.record.uid != os.getuid():
                found.add(int(folder.name))
    return found


def kill_sandbox(process):
    """Kill -9 of what holds the sandbox. The code dies with it; the death of the code alone would be an error."""
    for pid in sorted(processes_of(process), key=lambda pid: pid != process.record.pid):
        with suppress(OSError):
            if os.getsid(pid) == process.record.pid:
                os.kill(pid, signal.SIGKILL)


def kill_with_its_worker(job, live_worker):
    """Kill the worker of ``job`` and its sandbox once it has printed, and start the worker again; what was killed."""
    wait_for(lambda: has_printed(job), what="the first line")
    sandbox = execution.find(job)
    live_worker.kill("work")
    kill_sandbox(sandbox.process)
    live_worker.start()
    return sandbox


def all_slots_are_free():
    return not list(slots.occupied("job"))


def test_a_job_runs_through_its_workers(submit, live_worker):
    job = finished(submit("def run(data, params):\n    return 'done'\n"))
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    wait_for(lambda: Job.objects.get(pk=job.pk).log_archived, what="the archived log")
    wait_for(all_slots_are_free, what="a free slot")


def test_a_job_outlives_its_worker_and_the_log_has_no_gap(submit, live_worker):
    job = submit()
    wait_for(lambda: has_printed(job), what="the first line")
    live_worker.kill("work")
    sandbox = execution.find(job)
    assert not sandbox.ended()
    live_worker.start()
    job = finished(job)
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    assert list(job.files.values_list("name", flat=True)) == ["output.json"]
    wait_for(lambda: is_closed(job), what="the end of the log")
    assert log_of(job) == "".join(f"line {number}\n" for number in range(LINES))
    wait_for(lambda: not processes_of(sandbox.process), what="an empty sandbox")


def test_a_job_that_ends_while_no_worker_runs_is_settled_by_the_next(submit, live_worker):
    job = submit("import time\ndef run(data, params):\n    print('on', flush=True)\n    time.sleep(1)\n    return 7\n")
    wait_for(lambda: has_printed(job), what="the first line")
    live_worker.kill("work")
    sandbox = execution.find(job)
    wait_for(sandbox.ended, what="the end of the sandbox")
    live_worker.start()
    assert finished(job).status == Status.SUCCEEDED
    assert log_of(job) == "on\n"


SECRET = "sesame-canary"
WITH_SECRET = """
import os, time
def run(data, params):
    print("on", flush=True)
    time.sleep({seconds})
    return len(os.environ["SECRET_TOKEN"])
"""


def sealed_secrets(job):
    return JobInput.objects.get(pk=job.pk).secrets


def test_a_job_with_secrets_outlives_its_worker_and_then_they_are_gone(submit, live_worker):
    job = submit(WITH_SECRET.format(seconds=2), secrets={"token": SECRET})
    wait_for(lambda: has_printed(job), what="the first line")
    live_worker.kill("work")
    assert sealed_secrets(job)
    assert SECRET not in sealed_secrets(job)
    live_worker.start()
    assert finished(job).status == Status.SUCCEEDED
    assert json.loads(results.result_text(job)[0]) == len(SECRET)
    assert sealed_secrets(job) == ""


def test_the_secrets_of_a_job_whose_sandbox_and_worker_died_are_gone(submit, live_worker):
    job = submit(WITH_SECRET.format(seconds=600), secrets={"token": SECRET})
    sandbox = kill_with_its_worker(job, live_worker)
    job = finished(job, seconds=15)
    assert (job.status, job.reason, sealed_secrets(job)) == (Status.FAILED, Reason.LOST, "")
    wait_for(lambda: not processes_of(sandbox.process), what="an empty sandbox")


def test_the_attempt_after_a_claim_that_died_gets_the_secrets(live_worker, provider, settings):
    job = JobFactory(
        version=version_of(WITH_SECRET.format(seconds=0), account=provider.personal_account),
        status=Status.STARTING,
        host=settings.WORKER_HOST,
        lease_expires_at=timezone.now() - timedelta(seconds=30),
        input={"secrets": secrets.seal({"token": SECRET}), "secret_count": 1},
    )
    job = finished(job)
    assert (job.status, job.attempt, sealed_secrets(job)) == (Status.SUCCEEDED, 2, "")
    assert json.loads(results.result_text(job)[0]) == len(SECRET)


def test_the_death_of_sandbox_and_worker_is_told_as_lost(submit, live_worker):
    job = submit()
    kill_with_its_worker(job, live_worker)
    job = finished(job, seconds=15)
    assert (job.status, job.reason) == (Status.FAILED, Reason.LOST)
    assert "line 0\n" in log_of(job)
    wait_for(lambda: is_closed(job), what="the end of the log")


def test_the_death_of_the_sandbox_alone_is_told_as_lost(submit):
    job = submit()
    wait_for(lambda: has_printed(job), what="the first line")
    kill_sandbox(execution.find(job).process)
    job = finished(job, seconds=15)
    assert (job.status, job.reason) == (Status.FAILED, Reason.LOST)


def test_cancelling_ends_every_process(submit, provider):
    job = submit()
    wait_for(lambda: has_printed(job), what="the first line")
    sandbox = execution.find(job).process
    assert len(processes_of(sandbox)) > 2
    submission.cancel(job=job, by=Actor(user=provider))
    job = finished(job, seconds=15)
    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED)
    wait_for(lambda: not processes_of(sandbox), what="an empty sandbox")
    wait_for(lambda: is_closed(job), what="the end of the log")


def test_a_waiting_job_that_is_cancelled_gets_an_ended_log(live_worker, provider):
    live_worker.kill("work")
    job = JobFactory(account=provider.personal_account)
    submission.cancel(job=job, by=Actor(user=provider))
    wait_for(lambda: is_closed(job), what="the end of the log")


def test_a_job_whose_ring_was_lost_runs_all_the_same(live_worker, provider):
    version = version_of("def run(data, params):\n    return 1\n", account=provider.personal_account)
    job = Job.objects.create(account=provider.personal_account, version=version, created_by=provider)
    JobInput.objects.create(job=job, data="{}", params="{}")
    assert finished(job).status == Status.SUCCEEDED


def test_a_claim_that_died_before_the_start_is_given_to_the_next(live_worker, provider, settings):
    version = version_of("def run(data, params):\n    return 1\n", account=provider.personal_account)
    job = JobFactory(
        account=provider.personal_account,
        version=version,
        status=Status.STARTING,
        host=settings.WORKER_HOST,
        lease_expires_at=timezone.now() - timedelta(seconds=30),
    )
    job = finished(job)
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)


def test_a_stop_of_the_workers_leaves_the_job_running(submit, live_worker):
    job = submit()
    wait_for(lambda: has_printed(job), what="the first line")
    live_worker.stop()
    job.refresh_from_db()
    assert job.status == Status.RUNNING
    assert not execution.find(job).ended()
    live_worker.start()
    assert finished(job).status == Status.SUCCEEDED
    wait_for(lambda: is_closed(job), what="the end of the log")
    assert log_of(job) == "".join(f"line {number}\n" for number in range(LINES))


def test_many_jobs_share_the_slots_and_all_end(submit):
    jobs = [submit(f"def run(data, params):\n    return {number}\n") for number in range(12)]
    assert {finished(job).status for job in jobs} == {Status.SUCCEEDED}
    assert {job.attempt for job in jobs} == {1}


BRIEF = "import time\ndef run(data, params):\n    print('begun', flush=True)\n    time.sleep(2)\n    print('done')\n"


def test_a_job_of_a_retryable_version_is_started_again_when_sandbox_and_worker_die(submit, live_worker):
    job = submit(BRIEF, retryable=True)
    wait_for(lambda: has_printed(job), what="the first line")
    sandbox = execution.find(job)
    live_worker.kill("work")
    kill_sandbox(sandbox.process)
    live_worker.start()
    job = finished(job)
    assert (job.status, job.attempt, log_of(job)) == (Status.SUCCEEDED, 2, "begun\ndone\n")
    attempt = job.attempts.get()
    wait_for(lambda: JobAttempt.objects.get(pk=attempt.pk).log_archived, what="the archived log of the first attempt")
    assert b"".join(logstream.text(*attempt.log_name())) == b"begun\n"
    wait_for(all_slots_are_free, what="a free slot")


def test_a_new_worker_beside_the_one_that_leaves_takes_over_and_loses_nothing(submit, live_worker):
    jobs = [submit(BRIEF) for _ in range(4)]
    wait_for(lambda: has_printed(jobs[0]), what="the first line")
    leaving = live_worker.processes.pop("work")
    live_worker.start()  # as a deploy does that starts the new one first
    leaving.terminate()
    leaving.wait(timeout=20)
    for job in jobs:
        job = finished(job)
        assert (job.status, log_of(job)) == (Status.SUCCEEDED, "begun\ndone\n"), "each was run once"
    wait_for(all_slots_are_free, what="free slots")


def test_a_broker_that_is_full_refuses_no_job_and_loses_no_line(submit, valkey):
    job = submit()
    wait_for(lambda: has_printed(job), what="the first line")
    valkey.config_set("maxmemory", 1)
    try:
        later = submit("def run(data, params):\n    return 1\n")
        wait_for(execution.find(job).ended, what="the end of the sandbox")
    finally:
        valkey.config_set("maxmemory", 0)
    assert {finished(each).status for each in (job, later)} == {Status.SUCCEEDED}
    wait_for(lambda: is_closed(job), what="the end of the log")
    assert log_of(job) == "".join(f"line {number}\n" for number in range(LINES))


def test_a_job_goes_on_while_the_database_cuts_its_connections(submit):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no connections that a server could cut")
    job = submit(BRIEF)
    wait_for(lambda: has_printed(job), what="the first line")
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid) {others}")
    job = finished(job)
    assert (job.status, job.attempt, log_of(job)) == (Status.SUCCEEDED, 1, "begun\ndone\n")
