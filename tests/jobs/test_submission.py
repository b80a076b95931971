import json

import pytest
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from jobs import submission
from jobs.models import Job, Reason, Status
from portal.accounts.actors import Actor
from tests.factories import JobFactory, ServiceVersionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


@pytest.fixture
def version(provider):
    return ServiceVersionFactory(service__account=provider.personal_account, environment="built")


def submit(version, user, data="{}", params="{}"):
    return submission.submit(
        version=version, data=data, params=params, account=user.personal_account, by=Actor(user=user)
    )


def test_an_accepted_job_waits_with_its_input_as_it_came(version, provider):
    job = submit(version, provider, data='{"values": [1,  2.50]}', params=' {"round_up": true} ')
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.attempt, job.created_by) == (Status.QUEUED, 0, provider)
    assert job.input.data == '{"values": [1,  2.50]}'
    assert json.loads(job.input.params) == {"round_up": True}


def test_empty_input_means_an_empty_object(version, provider):
    job = submit(version, provider, data="", params="  \n")
    assert (job.input.data, job.input.params) == ("{}", "{}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": }', "line 1, column 7"),
        ('{\n  "a": 1,\n}', "line 3, column 1"),
        ("[NaN]", "NaN is not part of JSON"),
        ("-Infinity", "Infinity is not part of JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('"' + "x" * 1_000_001 + '"', "1,000,003 bytes, and 1,000,000 are allowed"),
        ("'single'", "not valid JSON"),
    ],
)
def test_bad_input_is_refused_with_its_place(version, provider, text, says):
    with pytest.raises(ValidationError) as refused:
        submit(version, provider, data=text)
    assert says in refused.value.message_dict["data"][0]
    assert not Job.objects.exists()


def test_both_inputs_are_reported_at_once(version, provider):
    with pytest.raises(ValidationError) as refused:
        submit(version, provider, data="{", params="{")
    assert set(refused.value.message_dict) == {"data", "params"}


def test_a_version_without_a_build_takes_no_jobs(provider):
    version = ServiceVersionFactory(service__account=provider.personal_account, environment="")
    with pytest.raises(ValidationError) as refused:
        submit(version, provider)
    assert "no finished build" in refused.value.message_dict[NON_FIELD_ERRORS][0]


def test_cancelling_a_waiting_job_ends_it_at_once(provider):
    job = JobFactory(account=provider.personal_account)
    submission.cancel(job=job, by=Actor(user=provider))
    assert (job.status, job.reason, job.cancel_requested_by) == (Status.CANCELLED, Reason.CANCELLED, provider)
    assert job.ended_at is not None


def test_cancelling_a_running_job_asks_its_supervisor(provider):
    job = JobFactory(account=provider.personal_account, status=Status.RUNNING, attempt=1, host="here")
    submission.cancel(job=job, by=Actor(user=provider))
    assert job.status == Status.RUNNING
    assert job.cancel_requested_at is not None


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
def test_a_finished_job_never_changes(provider, status):
    job = JobFactory(account=provider.personal_account, status=status)
    before = Job.objects.values().get(pk=job.pk)
    submission.cancel(job=job, by=Actor(user=provider))
    assert Job.objects.values().get(pk=job.pk) == before


def test_a_service_with_live_jobs_objects_to_its_end(version, provider):
    assert submission.objection(version.service) is None
    JobFactory(account=provider.personal_account, version=version, status=Status.RUNNING)
    assert submission.objection(version.service).startswith("1 job of it is still waiting or running.")
    JobFactory(account=provider.personal_account, version=version)
    assert submission.objection(version.service).startswith("2 jobs of it are")
