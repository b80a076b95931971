"""Starting executions, listing them, asking for one, ending it."""

import threading
from datetime import UTC, datetime
from uuid import UUID

import pytest
from celery import Celery, current_app
from django.db import DatabaseError, connection, connections

from jobs import logs
from jobs.models import Job, JobInterim, JobTag
from portal.accounts import quotas
from portal.api.managed import waiting
from portal.lib import logstream, sse
from portal.lib.logstream import LogWriter
from services.checking import process
from services.models import ServiceVersion
from tests.factories import ApplicationFactory, SubscriptionFactory
from tests.portal.api.managed.conftest import Caller
from tests.programs import version_of
from tests.services.checking.test_checking import description
from tests.waiting import wait_for

BORN = datetime(2026, 1, 31, 23, 5, 9, 123456, UTC)


def queries(act):
    """How many statements ``act`` needs."""
    with connection.execute_wrapper(counter := Counter()):
        act()
    return counter.count


class Counter:
    count = 0

    def __call__(self, execute, sql, params, many, context):
        self.count += 1
        return execute(sql, params, many, context)


def tagged(caller, *names, **values):
    job = caller.job(tags=list(names), **values)
    for name in names:
        JobTag.objects.create(job=job, subscription=caller.subscription, name=name)
    return job


# One


def test_an_execution_as_the_sdk_wants_it(caller):
    job = caller.job(status="SUCCEEDED", tags=["a"], started_at=BORN, ended_at=BORN)
    Job.objects.update(created_at=BORN)
    here = f"{caller.url}/{job.pk}"
    answer = caller.get(f"/{job.pk}")
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {
        "id": str(job.pk),
        "createdAt": "2026-01-31 23:05:09",
        "startedAt": "2026-01-31 23:05:09",
        "endedAt": "2026-01-31 23:05:09",
        "status": "SUCCEEDED",
        "type": "MANAGED",
        "serviceId": str(caller.version.service_id),
        "serviceDefinitionId": str(caller.version.pk),
        "applicationId": str(caller.application.pk),
        "tags": ["a"],
        "_links": {
            "self": {"href": here},
            "result": {"href": f"{here}/result"},
            "log": {"href": f"{here}/log"},
            "cancel": {"href": f"{here}/cancel"},
        },
    }


def test_what_is_not_known_yet_is_left_out(caller):
    shown = caller.get(f"/{caller.job().pk}").json()
    assert not {"startedAt", "endedAt"} & shown.keys()


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("QUEUED", "PENDING"),
        ("STARTING", "PENDING"),
        ("RUNNING", "RUNNING"),
        ("SUCCEEDED", "SUCCEEDED"),
        ("FAILED", "FAILED"),
        ("CANCELLED", "CANCELLED"),
    ],
)
def test_status_in_the_words_of_the_api(caller, status, shown):
    job = caller.job(status=status)
    assert caller.get(f"/{job.pk}").json()["status"] == shown
    assert [each["status"] for each in caller.get(f"?status={shown}").json()] == [shown]


def test_a_status_poll_and_a_list_are_one_statement(caller):
    job = caller.job()
    assert queries(lambda: caller.get(f"/{job.pk}")) == 1
    assert queries(lambda: caller.get()) == 1


def test_a_poll_by_head_has_no_body(caller):
    answer = caller.call("HEAD", f"/{caller.job().pk}")
    assert (answer.status_code, answer.body) == (200, b"")


# The list


def test_the_list_is_bare_and_newest_first(caller):
    jobs = [caller.job() for _ in range(3)]
    answer = caller.get()
    assert [each["id"] for each in answer.json()] == [str(job.pk) for job in reversed(jobs)]
    assert "Link" not in answer


@pytest.mark.parametrize("query", ["", "&status=PENDING", "&tag=t", "&tag=t&status=PENDING"])
def test_pages_follow_one_another_by_their_link(caller, query):
    jobs = [tagged(caller, "t") for _ in range(5)]
    tagged(caller, "t", status="RUNNING") if "status" in query else None
    caller.job(status="FAILED") if "tag" in query or "status" in query else None
    seen, path = [], f"?limit=2{query}"
    while path:
        answer = caller.get(path)
        assert len(answer.json()) <= 2
        seen += [each["id"] for each in answer.json()]
        path = ""
        if link := answer.get("Link"):
            assert link.startswith(f"<{caller.url}?")
            assert link.endswith('>; rel="next"')
            path = link[1 + len(caller.url) : -len('>; rel="next"')]
    assert seen == [str(job.pk) for job in reversed(jobs)]


def test_a_hundred_by_default(caller):
    Job.objects.bulk_create(
        Job(account=caller.application.account, version=caller.version, subscription=caller.subscription)
        for _ in range(101)
    )
    answer = caller.get()
    assert len(answer.json()) == 100
    assert "limit=100" in answer["Link"]


def test_a_tag_finds_those_of_this_application_only(caller, sibling):
    mine = tagged(caller, "t")
    tagged(sibling, "t")
    assert [each["id"] for each in caller.get("?tag=t").json()] == [str(mine.pk)]
    assert caller.get("?tag=other").json() == []


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=1001", "limit=x", "limit=", "limit=٣", "limit=1&limit=1"),
        *("status=UNKNOWN", "status=", "status=FAILED&status=RUNNING"),
        *("tag=", "tag=a&tag=b", "before=x", "before="),
    ],
)
def test_what_a_list_cannot_be_asked_for(caller, query):
    answer = caller.get(f"?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert query.partition("=")[0] in answer.json()["detail"]


# A new one


def test_starting_an_execution(caller):
    answer = caller.post(body='{"data": {"a": [1]}, "params": {"b": true}, "$tags": ["x"]}')
    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (201, f"{caller.url}/{job.pk}")
    assert answer.json()["id"] == str(job.pk)
    assert (answer.json()["status"], answer.json()["tags"]) == ("PENDING", ["x"])
    assert (job.account, job.created_by, job.subscription) == (caller.application.account, None, caller.subscription)
    assert job.version == caller.version
    assert (job.input.data, job.input.params) == ('{"a": [1]}', '{"b": true}')


def test_the_version_in_the_address_runs_not_the_one_of_the_subscription(caller):
    newer = caller.at("2.0.0", publication="marketplace")
    assert newer.post().json()["serviceDefinitionId"] == str(newer.version.pk)


def test_a_broken_body_is_told_where(caller):
    answer = caller.post(body='{"data":\n {"a": }}')
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert (answer.json()["line"], answer.json()["column"]) == (2, 8)
    assert not Job.objects.exists()


@pytest.mark.parametrize("body", ["[]", "1", "", '{"data": "\\u0000"}', b"\xff", '{"a":' * 5000])
def test_no_body_breaks_the_server(caller, body):
    assert caller.post(body=body).status_code in (201, 400)


def test_the_same_key_and_body_get_the_same_execution(caller):
    answers = [caller.post(body='{"data": {}}', Idempotency_Key="k") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0]["Location"] == answers[1]["Location"]
    assert Job.objects.count() == 1


def test_the_same_key_for_something_else_is_refused(caller):
    caller.post(body='{"data": {}}', Idempotency_Key="k")
    newer = caller.at("2.0.0", publication="marketplace")
    for answer in (
        caller.post(body='{"data": {} }', Idempotency_Key="k"),
        newer.post(body='{"data": {}}', Idempotency_Key="k"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Job.objects.count() == 1


@pytest.fixture
def no_broker(settings):
    """A broker that nobody answers at, for logs and for rings."""
    settings.REDIS_URL = "unix:///nowhere/valkey.sock?db=0"
    ours = current_app._get_current_object()
    Celery(broker="redis+socket:///nowhere/valkey.sock?virtual_host=0", set_as_current=True).conf.update(
        broker_transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS, task_publish_retry=False
    )
    yield
    ours.set_current()


@pytest.mark.django_db(transaction=True)
def test_while_the_broker_is_away_executions_are_accepted(caller, no_broker):
    answer = caller.post(Prefer="wait=1")
    assert (answer.status_code, answer.json()["status"]) == (201, "PENDING")
    assert caller.put(f"/{answer.json()['id']}/cancel").json()["status"] == "CANCELLED"


@pytest.mark.parametrize("key", ["", "k" * 256, "\x7f"])  # our server hands on as empty what is not ASCII
def test_a_key_that_is_none_starts_nothing(caller, key):
    answer = caller.post(Idempotency_Key=key)
    assert (answer.status_code, answer.json()["code"], Job.objects.count()) == (400, "invalid_request", 0)


@pytest.mark.parametrize("error", [DatabaseError, Job.DoesNotExist, ValueError])
def test_what_was_accepted_is_told_whatever_breaks_then(caller, monkeypatch, error):
    def breaks(*_):
        raise error

    monkeypatch.setattr(waiting, "has_waited_for_end", breaks)
    assert caller.post(Prefer="wait=9").status_code == 201


def test_where_too_many_inputs_are_checked_nothing_is_started(caller, monkeypatch):
    ServiceVersion.objects.update(openapi=description({"type": "array"}), openapi_origin="uploaded")
    monkeypatch.setattr(process, "WAIT_SECONDS", 0.01)
    for _ in range(process.CHILDREN_MAX):
        process._places.acquire()
    try:
        answer = caller.post(body='{"data": []}')
    finally:
        for _ in range(process.CHILDREN_MAX):
            process._places.release()
    assert (answer.status_code, answer.json()["code"], Job.objects.count()) == (503, "unavailable", 0)
    assert answer["Retry-After"]
    assert caller.post(body='{"data": []}').status_code == 201


def test_a_body_that_comes_slowly_holds_no_shared_connection(caller, settings, monkeypatch):
    released = []
    monkeypatch.setattr(sse, "release_database", lambda: released.append(True))
    caller.post()
    assert not released  # of a file there are as many as threads
    settings.DATABASES["default"]["OPTIONS"]["pool"] = True
    try:
        caller.post()
    finally:
        del settings.DATABASES["default"]["OPTIONS"]["pool"]
    assert released


def test_who_waits_sees_nothing_after_the_secret_was_revoked(caller, monkeypatch):
    def revoked(*_):
        return caller.application.secrets.update(revoked_at=BORN)

    job = caller.job(status="RUNNING")
    monkeypatch.setattr(waiting, "has_waited_for_end", revoked)
    assert caller.get(f"/{job.pk}", Prefer="wait=9").status_code == 401


# Its end


def test_cancelling_what_waits(caller):
    job = caller.job()
    for _ in range(2):
        answer = caller.put(f"/{job.pk}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "CANCELLED")
    assert answer.json()["endedAt"]


def test_cancelling_what_runs_asks_for_its_end(caller):
    job = caller.job(status="RUNNING")
    answer = caller.put(f"/{job.pk}/cancel/")
    assert (answer.status_code, answer.json()["status"]) == (200, "RUNNING")
    job.refresh_from_db()
    assert job.cancel_requested_at


def test_what_has_ended_stays_as_it_is(caller):
    job = caller.ended()
    assert caller.put(f"/{job.pk}/cancel").json()["status"] == "SUCCEEDED"


# Prefer: wait


@pytest.mark.django_db(transaction=True)
def test_an_answer_waits_for_the_end(caller):
    job = caller.job(status="RUNNING")
    writer = LogWriter(*job.log_name())
    writer.write("out", b"something\n")
    answers = []

    def ask():
        answers.append(caller.get(f"/{job.pk}", Prefer="respond-async, wait=50"))
        connections.close_all()

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: sse._slots.taken, what="the call to wait")
    writer.event("status", status="RUNNING")
    Job.objects.filter(pk=job.pk).update(status="SUCCEEDED", ended_at=BORN)
    job.refresh_from_db()
    logs.close(job)
    asking.join(20)
    assert answers[0].json()["status"] == "SUCCEEDED"
    assert answers[0]["Preference-Applied"] == "wait=50"
    assert sse._slots.taken == 0


@pytest.mark.django_db(transaction=True)
def test_an_answer_waits_no_longer_than_asked(caller):
    job = caller.job(status="RUNNING")
    answer = caller.get(f"/{job.pk}", Prefer="wait=1")
    assert answer.json()["status"] == "RUNNING"
    assert answer["Preference-Applied"] == "wait=1"


@pytest.mark.django_db(transaction=True)
def test_news_in_the_meantime_do_not_make_the_wait_longer(caller, monkeypatch):
    job = caller.job(status="RUNNING")
    blocks, read = [], logstream.read_batches
    monkeypatch.setattr(
        logstream, "read_batches", lambda *name, **how: (blocks.append(how["block_seconds"]), read(*name, **how))[1]
    )
    writer = LogWriter(*job.log_name())
    writer.write("out", b"something\n")
    waiting._wait_for_news(*job.log_name(), after="", seconds=0.5)  # finds that at once
    assert len(blocks) == 2
    assert blocks[1] < blocks[0] <= 0.5


def test_nobody_waits_where_too_many_do(caller, settings):
    settings.LIVE_STREAMS_MAX = 0
    answer = caller.post(Prefer="wait=50")
    assert (answer.status_code, answer.json()["status"]) == (201, "PENDING")
    assert "Preference-Applied" not in answer


def test_what_has_ended_is_answered_at_once(caller):
    answer = caller.get(f"/{caller.ended().pk}", Prefer="wait=50")
    assert (answer.json()["status"], "Preference-Applied" in answer) == ("SUCCEEDED", False)


PROGRAM = """
import pathlib, sys
def run(data, params):
    print("adding", data["values"])
    print("WARNING: not checked", file=sys.stderr)
    folder = pathlib.Path("/var/runtime/output/my folder")
    folder.mkdir()
    (folder / "räume.txt").write_text("two rooms")
    return {"sum": sum(data["values"])}
"""


def test_a_real_execution_from_its_start_to_its_end(live_worker, provider_account, consumer_account):
    """The one in which code runs; rows stand for it in the other tests."""
    version = version_of(PROGRAM, account=provider_account, publication="marketplace")
    application = ApplicationFactory(account=consumer_account)
    SubscriptionFactory(application=application, version=version)
    caller = Caller(application, version)
    answer = caller.post(body='{"data": {"values": [1, 2]}}', Prefer="wait=60")
    assert answer.json()["status"] == "SUCCEEDED", answer.json()
    path = f"/{answer.json()['id']}"
    result = caller.get(f"{path}/result").json()
    assert result["sum"] == 3
    assert set(result["_links"]) == {"self", "status", "output.json", "my folder/räume.txt"}
    href = result["_links"]["my folder/räume.txt"]["href"]
    assert caller.get(href.removeprefix(caller.url)).body == b"two rooms"
    lines = {line["message"]: line["severity"] for line in caller.get(f"{path}/log").json()}
    assert lines["adding [1, 2]"] == "INFO"
    assert lines["WARNING: not checked"] == "WARNING"


# The old dialect


def test_an_old_version_tells_its_health(caller):
    old = caller.at("0.1.0", publication="marketplace", dialect="legacy")
    old.job()
    assert old.get().json() == {"status": "UP"}
    assert old.get("/").json() == {"status": "UP"}
    assert UUID(old.post().json()["id"])


# What the code says before its end


def test_progress_is_there_while_it_runs_and_only_then(caller):
    told = {"progress": 0.4, "progress_message": "40 of 100", "progress_at": BORN}
    running, ended, silent = caller.job(status="RUNNING", **told), caller.ended(**told), caller.job(status="RUNNING")
    shown = {"fraction": 0.4, "message": "40 of 100", "at": "2026-01-31 23:05:09"}
    assert caller.get(f"/{running.pk}").json()["progress"] == shown
    assert {each["id"]: each.get("progress") for each in caller.get().json()} == {
        str(running.pk): shown,
        str(ended.pk): None,
        str(silent.pk): None,
    }


def test_interim_results_of_the_last_attempt_newest_last(caller):
    job = caller.job(status="RUNNING", attempt=2)
    for attempt, number, content in ((1, 1, '"old"'), (2, 2, '{"a": 1.50}'), (2, 1, "[1]")):
        JobInterim.objects.create(job=job, attempt=attempt, number=number, content=content)
    JobInterim.objects.update(created_at=BORN)
    answer = caller.get(f"/{job.pk}/interim-results")
    at = "2026-01-31 23:05:09"
    assert answer.json() == [
        {"number": 1, "createdAt": at, "result": [1]},
        {"number": 2, "createdAt": at, "result": {"a": 1.5}},
    ]
    assert b'{"a": 1.50}' in answer.body
    assert caller.get(f"/{caller.job().pk}/interim-results/").json() == []
    newest = caller.get(f"/{job.pk}/interim-results?limit=1").json()
    assert [each["number"] for each in newest] == [2]
    refused = caller.get(f"/{job.pk}/interim-results?limit=0")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")


# Limits of the account


def test_a_full_queue_is_told_with_the_time_to_wait(caller):
    quotas.set_limits(account=caller.subscription.application.account, queued_jobs=1)
    assert caller.post("", b"{}").status_code == 201
    answer = caller.post("", b"{}")
    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (429, "queue_full", 1)
    assert int(answer["Retry-After"]) > 0


def test_full_storage_is_told(caller):
    account = caller.subscription.application.account
    quotas.set_limits(account=account, storage_bytes=10)
    quotas.charge(account.pk, 10)
    answer = caller.post("", b"{}")
    assert (answer.status_code, answer.json()["code"]) == (403, "storage_full")


def test_a_deadline_is_kept(caller):
    answer = caller.post("", b'{"$deadline": 3600}')
    assert answer.status_code == 201
    assert Job.objects.get(pk=answer.json()["id"]).deadline_at is not None
    assert caller.post("", b'{"$deadline": "yesterday"}').json()["code"] == "invalid_request"
