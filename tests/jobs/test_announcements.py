"""What running code says, from its standard output to the rows, the log and the result."""

import json

import pytest

from jobs import announcements, execution, inputs, results, secrets, submission
from jobs.models import Job, Reason, Status
from portal.accounts.actors import Actor
from portal.lib import crypto, logstream
from tests.jobs.test_execution import log_of, run, submit, supervise
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_worker")]

PRINTS = "def run(data, params):\n    print(data['text'], end='')\n"


def printed(text, user, code=PRINTS, **kwargs):
    """A job whose code prints ``text`` and returns nothing."""
    return run(code, user, data=json.dumps({"text": text}), **kwargs)


def events_of(job, name):
    return [entry.values() for entry in logstream.read(*job.log_name()) if entry.event == name]


def system_lines(job):
    entries = logstream.read(*job.log_name())
    return b"".join(entry.data for entry in entries if entry.channel == "system" and not entry.event).decode()


@pytest.mark.parametrize(
    "text",
    [
        'PlanQK:Job:Result: {"sum": 42}\n',
        'working\r\nPlanQK:Job:Result:{"sum": 42}',
        'PlanQK:Job:MultilineResult\n{\n"sum": 42\n}\nPlanQK:Job:MultilineResult\n',
        'Job:ResulsResponse:\n{\n  "result": {"sum": 42},\n  "metadata": {}\n}\n',
        'PlanQK:Job:Result: {"sum": 42}\nPlanQK:Job:Result: {"sum": 43}\n',
    ],
)
def test_a_printed_result_becomes_output_json(provider, text):
    job = printed(text, provider)
    assert (job.status, job.reason) == (Status.SUCCEEDED, "")
    assert json.loads(results.result_text(job)[0]) == {"sum": 42}
    assert log_of(job) == text


def test_a_written_output_json_wins_over_a_printed_result(provider):
    job = printed("PlanQK:Job:Result: [oops\n", provider, code=PRINTS + "    return {'written': 1}\n")
    assert job.status == Status.SUCCEEDED
    assert json.loads(results.result_text(job)[0]) == {"written": 1}


@pytest.mark.parametrize(("text", "why"), [("[1]", "a list"), ("{oops", "no JSON"), ("", "empty")])
def test_a_printed_result_that_is_no_object_is_a_failure_in_words(provider, text, why):
    job = printed(f"PlanQK:Job:Result: {text}\n", provider)
    assert (job.status, job.reason) == (Status.FAILED, Reason.INVALID_RESULT)
    assert why in job.detail


def test_a_printed_error_response_fails_the_job_with_its_code_and_detail(provider):
    job = printed('Job:ErrorResponse: {"code": "BAD_BACKEND", "detail": "no such backend"}\n', provider)
    assert (job.status, job.reason) == (Status.FAILED, Reason.ERROR)
    assert job.detail == "The code answered with the error BAD_BACKEND: no such backend"
    assert (job.error["type"], job.error["message"]) == ("BAD_BACKEND", "no such backend")


def test_progress_and_interim_results_are_kept_and_told(provider):
    job = run(
        "import mercato\n"
        "def run(data, params):\n"
        "    for step in range(30):\n"
        "        mercato.interim({'step': step})\n"
        "        mercato.progress(step / 40, f'step {step}')\n"
        "    print('PlanQK:Job:InterimResult: {oops')\n"
        "    return {}\n",
        provider,
    )
    assert job.status == Status.SUCCEEDED
    assert (job.progress, job.progress_message) == (0.725, "step 29")
    assert job.progress_at is not None
    kept = list(job.interims.order_by("number").values_list("attempt", "number", "content"))
    assert [number for _, number, _ in kept] == list(range(11, 31))
    assert kept[-1] == (1, 30, '{"step": 29}')
    assert events_of(job, "progress")[-1]["fraction"] == 0.725
    assert events_of(job, "interim")[-1] == {"number": 30}
    assert len(events_of(job, "progress")) <= 3
    assert "An interim result was left out: it is no JSON" in system_lines(job)


def test_progress_is_told_while_the_code_runs_and_a_successor_keeps_the_numbers(provider, monkeypatch):
    monkeypatch.setattr(announcements, "PUBLISH_SECONDS", 0.0)
    job = submit(
        "import os, sys, time\n"
        "def run(data, params):\n"
        "    for step in (1, 2):\n"
        '        print(\'{"progress": 0.%d, "message": "half"}\' % (step * 2))\n'
        "        print('PlanQK:Job:InterimResult: [%d]' % step)\n"
        "    print('waiting', flush=True)\n"
        "    time.sleep(600)\n",
        provider,
    )
    supervisor = supervise()
    wait_for(lambda: Job.objects.filter(pk=job.pk, progress=0.4).exists(), what="the progress")
    execution.stopping.set()
    supervisor.join(timeout=20)
    execution.stopping.clear()
    at = Job.objects.get(pk=job.pk).progress_at
    supervisor = supervise()
    wait_for(lambda: execution.find(Job.objects.get(pk=job.pk)), what="the sandbox")
    submission.cancel(job=job, by=Actor(user=provider))
    execution.kill(Job.objects.get(pk=job.pk), Reason.CANCELLED)
    supervisor.join(timeout=20)
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.progress, job.progress_at) == (Status.CANCELLED, 0.4, at)
    assert list(job.interims.values_list("number", "content").order_by("number")) == [(1, "[1]"), (2, "[2]")]
    assert log_of(job).count("waiting") == 1


SECRETS = (
    "import os, sys, time\n"
    "def run(data, params):\n"
    "    token, key = os.environ['SECRET_TOKEN'], 'provider-' + 'key'\n"
    "    print('token', token[:5], end='', flush=True)\n"
    "    time.sleep(0.2)\n"
    "    print(token[5:], 'and', key, flush=True)\n"
    "    print('PlanQK:Job:InterimResult:', '{\"token\": \"%s\"}' % token)\n"
    '    print(\'{"progress": 0.5, "message": "with %s"}\' % token)\n'
    "    raise ValueError(f'{token} is wrong')\n"
)


def test_the_values_of_secrets_are_seen_nowhere_but_in_results(provider):
    job = submit(SECRETS, provider, sent=inputs.Sent(data="{}", params="{}", secrets={"token": "s3cr3t-of-mine"}))
    job.version.variables.create(name="API_KEY", value=crypto.encrypt("provider-key"), is_secret=True)
    assert execution.look()
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.reason) == (Status.FAILED, Reason.ERROR)
    log = log_of(job)
    assert "token ************** and ************\n" in log
    assert job.error["message"] == "************** is wrong"
    assert job.progress_message == "with **************"
    for text in (log, job.detail, json.dumps(job.error)):
        assert "s3cr3t" not in text
        assert "provider-key" not in text
    assert job.interims.get().content == '{"token": "s3cr3t-of-mine"}'


def test_what_is_left_of_the_output_when_the_secrets_are_gone_shows_nothing(provider):
    job = submit(
        "import os\ndef run(data, params):\n    print('token', os.environ['SECRET_TOKEN'])\n",
        provider,
        sent=inputs.Sent(data="{}", params="{}", secrets={"token": "s3cr3t-of-mine"}),
    )
    secrets.wipe(job)
    assert secrets.masks(Job.objects.get(pk=job.pk)).text("token s3cr3t\n") == "************\n"
