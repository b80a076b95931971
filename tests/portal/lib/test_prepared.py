"""Queries whose SQL is made once."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection

from jobs.models import Job
from portal.lib.prepared import Prepared
from tests.factories import JobFactory

FIELDS = ("id", "status", "tags", "created_at", "started_at", "version__number", "version__retryable", "wall_seconds")


def of_status(*, status, before, account):
    jobs = Job.objects.filter(status=status, created_at__lt=before, account=account).exclude(status="gone")
    return jobs.values_list(*FIELDS).order_by("-pk")[:2]


@pytest.mark.django_db
def test_it_finds_what_the_orm_finds():
    job = JobFactory(status="RUNNING", tags=["a", {"b": 1}], wall_seconds=1.5)
    others = [JobFactory(status="RUNNING", account=job.account) for _ in range(2)]
    query = Prepared(of_status, status=str, before=datetime, account=UUID)
    far = datetime(9999, 1, 1, tzinfo=UTC)
    for status in ("RUNNING", "QUEUED", "RUNNING"):
        values = {"status": status, "before": far, "account": job.account_id}
        assert query.rows(**values) == list(of_status(**values))
    assert query.row(**values)[0] == others[1].pk
    assert query.row(**values | {"before": job.created_at}) is None
    assert query.row(**values | {"account": others[0].pk}) is None


@pytest.mark.django_db
def test_it_is_built_once():
    built = []

    def build(*, id):
        built.append(id)
        return Job.objects.filter(pk=id).values_list("tags")

    query = Prepared(build, id=UUID)
    job = JobFactory(tags=["x"])
    assert [query.row(id=job.pk) for _ in range(3)] == [(["x"],)] * 3
    assert len(built) == 1


@pytest.mark.django_db
def test_a_value_that_the_query_leaves_out_is_an_error_of_its_author():
    query = Prepared(lambda id, name: Job.objects.filter(pk=id).values_list("pk"), id=UUID, name=str)
    with pytest.raises(ValueError, match="name"):
        query.rows(id=UUID(int=0), name="x")


@pytest.mark.django_db
def test_what_looks_like_sql_is_a_value():
    query = Prepared(lambda name: Job.objects.filter(host=name).values_list("pk"), name=str)
    JobFactory()
    assert query.rows(name="' OR 1=1 --%s") == []
    assert connection.in_atomic_block
