from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from jobs import claiming, results, retention
from jobs.models import IdempotencyKey, Job, JobAttempt, JobFile, JobInput, JobTag, Status
from portal.accounts import quotas
from portal.accounts.models import StorageUse
from portal.lib import logstream
from services.models import UsageEvent
from tests.factories import JobFactory, SubscriptionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


def ended_job(*, days=0, attempt=2, **columns):
    """A job that ended so many days ago, with all that a job may leave."""
    subscription = SubscriptionFactory()
    account = columns.setdefault("account", subscription.application.account)
    columns |= {"version": subscription.version, "subscription": subscription, "attempt": attempt}
    job = JobFactory(status=Status.RUNNING, log_archived=True, **columns)
    JobAttempt.objects.create(job=job, number=1, ended_at=timezone.now(), reason="lost", log_archived=True)
    JobTag.objects.create(job=job, subscription=subscription, name="night")
    IdempotencyKey.objects.create(subscription=subscription, key="k", body_digest="", job=job)
    claiming.settle(job, status=Status.SUCCEEDED)
    key = default_storage.save(f"{results.prefix(job.pk)}/{attempt}/0", ContentFile(b"12345"))
    JobFile.objects.create(job=job, name="output.json", size=5, content_type="application/json", key=key)
    quotas.charge(account.pk, 5)
    for number in range(1, attempt + 1):
        logstream.LogWriter("job", job.pk, number).write("out", b"hello\n")
    logstream.archive("job", job.pk, 1)
    Job.objects.filter(pk=job.pk).update(ended_at=timezone.now() - timedelta(days=days))
    job.refresh_from_db()
    return job


def is_gone(job):
    rows = (Job.objects.filter(pk=job.pk), *(model.objects.filter(job=job.pk) for model in MODELS))
    logs = any(logstream.exists("job", job.pk, number) for number in range(1, job.attempt + 1))
    return not any(row.exists() for row in rows) and not logs and not default_storage.exists(results.prefix(job.pk))


MODELS = (JobInput, JobFile, JobTag, JobAttempt, IdempotencyKey)


def test_a_deleted_job_leaves_nothing_but_what_was_counted():
    job = ended_job()
    assert quotas.storage_of(job.account_id) == 5
    retention.delete(job=job)
    assert is_gone(job)
    assert quotas.storage_of(job.account_id) == 0
    assert UsageEvent.objects.get().job_id == job.pk


def test_jobs_are_removed_when_they_were_kept_long_enough(settings):
    settings.RETENTION_DAYS = 30
    old, young = ended_job(days=31), ended_job(days=29)
    assert retention.remove_expired() is False
    assert is_gone(old)
    assert not is_gone(young)
    assert retention.kept_until(young) == young.ended_at + timedelta(days=30)


def test_an_account_may_keep_its_jobs_for_another_time(settings):
    settings.RETENTION_DAYS = 30
    longer, shorter, ever = ended_job(days=50), ended_job(days=20), ended_job(days=900)
    for job, days in ((longer, 60), (shorter, 10), (ever, 0)):
        quotas.set_limits(account=job.account, retention_days=days)
    retention.remove_expired()
    assert [is_gone(job) for job in (longer, shorter, ever)] == [False, True, False]
    assert retention.kept_until(ever) is None


def test_without_a_general_time_only_those_go_that_have_one(settings):
    settings.RETENTION_DAYS = 0
    job, limited = ended_job(days=900), ended_job(days=20)
    quotas.set_limits(account=limited.account, retention_days=10)
    retention.remove_expired()
    assert [is_gone(each) for each in (job, limited)] == [False, True]


def test_what_is_too_much_for_one_go_is_told(settings, monkeypatch):
    monkeypatch.setattr(retention, "AT_MOST", 3)
    monkeypatch.setattr(retention, "AT_A_TIME", 2)
    for _ in range(4):
        JobFactory(status=Status.SUCCEEDED, ended_at=timezone.now() - timedelta(days=99))
    assert retention.remove_expired() is True
    assert retention.remove_expired() is False
    assert not Job.objects.exists()


def test_jobs_that_go_on_and_logs_that_are_open_are_not_deleted():
    for columns, why in (({"status": Status.RUNNING}, "has not ended"), ({"status": Status.FAILED}, "just ended")):
        job = JobFactory(**columns)
        with pytest.raises(retention.NotDeletable, match=why):
            retention.delete(job=job)
        assert Job.objects.filter(pk=job.pk).exists()


def test_while_the_broker_is_away_nothing_is_removed(settings):
    job = ended_job(days=99)
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    with pytest.raises(retention.NotDeletable, match="broker does not answer"):
        retention.delete(job=job)
    assert retention.remove_expired() is False
    assert Job.objects.filter(pk=job.pk).exists()


def test_a_count_that_went_astray_is_mended():
    job, other = ended_job(), ended_job()
    StorageUse.objects.filter(account=job.account).update(bytes=700)
    StorageUse.objects.filter(account=other.account).delete()
    retention.recount_storage()
    assert [quotas.storage_of(each.account_id) for each in (job, other)] == [5, 5]
