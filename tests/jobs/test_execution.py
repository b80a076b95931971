"""One job at a time in the real sandbox, supervised by this process; faults with real workers are in test_faults.py."""

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from jobs import claiming, execution, inputs, logs, results, submission
from jobs.inputs import Sent
from jobs.models import Job, JobInput, Reason, Status
from portal.accounts.actors import Actor
from portal.lib import logstream
from services.runtimes import slots
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
    return any(entry.channel == "out" for entry in entries)


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
        raise OperationalError("the database restarts")

    with monkeypatch.context() as broken:
        broken.setattr(claiming, "settle", fail)
        with pytest.raises(OperationalError):
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


def test_what_is_printed_faster_than_the_log_takes_it_does_not_keep_the_lease_from_being_renewed(
    provider, monkeypatch, settings
):
    monkeypatch.setattr(execution, "CARRY_SECONDS", 0)
    settings.LEASE_RENEWAL_SECONDS = 0
    renewals = []
    renew = claiming.renew
    monkeypatch.setattr(claiming, "renew", lambda job, **kwargs: renewals.append(job) or renew(job, **kwargs))
    job = run("def run(data, params):\n    print('x' * 4_000_000)\n", provider)
    assert job.status == Status.SUCCEEDED
    assert len(log_of(job)) == 4_000_001
    assert len(renewals) >= 4_000_000 // execution.CHUNK_BYTES


def test_a_job_that_cannot_be_started_for_an_unforeseen_reason_does_not_wait_again_for_ever(provider):
    job = submit("def run(data, params):\n    return 1\n", provider, runtime="withdrawn")
    assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.reason, job.detail) == (Status.FAILED, Reason.LOST, execution.NOT_STARTED)


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
