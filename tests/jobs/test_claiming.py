from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import claiming, signals
from jobs.models import Job, Reason, Status
from tests.factories import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


def overdue():
    return timezone.now() - timedelta(seconds=60)


def nowhere(_job):
    return False


def test_the_job_that_waits_longest_is_claimed_first():
    first, second = JobFactory(), JobFactory()
    assert claiming.claim_next("here") == first
    assert claiming.claim_next("here") == second
    assert claiming.claim_next("here") is None


def test_a_claim_begins_an_attempt_with_a_lease():
    JobFactory()
    job = claiming.claim_next("here")
    assert (job.status, job.attempt, job.host) == (Status.STARTING, 1, "here")
    assert job.lease_expires_at > timezone.now()


def test_a_job_that_is_to_be_cancelled_is_not_claimed():
    JobFactory(cancel_requested_at=timezone.now())
    assert claiming.claim_next("here") is None


def test_only_the_current_attempt_writes():
    JobFactory()
    old = claiming.claim_next("here")
    assert claiming.requeue(old)
    new = claiming.claim_next("there")
    assert new.attempt == 2
    assert not claiming.mark_running(old)
    assert not claiming.renew(old)
    assert not claiming.settle(old, status=Status.SUCCEEDED)
    assert claiming.mark_running(new)
    assert Job.objects.get(pk=new.pk).status == Status.RUNNING


def test_a_job_is_settled_once_and_announced_once(django_capture_on_commit_callbacks):
    JobFactory()
    job = claiming.claim_next("here")
    claiming.mark_running(job)
    twin = Job.objects.get(pk=job.pk)
    heard = []
    signals.job_finished.connect(listener := lambda job, **_: heard.append(job.pk))
    with django_capture_on_commit_callbacks(execute=True):
        assert claiming.settle(job, status=Status.SUCCEEDED)
        assert not claiming.settle(twin, status=Status.FAILED)
    signals.job_finished.disconnect(listener)
    assert heard == [job.pk]
    assert Job.objects.get(pk=job.pk).status == Status.SUCCEEDED


def test_a_listener_that_fails_does_not_stop_the_others(django_capture_on_commit_callbacks, caplog):
    JobFactory()
    job = claiming.claim_next("here")

    def broken(**_):
        raise RuntimeError("broken listener")

    signals.job_finished.connect(broken)
    with django_capture_on_commit_callbacks(execute=True):
        claiming.settle(job, status=Status.CANCELLED)
    signals.job_finished.disconnect(broken)
    assert "broken listener" in caplog.text


def test_running_is_refused_to_a_job_that_is_to_be_cancelled():
    JobFactory()
    job = claiming.claim_next("here")
    Job.objects.update(cancel_requested_at=timezone.now())
    assert not claiming.mark_running(job)
    assert claiming.renew(job)
    assert job.cancel_requested_at is not None


def test_a_claimed_job_that_never_started_waits_again(settings):
    job = JobFactory(status=Status.STARTING, attempt=1, host=settings.WORKER_HOST, lease_expires_at=overdue())
    claiming.reap(is_here=nowhere)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.QUEUED, 1)
    assert claiming.claim_next("here").attempt == 2


def test_a_claimed_job_that_was_to_be_cancelled_and_never_started_is_cancelled(settings):
    job = JobFactory(
        status=Status.STARTING,
        attempt=1,
        host=settings.WORKER_HOST,
        lease_expires_at=overdue(),
        cancel_requested_at=timezone.now(),
    )
    assert not claiming.requeue(job), "it would wait for ever: nobody claims a job that is to be cancelled"
    claiming.reap(is_here=nowhere)
    job.refresh_from_db()
    assert (job.status, job.reason, job.detail) == (Status.CANCELLED, Reason.CANCELLED, claiming.NEVER_STARTED)


@pytest.mark.parametrize(
    ("status", "host", "is_here"),
    [(Status.RUNNING, "here", False), (Status.STARTING, "elsewhere", False), (Status.STARTING, "here", True)],
)
def test_a_job_that_may_have_been_started_is_lost(settings, status, host, is_here):
    settings.WORKER_HOST = "here"
    job = JobFactory(status=status, attempt=1, host=host, lease_expires_at=overdue())
    claiming.reap(is_here=lambda _job: is_here)
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.FAILED, Reason.LOST)
    assert "Run the job again" in job.detail


def test_a_job_whose_lease_holds_is_left_alone():
    job = JobFactory(
        status=Status.RUNNING, attempt=1, host="here", lease_expires_at=timezone.now() + timedelta(seconds=5)
    )
    claiming.reap(is_here=nowhere)
    job.refresh_from_db()
    assert job.status == Status.RUNNING
