"""The cast and the factories themselves: rows that come as they are promised."""

import pytest
from django.urls import reverse

from portal.accounts import rules
from tests import factories


def test_a_teammate_sees_the_account_and_changes_nothing(provider_account, teammate, stranger):
    assert rules.can_view(teammate, provider_account.pk)
    assert not rules.can_maintain(teammate, provider_account.pk)
    assert not rules.can_view(stranger, provider_account.pk)


def test_the_cast_can_sign_in(client, consumer):
    assert client.login(email=consumer.email, password=factories.PASSWORD)
    assert client.get(reverse("landing")).status_code == 200


@pytest.mark.parametrize("status", ["QUEUED", "STARTING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"])
def test_a_job_has_the_times_of_its_status(db, status):
    job = factories.JobFactory(status=status, input={"data": "[1]"})
    assert job.input.data == "[1]"
    assert (job.ended_at is not None) == (not job.is_live)
    assert (job.attempt == 0) == (status == "QUEUED")
    assert job.version.service.account == job.account


def test_builds_and_files_come_with_what_they_belong_to(db):
    assert not factories.BuildFactory().version.is_runnable
    assert factories.JobFileFactory().job.status == "SUCCEEDED"
