"""The log of an execution, over HTTP."""

import json
import threading

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from jobs import logs
from portal.accounts import applications
from portal.api.managed import logs as log_views
from portal.lib import logstream, sse
from portal.lib.logstream import LogWriter
from services import subscriptions
from tests.waiting import wait_for


def written(caller, *pieces, end=True, **values):
    """An execution whose log has ``pieces``."""
    job = caller.job(**{"status": "RUNNING"} | values)
    writer = LogWriter(*job.log_name())
    for channel, data in pieces:
        writer.write(channel, data)
    if end:
        logs.close(job)
    return job


def messages(answer):
    return [line["message"] for line in answer.json()]


def test_lines_oldest_first(caller):
    job = written(caller, ("out", b"one\n"), ("err", b"two\n"))
    answer = caller.get(f"/{job.pk}/log")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert messages(answer) == ["one", "two"]
    assert set(answer.json()[0]) == {"id", "timestamp", "severity", "message"}


def test_a_log_without_a_line_is_an_empty_list(caller):
    for job in (caller.job(), caller.ended(log_archived=True), written(caller)):
        answer = caller.get(f"/{job.pk}/log")
        assert (answer.status_code, answer.json()) == (200, [])


def test_only_newer_lines(caller):
    job = written(caller, ("out", b"one\ntwo\nthree\n"))
    ids = [line["id"] for line in caller.get(f"/{job.pk}/log").json()]
    assert messages(caller.get(f"/{job.pk}/log?after={ids[0]}")) == ["two", "three"]
    assert messages(caller.get(f"/{job.pk}/log", Last_Event_ID=ids[1])) == ["three"]
    assert messages(caller.get(f"/{job.pk}/log?after={ids[2]}")) == []
    assert messages(caller.get(f"/{job.pk}/log?after=7-{ids[2][2:]}")) == ["one", "two", "three"]


def test_the_same_from_the_archive(caller):
    job = written(caller, ("out", b"one\ntw"), ("err", b"oops\n"), ("out", b"o\nthree"), status="SUCCEEDED")
    before = caller.get(f"/{job.pk}/log").json()
    logstream.archive(*job.log_name())
    logstream.stream.Stream(f"log:job:{job.pk}:1").remove()
    assert caller.get(f"/{job.pk}/log").json() == before
    assert messages(caller.get(f"/{job.pk}/log?after={before[1]['id']}")) == ["one", "oops", "two", "three"][2:]


def test_of_an_ended_execution_the_last_line_too_though_its_log_is_still_open(caller):
    pieces = [("out", b"one\ntwo")]
    assert messages(caller.get(f"/{written(caller, *pieces, end=False).pk}/log")) == ["one"]
    ended = written(caller, *pieces, end=False, status="SUCCEEDED")
    assert messages(caller.get(f"/{ended.pk}/log")) == ["one", "two"]


def test_a_place_that_is_none(caller):
    job = caller.job()
    for answer in (caller.get(f"/{job.pk}/log?after=x"), caller.get(f"/{job.pk}/log", Last_Event_ID="x")):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_long_log_is_streamed(caller, monkeypatch):
    monkeypatch.setattr(log_views, "WHOLE_MAX_BYTES", 100)
    job = written(caller, *(("out", b"line %d\n" % number) for number in range(200)))
    answer = caller.get(f"/{job.pk}/log")
    assert answer.streaming
    assert [line["message"] for line in json.loads(answer.body)] == [f"line {number}" for number in range(200)]


def test_while_the_broker_is_away(caller, settings):
    job = caller.job()
    settings.REDIS_URL = "unix:///nowhere/valkey.sock?db=0"
    answer = caller.get(f"/{job.pk}/log")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer["Retry-After"]


# Live


def events(body):
    """Name and data of each event."""
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


def test_followed_to_its_end(caller):
    job = written(caller, ("out", b"one\ntwo\nthree"))
    answer = caller.get(f"/{job.pk}/log", Accept="text/event-stream")
    assert answer["Content-Type"] == "text/event-stream"
    lines = caller.get(f"/{job.pk}/log").json()
    assert events(answer.body) == [*(("line", line["id"], line) for line in lines), ("end", None, {})]
    again = caller.get(f"/{job.pk}/log", Accept="text/event-stream", Last_Event_ID=lines[1]["id"])
    assert [event[0] for event in events(again.body)] == ["line", "end"]


def test_a_log_that_nobody_began_ends_at_once(caller):
    job = caller.ended(log_archived=True)
    assert events(caller.get(f"/{job.pk}/log", Accept="text/event-stream").body) == [("end", None, {})]


@pytest.mark.django_db(transaction=True)
def test_lines_come_as_they_are_written(caller):
    job = written(caller, ("out", b"one\n"), end=False)
    headers = {"Authorization": f"Bearer {caller.token}", "Accept": "text/event-stream"}
    answer = Client(headers=headers).get(f"{caller.path}/{job.pk}/log")
    received = []

    def receive():
        received.extend(answer.streaming_content)
        connections.close_all()

    receiving = threading.Thread(target=receive)
    receiving.start()
    wait_for(lambda: b'"one"' in b"".join(received), what="the first line")
    LogWriter(*job.log_name()).write("out", b"two\n")
    wait_for(lambda: b'"two"' in b"".join(received), what="the second line")
    logs.close(job)
    receiving.join(20)
    answer.close()
    assert [name for name, *_ in events(b"".join(received))] == ["line", "line", "end"]
    assert sse._slots.taken == 0


def test_nobody_follows_where_too_many_do(caller, settings):
    settings.LIVE_STREAMS_MAX = 0
    answer = caller.get(f"/{caller.job().pk}/log", Accept="text/event-stream")
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert answer["Retry-After"]


@pytest.mark.django_db(transaction=True)
def test_an_account_that_has_its_share_of_live_logs_is_told_so(caller, settings):
    settings.LIVE_STREAMS_MAX = 2
    job = caller.job()
    headers = {"Authorization": f"Bearer {caller.token}", "Accept": "text/event-stream"}
    first = Client(headers=headers).get(f"{caller.path}/{job.pk}/log")
    answer = caller.get(f"/{job.pk}/log", Accept="text/event-stream")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Retry-After"]
    assert "Preference-Applied" not in caller.get(f"/{job.pk}", Prefer="wait=50")
    first.close()
    assert caller.get(f"/{job.pk}", Prefer="wait=1")["Preference-Applied"] == "wait=1"
    assert sse._slots.taken == 0


@pytest.mark.parametrize("ends", ["secret", "subscription", "application"])
def test_a_live_log_ends_with_the_right_to_see_it(caller, monkeypatch, ends):
    monkeypatch.setattr(log_views, "RECHECK_SECONDS", 0.0)
    monkeypatch.setattr(sse, "COMMENT_SECONDS", 0.05)
    job = written(caller, ("out", b"one\n"), end=False)
    headers = {"Authorization": f"Bearer {caller.token}", "Accept": "text/event-stream"}
    stream = iter(Client(headers=headers).get(f"{caller.path}/{job.pk}/log").streaming_content)
    while b'"one"' not in next(stream):
        pass
    if ends == "secret":
        caller.application.secrets.update(revoked_at=timezone.now())
    elif ends == "subscription":
        subscriptions.unsubscribe(subscription=caller.subscription, by=None)
    else:
        applications.delete_application(application=caller.application, by=None)
    LogWriter(*job.log_name()).write("out", b"two\n")
    assert not any(b'"two"' in event or b"event: end" in event for event in stream)
    assert sse._slots.taken == 0
