from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import logs
from jobs.models import Job, Status
from portal.lib import logstream
from tests.factories import JobFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(settings):
    ended_at = timezone.now() - timedelta(minutes=1)
    return JobFactory(status=Status.SUCCEEDED, host=settings.WORKER_HOST, ended_at=ended_at)


def events_of(job):
    return [entry.event for entry in logstream.read(*job.log_name()) if entry.event]


def test_an_ended_log_tells_the_status_and_its_end_once(job):
    logs.close(job)
    logs.close(job)
    assert events_of(job) == ["status", "end"]


def test_archiving_is_noted_on_the_row_and_changes_nothing_for_readers(job):
    logstream.LogWriter(*job.log_name()).write("out", b"hello\n")
    logs.close(job)
    before = list(logstream.read(*job.log_name()))
    logs.archive(job.pk, job.attempt)
    assert Job.objects.get(pk=job.pk).log_archived
    assert list(logstream.read(*job.log_name())) == before


def test_a_live_job_keeps_its_log_open(job):
    live = JobFactory(status=Status.RUNNING)
    logs.archive(live.pk, live.attempt)
    assert not Job.objects.get(pk=live.pk).log_archived


def test_a_log_that_nobody_closed_is_closed(job):
    logs.close_left_open(is_here=lambda _job: False)
    assert events_of(job) == ["status", "end"]


def test_a_log_whose_supervisor_is_still_writing_is_left_alone(job):
    logs.close_left_open(is_here=lambda _job: True)
    assert events_of(job) == []
