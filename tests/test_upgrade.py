"""What an instance of the release before holds, and what of it there is after `migrate`. Each release of the tables
has one case: rows made by the models of then, looked at by those of now.
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse
from django.utils import timezone

from jobs import claiming
from jobs.models import FINAL, Job, JobFile, Status
from portal.accounts.actors import Actor
from portal.accounts.models import Account, User
from services import catalogue, publication, searching
from services.models import Service, ServiceVersion
from tests.factories import OPENAPI, UserFactory

FOUNDATION = [("accounts", "0001_initial"), ("services", "0001_initial"), ("jobs", "0001_initial")]


@pytest.fixture
def foundation(no_worker):
    """The models of issue 2, and their tables in the database. In the end it has the tables of now."""
    executor = MigrationExecutor(connection)
    try:
        executor.migrate(FOUNDATION)
        yield MigrationExecutor(connection).loader.project_state(FOUNDATION).apps
    finally:
        migrate()


def migrate() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def fill(apps) -> None:
    """A person with a service: one version that is built, one that is not, and a job in each state."""
    person = apps.get_model("accounts", "User").objects.create(email="old@example.com", password="!", name="Old")
    account = apps.get_model("accounts", "Account").objects.create(
        kind="personal", slug="old", name="Old", person=person
    )
    apps.get_model("accounts", "Membership").objects.create(account=account, user=person, role="owner")
    service = apps.get_model("services", "Service").objects.create(
        account=account, slug="cuts", name="Max-cut", description="Anneals graphs.", created_by=person
    )
    columns = {
        "service": service,
        "source_sha256": "0" * 64,
        "source_size": 1,
        "cpu_millis": 1000,
        "memory_mib": 512,
        "time_limit_seconds": 60,
        "openapi": OPENAPI,
        "openapi_origin": "default",
        "created_by": person,
    }
    versions = apps.get_model("services", "ServiceVersion").objects
    built = versions.create(number="1.0.0", environment="0" * 64, **columns)
    versions.create(number="1.0.1", **columns)
    now = timezone.now()
    for status in Status.values:
        is_claimed = status != Status.QUEUED
        job = apps.get_model("jobs", "Job").objects.create(
            account=account,
            version=built,
            created_by=person,
            status=status,
            reason={"FAILED": "error", "CANCELLED": "cancelled"}.get(status, ""),
            attempt=int(is_claimed),
            host="elsewhere" if is_claimed else "",
            lease_expires_at=now - timedelta(minutes=1) if status in ("STARTING", "RUNNING") else None,
            ended_at=now if status in FINAL else None,
        )
        apps.get_model("jobs", "JobInput").objects.create(job=job, data='{"n": 1}', params="{}")
        if status == Status.SUCCEEDED:
            apps.get_model("jobs", "JobFile").objects.create(
                job=job, name="output.json", size=2, content_type="application/json", key="x"
            )


def test_what_the_foundation_left_is_there_and_goes_on(foundation, client):
    fill(foundation)
    migrate()
    account = Account.objects.get(slug="old")
    owner = Actor(user=User.objects.get(email="old@example.com"))
    service = Service.objects.get()
    built, draft = ServiceVersion.objects.order_by("number")

    assert (built.state, draft.state) == ("built", "draft")
    assert catalogue.runnable_version(service, account) == built
    assert not catalogue.offered_to(None).exists()
    assert not catalogue.runnable_by(UserFactory().personal_account).exists()

    jobs = list(Job.objects.select_related("input"))
    assert {job.status for job in jobs} == set(Status.values)
    assert {(tuple(job.tags), job.subscription_id) for job in jobs} == {((), None)}
    assert {(job.input.data, str(job.input.more), job.input.secrets) for job in jobs} == {('{"n": 1}', "{}", "")}
    assert JobFile.objects.get().name == "output.json"
    client.force_login(owner.user)
    for job in jobs:
        assert client.get(reverse("jobs:detail", args=[job.pk])).status_code == 200
    assert client.get(reverse("jobs:create") + f"?service={service.pk}").status_code == 200

    claiming.reap(is_here=lambda _: False)  # what ran when the instance was stopped is settled or begins again
    assert not Job.objects.filter(status__in=(Status.STARTING, Status.RUNNING)).exists()
    job = claiming.claim_next("here")
    assert claiming.mark_running(job)
    assert claiming.settle(job, status=Status.SUCCEEDED)

    publication.publish(version=built, scope=publication.Publication.MARKETPLACE, by=owner)
    assert list(searching.listed(None, text="graphs")) == [service]
