"""Who may call what: every address of the gateway, with everybody who may not."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from jobs.models import Job
from portal.accounts.models import AccessToken
from portal.api.managed.access import Endpoint
from portal.api.managed.executions import ListQuery
from portal.lib.ids import new_id
from services.models import Subscription

READS = ("", "/{id}", "/{id}/result", "/{id}/result/output.json", "/{id}/log")
CALLS = [*(("GET", path) for path in READS), ("POST", ""), ("PUT", "/{id}/cancel")]


def everything(caller, job):
    """The answer of every address."""
    for method, path in CALLS:
        for slash in ("", "/"):
            yield caller.call(method, path.format(id=job.pk) + slash, "{}" if method == "POST" else "")


def assert_refused(answers, status, code):
    for answer in answers:
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
        assert answer.json()["code"] == code
        assert answer.json()["request_id"] == answer["X-Request-ID"]


def test_a_subscribed_application_is_answered_with_and_without_the_slash(caller):
    job = caller.ended(b"1")
    statuses = [answer.status_code for answer in everything(caller, job)]
    assert statuses == [200] * 10 + [201] * 2 + [200] * 2


def test_an_unsubscribed_application_of_the_same_account_finds_nothing(caller, unsubscribed):
    assert_refused(everything(unsubscribed, caller.ended(b"1")), 404, "not_found")


def test_another_application_sees_its_own_executions_only(caller, sibling):
    job = caller.ended(b"1")
    assert sibling.get().json() == []
    answers = [sibling.get(path.format(id=job.pk)) for path in READS[1:]]
    assert_refused([*answers, sibling.put(f"/{job.pk}/cancel")], 404, "not_found")


def test_jobs_of_the_browser_are_not_executions_of_an_application(caller):
    job = caller.job(subscription=None)
    assert caller.get().json() == []
    assert caller.get(f"/{job.pk}").status_code == 404


def test_an_ended_subscription_finds_nothing(caller):
    job = caller.ended(b"1")
    Subscription.objects.update(ended_at=timezone.now())
    assert_refused(everything(caller, job), 404, "not_found")


def test_a_deleted_service_is_not_there(caller):
    job = caller.ended(b"1")
    service = caller.version.service
    service.deleted_at = timezone.now()
    service.save()
    assert_refused(everything(caller, job), 404, "not_found")


@pytest.mark.parametrize("kill", ["secret", "expiry", "application", "unknown"])
def test_a_dead_token_opens_nothing(caller, kill):
    job, now = caller.ended(b"1"), timezone.now()
    if kill == "secret":
        caller.application.secrets.update(revoked_at=now)
    elif kill == "expiry":
        AccessToken.objects.update(expires_at=now)
    elif kill == "application":
        caller.application.deleted_at = now
        caller.application.save()
    else:
        caller.token = "mct_" + "0" * 64
    answers = list(everything(caller, job))
    assert_refused(answers, 401, "invalid_token")
    assert all(answer["WWW-Authenticate"].startswith("Bearer") for answer in answers)


def test_without_a_token_nobody_learns_what_is_there(caller):
    job = caller.job()
    for path in (caller.path, f"{caller.path}/{job.pk}", "/gateway/no/such/1.0.0", f"{caller.path}/no-id"):
        assert_refused([Client().get(path)], 401, "invalid_token")


def test_what_a_retired_version_made_stays_readable_and_nothing_new_begins(caller):
    job = caller.ended(b"1")
    caller.version.publication = "retired"
    caller.version.save()
    assert caller.get(f"/{job.pk}/result").json()["result"] == 1
    assert_refused([caller.post()], 403, "not_published")


def test_executions_are_those_of_the_subscription_whichever_version_ran(caller):
    job = caller.ended(b"1")
    newer = caller.at("2.0.0", publication="marketplace")
    assert [execution["id"] for execution in newer.get().json()] == [str(job.pk)]
    assert newer.get(f"/{job.pk}").json()["_links"]["self"]["href"] == f"{newer.url}/{job.pk}"


def test_a_number_that_was_never_published_is_not_there(caller):
    assert_refused(everything(caller.at("2.0.0"), caller.ended(b"1")), 404, "not_found")


def test_what_is_internal_and_not_shared_takes_no_executions(caller):
    assert_refused([caller.at("2.0.0", publication="internal").post()], 403, "not_published")


def test_lists_are_read_by_the_index_of_subscriptions(caller, sibling):
    """Whoever of two has few rows and whoever has many: else a million rows of others would be read for a hundred."""
    for each, count in ((caller, 20), (sibling, 4_000)):
        subscription, account = each.subscription, each.application.account
        Job.objects.bulk_create(
            Job(account=account, version=each.version, subscription=subscription, status="SUCCEEDED", tags=["t"])
            for _ in range(count)
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")
    for each in (caller, sibling):
        for query in (ListQuery(limit=10), ListQuery(limit=10, before=new_id())):
            plan = query.rows(Endpoint(*each.path.split("/")[2:], each.token).caller).explain()
            assert "jobs_of_subscription" in plan
            assert not re.search(r"Sort|TEMP B-TREE|jobs_job_pkey", plan), plan


@pytest.mark.parametrize("id", [str(new_id()), "no-id", "x" * 36, "%20", "é"])
def test_what_is_no_id_is_not_there(caller, id):
    answer = caller.get(f"/{id}")
    assert_refused([answer], 404, "not_found")
    assert "GET" in answer.json()["detail"]
    assert answer.json()["instance"].isascii()
