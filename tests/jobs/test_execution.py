"""One job at a time in the real sandbox, supervised by this process; faults with real workers are in test_faults.py."""

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from jobs import claiming, execution, inputs, logs, results, signals, submission, tail
from jobs.inputs import Sent
from jobs.models import Job, JobAttempt, JobInput, Reason, Status
from portal.accounts import quotas
from portal.accounts.actors import Actor
from portal.lib import logstream
from services import variables
from services.models import ServiceVersion
from services.runtimes import slots
from services.runtimes.environments import locks
from services.runtimes.sandbox import launch
from tests.factories import JobFactory
from tests.programs import version_of
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_worker")]


def submit(code, user, *, data="{}", params="{}", sent=None, **columns):
    sent = sent or Sent(data=data, params=params)
    version = version_of(code, account=user.personal_account, **columns)
    return submission.submit(version=version, sent=sent, account=user.personal_account, by=Actor(user=user))


def run(code, user, **kwargs):
    """Submit and supervise to the end."""
    job = submit(code, user, **kwargs)
    assert execution.look()
    return Job.objects.get(pk=job.pk)


def supervise():
    """Answer one ring beside the test."""

    def look():
        try:
            execution.look()
        finally:
            connection.close()  # a thread has a connection of its own

    thread = threading.Thread(target=look)
    thread.start()
    return thread


def log_of(job):
    entries = logstream.read(*job.log_name())
    return b"".join(entry.data for entry in entries if entry.channel in ("out", "err")).decode()


def test_a_job_runs_to_its_result(provider):
    job = run(
        "def run(data, params):\n    print('adding')\n    return {'sum': sum(data['values']), 'params': params}\n",
        provider,
        data='{"values": [1, 2, 3]}',
        params='{"round_up": false}',
    )
    assert (job.status, job.reason) == (Status.SUCCEEDED, "")
    assert json.loads(results.result_text(job)[0]) == {"sum": 6, "params": {"round_up": False}}
    assert log_of(job) == "adding\n"
    assert job.created_at <= job.claimed_at <= job.started_at <= job.ended_at
    assert job.wall_seconds > 0
    assert job.cpu_seconds is None or job.cpu_seconds > 0
    assert job.limit_tier in {"v2", "v1", "rlimit"}
    assert not list(slots.occupied("job"))


def test_files_of_the_output_folder_become_result_files(provider):
    job = run(
        "from pathlib import Path\n"
        "def run(data, params):\n"
        "    out = Path('/var/runtime/output')\n"
        "    (out / 'plots').mkdir()\n"
        "    (out / 'plots' / 'a.txt').write_text('hello')\n"
        "    return [1]\n",
        provider,
    )
    assert set(job.files.values_list("name", "size")) == {("plots/a.txt", 5), ("output.json", 3)}


def test_an_uncaught_error_is_told_with_its_own_frames(provider):
    job = run(
        "def run(data, params):\n    return inner()\ndef inner():\n    raise ValueError('no such city')\n", provider
    )
    assert (job.status, job.reason) == (Status.FAILED, Reason.ERROR)
    assert job.error["type"] == "ValueError"
    assert job.error["message"] == "no such city"
    assert [frame for frame in job.error["frames"] if "src/program.py:4" in frame]
    assert not [frame for frame in job.error["frames"] if "runner" in frame]
    assert "Traceback" in log_of(job)


@pytest.mark.parametrize(
    ("code", "columns", "reason"),
    [
        ("import time\ndef run(data, params):\n    time.sleep(60)\n", {"time_limit_seconds": 1}, Reason.TIMEOUT),
        ("def run(data, params):\n    return len(bytearray(10**9))\n", {"memory_mib": 128}, Reason.OUT_OF_MEMORY),
        ("import os\ndef run(data, params):\n    os.kill(os.getpid(), 11)\n", {}, Reason.ERROR),
        ("def run(data, params):\n    return {'a': [1, object()]}\n", {}, Reason.INVALID_RESULT),
        ("def run(data, params):\n    return {'a': float('nan')}\n", {}, Reason.INVALID_RESULT),
        ("def run(data, params, missing):\n    return 1\n", {}, Reason.INVALID_INPUT),
        ("import os\ndef run(data, params):\n    os.mkfifo('/var/runtime/output/x')\n", {}, Reason.OUTPUT_TOO_LARGE),
    ],
    ids=["timeout", "memory", "crash", "object", "nan", "input", "pipe"],
)  # fmt: skip
def test_a_failure_has_its_reason_in_words(provider, code, columns, reason):
    job = run(code, provider, **columns)
    assert (job.status, job.reason) == (Status.FAILED, reason)
    assert len(job.detail) > 20
    assert job.detail.rstrip().endswith((".", "`", ")"))


def test_a_running_job_is_cancelled_with_all_its_processes(provider):
    job = submit(
        "import subprocess, time\n"
        "def run(data, params):\n"
        "    subprocess.Popen(['/bin/sleep', '600'])\n"
        "    print('started', flush=True)\n"
        "    time.sleep(600)\n",
        provider,
    )
    supervisor = supervise()
    wait_for(lambda: _has_printed(job), what="the first line")
    job.refresh_from_db()
    assert job.status == Status.RUNNING
    submission.cancel(job=job, by=Actor(user=provider))
    execution.kill(job, Reason.CANCELLED)
    supervisor.join(timeout=30)
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert not list(slots.occupied("job"))


def _has_printed(job):
    entries = logstream.read(*Job.objects.get(pk=job.pk).log_name())
    return any(entry.channel == "out" and b"\n" in entry.data for entry in entries)


def test_a_planned_stop_leaves_the_job_to_a_successor(provider):
    job = submit(
        "import os, time\n"
        "def run(data, params):\n"
        "    for number in range(200):\n"
        "        print('line', number, flush=True)\n"
        "        time.sleep(0.01)\n"
        "    return 'done'\n",
        provider,
    )
    supervisor = supervise()
    wait_for(lambda: _has_printed(job), what="the first line")
    execution.stopping.set()
    supervisor.join(timeout=30)
    execution.stopping.clear()
    job.refresh_from_db()
    assert job.status == Status.RUNNING
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    assert log_of(job) == "".join(f"line {number}\n" for number in range(200))


def test_what_a_failed_supervisor_left_is_rung_for_and_taken_up(provider, monkeypatch):
    rings = []
    monkeypatch.setattr(execution.doorbell, "ring", lambda task, *args, **_: rings.append(task))
    job = submit("def run(data, params):\n    return 'done'\n", provider)

    def fail(*_, **__):
        raise OSError("the storage is full")

    with monkeypatch.context() as broken:
        broken.setattr(claiming, "settle", fail)
        with pytest.raises(OSError, match="the storage is full"):
            execution.look()
    rings.clear()
    execution.ring_for_leftovers()
    assert rings == ["jobs.look"]
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    rings.clear()
    execution.ring_for_leftovers()
    assert rings == []


def test_a_supervisor_waits_for_the_database_and_settles_then(provider, monkeypatch):
    monkeypatch.setattr(execution, "DATABASE_RETRY_SECONDS", 0.01)
    settle, failures = claiming.settle, [OperationalError("the database restarts")] * 3

    def fail_at_first(*args, **kwargs):
        if failures:
            raise failures.pop()
        return settle(*args, **kwargs)

    monkeypatch.setattr(claiming, "settle", fail_at_first)
    job = run("def run(data, params):\n    return 'done'\n", provider)
    assert (job.status, job.attempt, failures) == (Status.SUCCEEDED, 1, [])
    assert not list(slots.occupied("job"))


def test_what_is_printed_faster_than_the_log_takes_it_does_not_keep_the_lease_from_being_renewed(
    provider, monkeypatch, settings
):
    monkeypatch.setattr(tail, "CARRY_SECONDS", 0)
    settings.LEASE_RENEWAL_SECONDS = 0
    carried = set()  # how much the log had at each renewal
    renew = claiming.renew

    def renew_and_note(job, **kwargs):
        carried.add(logstream.LogWriter(*job.log_name()).offsets().get("out", 0))
        return renew(job, **kwargs)

    monkeypatch.setattr(claiming, "renew", renew_and_note)
    program = "import time\ndef run():\n    print('x' * 4_000_000, flush=True)\n    time.sleep(600)\n"
    job = submit(program, provider)
    supervisor = supervise()
    wait_for(lambda: 4_000_001 in carried, what="the whole log")
    submission.cancel(job=job, by=Actor(user=provider))
    supervisor.join(timeout=30)
    assert len(log_of(job)) == 4_000_001
    assert len(carried) >= 4_000_000 // tail.CHUNK_BYTES


def test_a_broker_that_forgets_all_it_had_costs_no_line(provider, valkey):
    lines = "".join(f"line {number}\n" for number in range(100))
    code = "import time\ndef run(data, params):\n    for number in range(100):\n"
    code += "        print('line', number, flush=True)\n        time.sleep(0.01)\n"
    job = submit(code, provider, sent=Sent(secrets={"token": CANARY}))

    def forget(**_):
        valkey.flushall()

    signals.job_finished.connect(forget)  # between the last line and the end of the log
    try:
        supervisor = supervise()
        wait_for(lambda: _has_printed(job), what="the first line")
        valkey.flushall()
        supervisor.join(timeout=30)
    finally:
        signals.job_finished.disconnect(forget)
    valkey.flushall()  # before anybody else had the time to archive it
    job.refresh_from_db()
    assert (job.status, job.log_archived, log_of(job)) == (Status.SUCCEEDED, True, lines)
    assert not list(slots.occupied("job"))


def test_a_storage_that_takes_no_log_leaves_it_in_the_broker(provider, monkeypatch):
    def fail(*_):
        raise OSError("the storage is full")

    monkeypatch.setattr(logs.logstream, "archive", fail)
    job = run("def run(data, params):\n    print('on')\n", provider)
    assert (job.status, job.log_archived, log_of(job)) == (Status.SUCCEEDED, False, "on\n")
    assert not list(slots.occupied("job"))
    monkeypatch.undo()
    logs.archive(job.pk, 1)
    assert Job.objects.get(pk=job.pk).log_archived


def test_a_job_that_cannot_be_started_for_an_unforeseen_reason_does_not_wait_again_for_ever(provider):
    job = submit("def run(data, params):\n    return 1\n", provider, runtime="withdrawn")
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.reason, job.detail) == (Status.FAILED, Reason.LOST, execution.NOT_STARTED)


def test_a_job_for_a_python_that_no_host_has_fails_and_says_which(provider):
    job = submit("def run(data, params):\n    return 1\n", provider)
    lock = "# cpython-27 linux-x86_64 format-1\n"
    ServiceVersion.objects.filter(pk=job.version_id).update(environment=locks.save(lock, wish="old"))
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.FAILED, Reason.LOST)
    assert "it was built for Python 2.7, which no host has" in job.detail


def test_nothing_to_do_is_told():
    assert not execution.look()


def test_what_runs_on_after_its_job_was_given_up_is_ended_and_cleared(provider):
    job = submit("import time\ndef run(data, params):\n    print('on', flush=True)\n    time.sleep(600)\n", provider)
    supervisor = supervise()
    wait_for(lambda: _has_printed(job), what="the first line")
    execution.stopping.set()
    supervisor.join(timeout=30)
    execution.stopping.clear()
    Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=60))
    claiming.reap(is_here=execution.is_here)
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.FAILED, Reason.LOST)
    logs.close(job)  # as the ring of the reaper does
    assert execution.look()
    assert not list(slots.occupied("job"))
    settled = Job.objects.get(pk=job.pk)
    assert (settled.status, settled.reason) == (Status.FAILED, Reason.LOST)


class Died(BaseException):
    """The end of this process, as far as what runs in it can tell."""


def test_a_job_whose_worker_died_before_the_code_began_waits_for_another_start(provider, monkeypatch):
    def die(*_, **__):
        raise Died

    monkeypatch.setattr(launch, "_set_limits", die)  # between the record in the slot and the word to begin
    job = submit("def run(data, params):\n    return 'done'\n", provider)
    with pytest.raises(Died):
        execution.look()
    monkeypatch.undo()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.STARTING, 1)
    assert execution.is_here(job)
    assert execution.look()
    job.refresh_from_db()
    assert job.status == Status.QUEUED
    assert not list(slots.occupied("job"))
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)


def test_a_job_whose_worker_died_on_the_way_to_its_start_waits_again_at_once(provider, monkeypatch):
    def die(*_):
        raise Died

    monkeypatch.setattr(launch, "_make_folders", die)
    job = submit("def run(data, params):\n    return 'done'\n", provider)
    with pytest.raises(Died):
        execution.look()
    monkeypatch.undo()
    assert Job.objects.get(pk=job.pk).status == Status.STARTING
    execution.give_back_claims()
    assert Job.objects.get(pk=job.pk).status == Status.QUEUED
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)


def test_a_job_whose_worker_stood_still_before_the_start_waits_again(provider, monkeypatch):
    job = submit("def run(data, params):\n    return 'done'\n", provider)
    make = launch._make_folders

    def stand_still(slot, command, run):
        make(slot, command, run)
        slot.lease(timezone.now() - timedelta(seconds=1))

    monkeypatch.setattr(launch, "_make_folders", stand_still)
    assert execution.look()
    monkeypatch.undo()
    assert Job.objects.get(pk=job.pk).status == Status.QUEUED
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)


def test_a_job_that_is_being_started_is_not_given_back(provider, settings):
    submit("def run(data, params):\n    return 'done'\n", provider)
    slot = slots.acquire("job")
    job = claiming.claim_next(settings.WORKER_HOST)
    execution.give_back_claims()  # before it is noted
    slot.claim(f"{job.pk} {job.attempt}")
    execution.give_back_claims()
    assert Job.objects.get(pk=job.pk).status == Status.STARTING
    slot.release()
    execution.give_back_claims()
    assert Job.objects.get(pk=job.pk).status == Status.QUEUED


def test_a_lease_that_nobody_could_renew_ends_the_sandbox(provider):
    job = submit("import time\ndef run(data, params):\n    print('on', flush=True)\n    time.sleep(600)\n", provider)
    supervisor = supervise()
    wait_for(lambda: _has_printed(job), what="the first line")
    execution.kill_expired()
    assert not execution.find(Job.objects.get(pk=job.pk)).ended()
    next(slots.occupied("job")).lease(timezone.now() - timedelta(seconds=1))
    execution.kill_expired()
    supervisor.join(timeout=30)
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.FAILED, Reason.LOST)


def test_further_inputs_are_files_and_the_arguments_that_run_takes(provider):
    code = (
        "import os\n"
        "def run(data, n, m=5):\n"
        "    return {'n': n, 'm': m, 'files': sorted(os.listdir('/var/runtime/input')), "
        "'text': open('/var/runtime/input/extra-input.json').read()}\n"
    )
    sent = inputs.parse(b'{"data": {}, "n": [1,  2], "extra-input": {"a":  1}}')
    job = run(code, provider, sent=sent)
    assert json.loads(results.result_text(job)[0]) == {
        "n": [1, 2],
        "m": 5,
        "files": ["data.json", "extra-input.json", "n.json", "params.json"],
        "text": '{"a":  1}',
    }
    assert "The input has `extra-input`, which run() does not take: ignored." in log_of(job)


CANARY = "canary-7f3a"
REVEAL = f"""
import os, subprocess
def run():
    secrets = {{name: value for name, value in os.environ.items() if name.startswith("SECRET_")}}
    assert {CANARY!r} in secrets.values()
    lines = [open(f"/proc/{{pid}}/cmdline").read() for pid in os.listdir("/proc") if pid.isdigit()]
    child = subprocess.check_output(["/bin/sh", "-c", "echo $SECRET_IBM_TOKEN"], text=True).strip()
    return {{"names": sorted(secrets), "lengths": sorted(map(len, secrets.values())),
            "on a command line": any("canary" in line for line in lines), "child": child == {CANARY!r}}}
"""


def test_secrets_reach_the_code_and_stay_nowhere_else(provider, valkey):
    sent = Sent(secrets={"ibmToken": CANARY, "LARGE": "x" * 65_536, "odd": " ü\n'\"$(echo) "})
    job = run(REVEAL, provider, sent=sent)
    assert job.status == Status.SUCCEEDED, job.detail
    assert json.loads(results.result_text(job)[0]) == {
        "names": ["SECRET_IBM_TOKEN", "SECRET_LARGE", "SECRET_ODD"],
        "lengths": [11, 13, 65_536],
        "on a command line": False,
        "child": True,
    }
    assert job.input.secrets == ""
    assert job.input.secret_count == 3
    assert CANARY.encode() not in b"".join(valkey.dump(key) or b"" for key in valkey.scan_iter())


WAITING = f"""
import os, time
def run():
    assert os.environ["SECRET_TOKEN"] == {CANARY!r}
    print("on", flush=True)
    time.sleep(600)
"""


def test_while_a_job_runs_its_secrets_lie_in_no_file_and_on_no_command_line(provider):
    job = submit(WAITING, provider, sent=Sent(secrets={"token": CANARY}))
    thread = supervise()
    wait_for(lambda: "on" in log_of(Job.objects.get(pk=job.pk)), what="the start of the job")
    [slot] = [slot for slot in slots.occupied("job") if execution.attach(slot).job_id == job.pk]
    for path in slot.folder.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert lines
    assert not [line for line in lines if CANARY.encode() in line]
    assert JobInput.objects.get(pk=job.pk).secrets  # a worker that dies before the start needs them again
    submission.cancel(job=job, by=Actor(user=provider))
    execution.kill(Job.objects.get(pk=job.pk), Reason.CANCELLED)
    thread.join()
    assert Job.objects.get(pk=job.pk).status == Status.CANCELLED
    assert JobInput.objects.get(pk=job.pk).secrets == ""


def test_secrets_that_no_key_decrypts_end_the_job_with_the_reason(provider, settings):
    job = submit("def run():\n    return 1\n", provider, sent=Sent(secrets={"token": CANARY}))
    settings.ENCRYPTION_KEYS = ["another"]
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.FAILED, Reason.LOST)
    assert "cannot be decrypted" in job.detail
    assert "Send the job again" in job.detail
    assert JobInput.objects.get(pk=job.pk).secrets == ""


def test_the_variables_of_the_version_reach_the_code_and_secret_ones_no_log(provider):
    code = (
        "import os\ndef run(data, params):\n    print(os.environ['TOKEN'])\n    return {'url': os.environ['API_URL']}\n"
    )
    job = submit(code, provider)
    by = Actor(user=provider)
    variables.set_variable(version=job.version, by=by, name="API_URL", value="http://example.com", is_secret=False)
    variables.set_variable(version=job.version, by=by, name="TOKEN", value="canary-1234", is_secret=True)
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.detail) == (Status.SUCCEEDED, "")
    assert json.loads(results.result_text(job)[0])["url"] == "http://example.com"
    assert "canary" not in log_of(job)


def test_a_variable_that_cannot_be_decrypted_fails_the_job_in_words_without_its_name(provider, settings):
    job = submit("def run(data, params): return 1", provider)
    by = Actor(user=provider)
    variables.set_variable(version=job.version, by=by, name="TOKEN", value="x", is_secret=True)
    settings.ENCRYPTION_KEYS = ["another"]
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.reason, job.detail) == (Status.FAILED, Reason.LOST, variables.UNREADABLE)
    assert "TOKEN" not in job.detail


def test_a_successor_masks_the_variables_that_the_code_was_given_and_not_what_they_are_by_then(provider):
    job = submit(
        "import os, time\n"
        "def run(data, params):\n"
        "    given = os.environ['CHANGED'], os.environ['REMOVED']\n"
        "    for number in range(100):\n"
        "        print('on', *given, flush=True)\n"
        "        time.sleep(0.01)\n"
        "    raise ValueError(' '.join(given))\n",
        provider,
    )
    by = Actor(user=provider)
    for name in ("CHANGED", "REMOVED"):
        variables.set_variable(version=job.version, by=by, name=name, value="canary-1234", is_secret=True)
    supervisor = supervise()
    wait_for(lambda: _has_printed(job), what="the first line")
    variables.set_variable(version=job.version, by=by, name="CHANGED", value="another-one", is_secret=True)
    variables.remove_variable(version=job.version, by=by, name="REMOVED")
    execution.stopping.set()
    supervisor.join(timeout=30)
    execution.stopping.clear()
    [slot] = slots.occupied("job")
    assert not [path for path in slot.folder.rglob("*") if path.is_file() and b"canary" in _content(path)]
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.reason, job.error["message"]) == (Status.FAILED, Reason.ERROR, "*********** ***********")
    assert log_of(job).count("on *********** ***********\n") == 100
    assert "canary" not in log_of(job) + job.detail
    assert not (slot.folder / slots.SEALED).exists()


def _content(path):
    """What lies in ``path``, but for the spools: they are what the code printed, and the host's alone."""
    return b"" if path.name in ("out", "err") else path.read_bytes()


# Limits, deadlines, attempts


SLEEPING = "import time\ndef run(data, params):\n    print('on', flush=True)\n    time.sleep(600)\n"


def test_result_files_count_as_what_the_account_keeps(provider):
    job = run("def run(data, params):\n    return 'x' * 98\n", provider)
    assert quotas.storage_of(job.account_id) == 100


def test_a_running_job_ends_at_its_deadline(provider):
    job = submit(SLEEPING, provider, sent=Sent(deadline=timedelta(seconds=3)))
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.reason, job.detail) == (Status.FAILED, Reason.DEADLINE, claiming.DEADLINE_WHILE_RUNNING)
    assert log_of(job) == "on\n"


def test_the_watch_ends_a_job_at_its_deadline_whose_supervisor_is_gone(provider):
    job = submit(SLEEPING, provider)
    _leave(job)
    Job.objects.filter(pk=job.pk).update(deadline_at=timezone.now())
    execution.kill_overdue()
    assert execution.find(Job.objects.get(pk=job.pk)).ended()
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.FAILED, Reason.DEADLINE)


def test_an_attempt_that_is_cut_off_keeps_its_log_and_leaves_no_file(provider):
    code = (
        "import pathlib, time\n"
        "def run(data, params):\n"
        "    print('begun', flush=True)\n"
        "    pathlib.Path('/var/runtime/output/half').touch()\n"
        "    time.sleep(600 if data else 0)\n"
    )
    job = submit(code, provider, data="[1]", retryable=True)
    supervisor = supervise()
    wait_for(lambda: _has_printed(job), what="the first line")
    execution.find(Job.objects.get(pk=job.pk)).kill(Reason.LOST)
    supervisor.join(timeout=30)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.QUEUED, 1)
    assert not job.files.exists()
    attempt = job.attempts.get()
    assert attempt.detail == claiming.LOST_ATTEMPT  # without the advice to start it again, which has been followed
    assert b"".join(logstream.text(*attempt.log_name())) == b"begun\n"
    JobInput.objects.filter(job=job).update(data="[]")
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert log_of(job) == "begun\n"
    logs.archive(job.pk, 1)
    attempt.refresh_from_db()
    assert attempt.log_archived
    assert not list(slots.occupied("job"))


@pytest.mark.parametrize(
    "code", ["def run(data, params):\n    1 / 0\n", "import os\ndef run(data, params):\n    os._exit(9)\n"]
)
def test_what_the_code_did_itself_is_not_tried_again(provider, code):
    job = run(code, provider, retryable=True)
    assert (job.status, job.reason, job.attempts.count()) == (Status.FAILED, Reason.ERROR, 0)


def test_the_log_of_an_attempt_that_another_followed_is_kept_whole(provider):
    lines = ("print('one', flush=True)", "time.sleep(1)", "print('two', flush=True)", "time.sleep(600)")
    code = "import time\ndef run(data, params):\n" + "".join(f"    {line}\n" for line in lines)
    job = submit(code, provider, retryable=True)
    _leave(job, when=lambda: execution.find(Job.objects.get(pk=job.pk)).read("out", 4))
    job.refresh_from_db()
    assert log_of(job) == "one\n"
    assert claiming.retry(job, detail="gone")
    assert claiming.claim_next("there").attempt == 2
    assert execution.look()
    assert b"".join(logstream.text("job", job.pk, 1)) == b"one\ntwo\n"
    assert not list(slots.occupied("job"))
    assert Job.objects.get(pk=job.pk).host == "there", "the attempt that runs elsewhere goes on"


def test_a_log_of_an_attempt_whose_host_is_gone_is_closed(provider):
    job = JobFactory(account=provider.personal_account, attempt=2)
    logstream.LogWriter("job", job.pk, 1).write("out", b"begun\n")
    long_ago = timezone.now() - timedelta(minutes=5)
    JobAttempt.objects.create(job=job, number=1, host="elsewhere", ended_at=long_ago, reason=Reason.LOST)
    logs.close_left_open(is_here=execution.is_here)
    assert [entry.event for entry in logstream.read("job", job.pk, 1)][-1] == "end"


def test_a_host_without_room_starts_nothing(provider, settings):
    job = submit("def run(data, params):\n    return 1\n", provider)
    settings.DISK_FREE_MIN_MIB = 10**9
    assert not execution.look()
    assert Job.objects.get(pk=job.pk).status == Status.QUEUED
    settings.DISK_FREE_MIN_MIB = 0
    assert execution.look()
    assert Job.objects.get(pk=job.pk).status == Status.SUCCEEDED


def test_an_answer_runs_what_it_may_and_rings_others_only_after_it_has_done_something(provider, monkeypatch):
    rings = []
    monkeypatch.setattr(execution.doorbell, "ring", lambda task, *args, **_: rings.append(task))
    running = JobFactory()
    waiting = JobFactory(account=running.account)
    quotas.set_limits(account=running.account, running_jobs=1)
    assert claiming.claim_next("elsewhere") == running
    execution.answer()
    assert rings == [], "else it would ring, look and ring for ever"
    jobs = [submit("def run(data, params):\n    return 1\n", provider) for _ in range(2)]
    rings.clear()
    execution.answer()
    assert {Job.objects.get(pk=job.pk).status for job in jobs} == {Status.SUCCEEDED}
    assert rings.count("jobs.look") == 1, "another host may do what is not for this one"
    assert Job.objects.get(pk=waiting.pk).status == Status.QUEUED


def test_a_trivial_job_asks_little_of_the_database(provider, monkeypatch):
    monkeypatch.setattr(claiming, "FRESH_SECONDS", 60)  # however slow this machine is
    run("def run(data, params):\n    return 1\n", provider)
    job = submit("def run(data, params):\n    return 2\n", provider)
    statements = []

    def note(execute, sql, *rest):
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        assert execution.look()
    assert Job.objects.get(pk=job.pk).status == Status.SUCCEEDED
    changes = [sql for sql in statements if sql.startswith(("UPDATE", "INSERT"))]
    # Claim, start, end, usage, file, storage, archive; each statement costs half a millisecond of one interpreter.
    assert len(changes) <= 7, "\n".join(changes)
    assert len(statements) <= 16, "\n".join(statements)


def test_a_worker_that_is_to_stop_claims_nothing_and_lets_its_jobs_end(provider):
    job = submit("import time\ndef run(data, params):\n    print('on', flush=True)\n    time.sleep(1)\n", provider)
    waiting = JobFactory(account=provider.personal_account)
    supervisor = supervise()
    wait_for(lambda: _has_printed(job), what="the first line")
    execution.draining.set()
    try:
        assert not execution.look()
        supervisor.join(timeout=30)
    finally:
        execution.draining.clear()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    assert Job.objects.get(pk=waiting.pk).status == Status.QUEUED


def _leave(job, *, when=lambda: True):
    """Have a supervisor start ``job`` and go away, leaving the sandbox."""
    supervisor = supervise()
    wait_for(lambda: _has_printed(job), what="the first line")
    execution.stopping.set()
    supervisor.join(timeout=30)
    execution.stopping.clear()
    wait_for(when, what="the end of the sandbox")
