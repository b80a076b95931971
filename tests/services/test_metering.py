"""One event an ended execution, written with its end; what a provider reads from them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import claiming, submission
from jobs.models import Job, Status
from portal.accounts.actors import Actor
from portal.lib.ids import new_id
from services import metering
from services.models import UsageEvent
from tests.factories import JobFactory, ServiceVersionFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(provider_account):
    return ServiceVersionFactory(service__account=provider_account)


@pytest.fixture
def event(version, consumer_account):
    def event(**values) -> None:
        given = {
            "job_id": new_id(),
            "service_id": version.service_id,
            "version_id": version.pk,
            "account_id": consumer_account.pk,
            "subscription_id": None,
            "outcome": "SUCCEEDED",
            "reason": "",
            "wall_seconds": 1.0,
            "cpu_seconds": 0.5,
            "ended_at": timezone.now(),
        }
        metering.record(**(given | values))

    return event


def test_the_end_of_a_job_is_counted_once(version, consumer_account):
    subscription = SubscriptionFactory(version=version, application__account=consumer_account)
    job = JobFactory(version=version, account=consumer_account, subscription=subscription, status="RUNNING")
    end = {"status": Status.FAILED, "reason": "timeout", "wall_seconds": 2.5, "cpu_seconds": 0.5}
    assert claiming.settle(job, **end)
    assert not claiming.settle(job, **end)
    claiming.meter(job)
    event = UsageEvent.objects.get()
    assert (event.job_id, event.service, event.version) == (job.pk, version.service, version)
    assert (event.account, event.subscription) == (consumer_account, subscription)
    assert (event.outcome, event.reason, event.wall_seconds, event.cpu_seconds) == ("FAILED", "timeout", 2.5, 0.5)
    assert event.ended_at == Job.objects.get().ended_at


def test_a_job_that_is_cancelled_while_it_waits_is_counted(version, consumer, consumer_account):
    job = JobFactory(version=version, account=consumer_account)
    for _ in range(2):
        submission.cancel(job=job, by=Actor(user=consumer))
    event = UsageEvent.objects.get()
    assert (event.outcome, event.reason, event.wall_seconds) == ("CANCELLED", "cancelled", None)


def test_a_job_that_still_runs_is_counted_only_at_its_end(version, consumer):
    job = JobFactory(version=version, status="RUNNING")
    submission.cancel(job=job, by=Actor(user=consumer))
    assert not UsageEvent.objects.exists()


def test_a_lost_job_is_counted(version):
    JobFactory(version=version, status="RUNNING", lease_expires_at=timezone.now() - timedelta(minutes=5))
    claiming.reap(is_here=lambda job: False)
    assert UsageEvent.objects.get().reason == "lost"


def test_usage_counts_days_outcomes_reasons_and_consumers(version, event, provider_account):
    now = timezone.now()
    for seconds in (1.0, 2.0, 3.0, 40.0):
        event(wall_seconds=seconds)
    event(outcome="FAILED", reason="timeout", account_id=provider_account.pk, ended_at=now - timedelta(days=2))
    event(outcome="CANCELLED", reason="cancelled", wall_seconds=None)
    event(ended_at=now - timedelta(days=40))
    usage = metering.usage(version.service, 30)
    assert (usage.total, usage.consumers, usage.measured) == (6, 2, 4)
    assert usage.outcomes == {"SUCCEEDED": 4, "FAILED": 1, "CANCELLED": 1}
    assert usage.reasons == {"timeout": 1, "cancelled": 1}
    assert (usage.median_seconds, usage.p95_seconds) == (2.0, 40.0)
    assert len(usage.days) == 30
    assert [day.total for day in usage.days[-3:]] == [1, 0, 5]
    assert usage.days[-1].on == now.date()


def test_without_an_execution_there_is_nothing_to_count(version):
    usage = metering.usage(version.service, 7)
    assert (usage.total, usage.consumers, usage.median_seconds, len(usage.days)) == (0, 0, None, 7)


def test_another_service_is_not_counted(version, event):
    event(service_id=ServiceVersionFactory().service_id)
    assert metering.usage(version.service).total == 0


def test_an_event_twice_counts_once(event, version):
    job_id = new_id()
    for _ in range(2):
        event(job_id=job_id)
    assert metering.usage(version.service).total == 1
