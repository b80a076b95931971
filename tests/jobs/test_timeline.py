import pytest

from jobs import timeline
from jobs.models import Status
from tests.factories import JobFactory

pytestmark = pytest.mark.django_db


def begun(job):
    return [step["label"] for step in timeline.steps(job) if step["at"]]


@pytest.mark.parametrize(
    ("status", "labels"),
    [
        (Status.QUEUED, ["Waiting"]),
        (Status.STARTING, ["Waiting", "Starting"]),
        (Status.RUNNING, ["Waiting", "Starting", "Running"]),
        (Status.SUCCEEDED, ["Waiting", "Starting", "Running", "Succeeded"]),
        (Status.FAILED, ["Waiting", "Starting", "Running", "Failed"]),
    ],
)
def test_each_status_has_begun_the_steps_up_to_it(status, labels):
    assert begun(JobFactory(status=status)) == labels


def test_a_step_ends_where_the_next_begins():
    job = JobFactory(status=Status.SUCCEEDED)
    waiting, starting, running, end = timeline.steps(job)
    assert waiting["ended_at"] == starting["at"] == job.claimed_at
    assert starting["ended_at"] == running["at"] == job.started_at
    assert running["ended_at"] == end["at"] == job.ended_at


def test_a_job_that_was_cancelled_in_the_queue_never_started():
    job = JobFactory(status=Status.CANCELLED, attempt=0)
    job.claimed_at = job.started_at = None
    assert begun(job) == ["Waiting", "Cancelled"]
