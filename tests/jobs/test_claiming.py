import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from jobs import claiming, queue, signals
from jobs.models import Job, JobInterim, Reason, Status
from portal.accounts import quotas
from services.models import ServiceVersion, UsageEvent
from services.runtimes.environments import locks
from tests.factories import BuildFactory, JobFactory, ServiceVersionFactory

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


# Fairness and limits


def claimed_accounts(count):
    return [claiming.claim_next("here").account_id for _ in range(count)]


def test_a_tenant_with_many_jobs_does_not_delay_anothers_first():
    version = ServiceVersionFactory()
    JobFactory.create_batch(5, version=version)
    late = JobFactory()
    claiming.claim_next("here")
    assert claiming.claim_next("here") == late, "its account runs none yet"


def test_of_accounts_that_run_as_many_the_job_that_waits_longest_is_next():
    first, second = ServiceVersionFactory(), ServiceVersionFactory()
    for version in (first, first, second, second, first):
        JobFactory(version=version)
    one, two = first.service.account_id, second.service.account_id
    assert claimed_accounts(5) == [one, two, one, two, one]


def test_an_account_runs_as_many_jobs_as_it_may(settings):
    settings.JOBS_RUNNING_MAX = 2
    version, other = ServiceVersionFactory(), ServiceVersionFactory()
    quotas.set_limits(account=other.service.account, running_jobs=1)
    JobFactory.create_batch(3, version=version)
    waiting = JobFactory.create_batch(2, version=other)[-1]
    mine, theirs = version.service.account_id, other.service.account_id
    assert claimed_accounts(3) == [mine, theirs, mine]
    assert claiming.claim_next("here") is None
    assert "This account runs 1 at once" in claiming.obstacle(waiting)
    running = Job.objects.filter(account_id=theirs, status=Status.STARTING).get()
    assert claiming.obstacle(running) != ""
    claiming.settle(running, status=Status.SUCCEEDED)
    assert claiming.obstacle(waiting) == ""
    assert claiming.claim_next("here") == waiting


OLD_PYTHON = "# cpython-27 linux-x86_64 format-1\n"


def test_a_job_for_a_python_that_this_host_lacks_is_left_to_the_others(settings):
    version = ServiceVersionFactory(environment=locks.save(OLD_PYTHON, wish="old"))
    needy, other = JobFactory(version=version), JobFactory()
    BuildFactory(status="SUCCEEDED", host="there", started_at=timezone.now())
    assert claiming.claim_next(settings.WORKER_HOST) == other
    assert claiming.claim_next(settings.WORKER_HOST) is None
    needy.refresh_from_db()
    assert (needy.status, needy.attempt, needy.claimed_at, needy.lease_expires_at) == (Status.QUEUED, 0, None, None)
    assert "a host with Python 2.7" in claiming.obstacle(needy)


def test_a_job_for_a_python_that_no_host_has_does_not_wait_for_it(settings):
    needy = JobFactory(version=ServiceVersionFactory(environment=locks.save(OLD_PYTHON, wish="old")))
    assert claiming.claim_next(settings.WORKER_HOST) == needy


def test_zero_lifts_the_limit_of_one_account(settings):
    settings.JOBS_RUNNING_MAX = 1
    version = ServiceVersionFactory()
    quotas.set_limits(account=version.service.account, running_jobs=0)
    JobFactory.create_batch(3, version=version)
    assert len(claimed_accounts(3)) == 3


def test_a_version_runs_as_often_as_it_may_over_all_accounts(consumer):
    version = ServiceVersionFactory(concurrency=1)
    JobFactory(version=version)
    second = JobFactory(version=version, account=consumer.personal_account)
    free = JobFactory(account=consumer.personal_account)
    first = claiming.claim_next("here")
    assert claiming.claim_next("here") == free
    assert claiming.claim_next("here") is None
    assert "runs 1 at once" in claiming.obstacle(second)
    claiming.settle(first, status=Status.FAILED)
    assert claiming.claim_next("here") == second


# Deadlines


def in_seconds(seconds):
    return timezone.now() + timedelta(seconds=seconds)


def test_a_job_past_its_deadline_is_failed_and_never_started(django_capture_on_commit_callbacks, monkeypatch):
    rings = []
    monkeypatch.setattr(claiming.doorbell, "ring", lambda task, *args: rings.append(task))
    late = JobFactory(deadline_at=in_seconds(-1), input={"secrets": "sealed"})
    in_time = JobFactory(deadline_at=in_seconds(60))
    heard = []
    signals.job_finished.connect(listener := lambda job, **_: heard.append(job.pk))
    assert claiming.claim_next("here") == in_time
    with django_capture_on_commit_callbacks(execute=True):
        claiming.end_overdue()
        claiming.end_overdue()
    signals.job_finished.disconnect(listener)
    late.refresh_from_db()
    assert (late.status, late.reason, late.started_at) == (Status.FAILED, Reason.DEADLINE, None)
    assert "was not started" in late.detail
    assert late.input.secrets == ""
    assert (heard, rings) == ([late.pk], ["jobs.close_log"])
    assert UsageEvent.objects.get(pk=late.pk).reason == Reason.DEADLINE


# Attempts that are cut off


def retryable(**columns):
    version = ServiceVersionFactory(retryable=True)
    return JobFactory(version=version, status=Status.RUNNING, attempt=1, host="there", **columns)


def test_a_job_of_a_retryable_version_waits_again_when_its_host_is_lost():
    job = retryable(lease_expires_at=overdue(), progress=0.5, progress_message="half", progress_at=timezone.now())
    JobInterim.objects.create(job=job, attempt=1, number=1, content="{}")
    claiming.reap(is_here=nowhere)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.started_at, job.progress, job.progress_message) == (
        "QUEUED",
        1,
        None,
        None,
        "",
    )
    attempt = job.attempts.get()
    assert (attempt.number, attempt.host, attempt.reason) == (1, "there", Reason.LOST)
    assert attempt.started_at is not None
    assert not job.interims.exists()
    assert not UsageEvent.objects.exists(), "it has not ended"
    assert claiming.claim_next("here").attempt == 2


def test_a_job_is_started_as_often_as_the_settings_say(settings):
    settings.JOB_ATTEMPTS_MAX = 3
    retryable(lease_expires_at=overdue())
    for attempt in (2, 3):
        claiming.reap(is_here=nowhere)
        job = claiming.claim_next("there")
        assert job.attempt == attempt
        claiming.mark_running(job)
        Job.objects.update(lease_expires_at=overdue())
    claiming.reap(is_here=nowhere)
    job.refresh_from_db()
    assert (job.status, job.reason, job.attempts.count()) == (Status.FAILED, Reason.LOST, 2)


def test_a_start_that_was_given_back_is_no_start(settings):
    settings.JOB_ATTEMPTS_MAX = 2
    retryable(lease_expires_at=overdue())
    claiming.reap(is_here=nowhere)
    claiming.requeue(claiming.claim_next("there"))
    job = claiming.claim_next("there")
    assert (job.attempt, job.attempts.count()) == (3, 1)


def test_a_job_that_is_to_be_cancelled_is_not_started_again():
    job = retryable(cancel_requested_at=timezone.now())
    assert not claiming.retry(job, detail="gone")
    assert not job.attempts.exists()


def test_only_the_current_attempt_is_cut_off():
    job = retryable(lease_expires_at=overdue())
    stale = Job.objects.get(pk=job.pk)
    assert claiming.retry(job, detail="gone")
    claiming.claim_next("here")
    assert not claiming.retry(stale, detail="gone")
    assert not claiming.settle(stale, status=Status.FAILED)


def test_a_job_in_a_slot_of_this_host_is_left_to_who_takes_it_up(settings):
    settings.WORKER_HOST = "here"
    job = JobFactory(status=Status.RUNNING, attempt=1, host="here", lease_expires_at=in_seconds(-10))
    claiming.reap(is_here=lambda _job: True)
    job.refresh_from_db()
    assert job.status == Status.RUNNING, "it may have ended well while nobody could renew its lease"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_worker")
def test_no_limit_is_exceeded_by_claims_at_the_same_moment():
    limited, other = ServiceVersionFactory(), ServiceVersionFactory(concurrency=2)
    quotas.set_limits(account=limited.service.account, running_jobs=3)
    for version in (limited, other):
        JobFactory.create_batch(10, version=version)
    together = threading.Barrier(6)

    def claim():
        together.wait()
        try:
            return [job.version_id for _ in range(4) if (job := claiming.claim_next("here")) is not None]
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(claim) for _ in range(6)]
    claimed = Counter(version for taken in asked for version in taken.result())
    assert claimed == {limited.pk: 3, other.pk: 2}
    assert Job.objects.filter(status=Status.STARTING).count() == 5


def test_neither_a_claim_nor_a_tick_walks_through_history():
    JobFactory(status=Status.SUCCEEDED)
    _, _, full = claiming._in_use()
    elsewhere = ServiceVersion.objects.filter(runtime="docker")
    looks = {
        "queue_of_account": Job.objects.filter(account_id=UUID(int=1), status=Status.QUEUED).order_by("account", "pk"),
        "queue": queue.waiting().exclude(version__in=full).exclude(version__in=elsewhere).order_by("pk")[:1],
        "claimed_jobs": Job.objects.filter(lease_expires_at__isnull=False),
        "deadlines": Job.objects.filter(status=Status.QUEUED, ended_at=None, deadline_at__lte=timezone.now()),
    }
    if connection.vendor == "sqlite":  # PostgreSQL looks at so few rows without any index
        for index, rows in looks.items():
            assert f"INDEX {index}" in rows.values("pk").explain(), index
