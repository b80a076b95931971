"""Logs as server-sent events: complete, resumable, bounded, and over when the process or the client is."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponseBase
from django.test import RequestFactory
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from portal.lib import logstream, sse
from portal.lib.logstream import LogWriter
from tests.streaming.server import Server, running
from tests.waiting import wait_for

Log = tuple[str, str, int]
Told = tuple[str, str, Any]  # event, id, data


@pytest.fixture
def log() -> Log:
    return ("job", str(uuid4()), 1)


def open_stream(log: Log, *, after: str = "", last_event_id: str = "", live: bool = True) -> HttpResponseBase:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    request = RequestFactory().get("/log/stream", {"after": after} if after else {}, headers=headers)
    return sse.log_response(request, *log, live=live)


def told(log: Log, **options: Any) -> list[Told]:
    """All events of an ended log."""
    return parse(b"".join(open_stream(log, **options)))


def parse(body: bytes) -> list[Told]:
    """As a browser does it."""
    events = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "event" in fields:
            events.append((fields["event"], fields.get("id", ""), json.loads(fields["data"])))
    return events


def lines_of(events: list[Told]) -> dict[int, tuple[str, str]]:
    """Each line by its number: channel and text, put together as the page does it."""
    lines: dict[int, tuple[str, str]] = {}
    for name, _, data in events:
        if name != "chunk":
            continue
        marks = [(data["n"], data["at"], data["c"]), *data.get("m", [])]
        for number, part in enumerate(re.findall(r"[^\n]*\n|[^\n]+", data["d"]), data["n"]):
            channel = [mark[2] for mark in marks if mark[0] <= number][-1]
            before = lines.get(number, (channel, ""))
            assert before[0] == channel
            lines[number] = (channel, before[1] + part)
    return lines


def test_a_log_as_events(log: Log) -> None:
    writer = LogWriter(*log)
    writer.event("status", status="RUNNING")
    writer.write("out", b"hello\n")
    writer.close()
    response = open_stream(log)
    body = b"".join(response)
    assert body.startswith(b"retry: ")
    [status, chunk, end] = parse(body)
    assert status == ("status", status[1], {"status": "RUNNING"})
    assert chunk == ("chunk", chunk[1], {"at": chunk[2]["at"], "c": "out", "n": 1, "d": "hello\n"})
    assert end == ("end", end[1], {})
    assert response["Content-Type"] == "text/event-stream"
    assert response["X-Accel-Buffering"] == "no"
    assert "no-store" in response["Cache-Control"]
    assert not response.has_header("Content-Encoding")


def test_what_came_at_once_is_told_in_few_large_events(log: Log) -> None:
    writer = LogWriter(*log)
    for number in range(1, 3001):
        writer.write("err" if number % 7 == 0 else "out", b"line %d\n" % number)
    writer.close()
    events = told(log)
    assert len(events) < 100
    lines = lines_of(events)
    assert list(lines) == list(range(1, 3001))
    assert lines[700] == ("err", "line 700\n")
    assert lines[701] == ("out", "line 701\n")
    marks = [mark for _, _, data in events for mark in data.get("m", [])]
    assert all(at > 1_600_000_000_000 for _, at, _ in marks)


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["out", "err"]), st.text(alphabet="ab\né\N{GRINNING FACE}", max_size=8)), max_size=12
    ),
    st.integers(1, 5),
)
def test_every_id_resumes_without_gap_or_repeat(written: list[tuple[str, str]], size: int) -> None:
    """Whatever pieces the bytes came in, also in the middle of characters."""
    log = ("job", str(uuid4()), 1)
    writer = LogWriter(*log)
    for channel, text in written:
        data = text.encode()
        for begin in range(0, len(data), size):
            writer.write(channel, data[begin : begin + size])
    writer.close()
    events = told(log)
    whole = lines_of(events)
    for name in ("out", "err"):
        got = "".join(text for channel, text in whole.values() if channel == name)
        assert got == "".join(text for channel, text in written if channel == name)
    for entry in logstream.read(*log):
        assert entry is not None
        first = b"".join(_until(open_stream(log), entry.id))
        rest = told(log, last_event_id=f"1:{entry.id}")
        assert rest == told(log, after=entry.id)
        if not first:
            continue  # this id was swallowed by a larger event
        if entry.data[-1:].isascii():
            assert lines_of(parse(first) + rest) == whole


def _until(response: HttpResponseBase, entry_id: str) -> list[bytes]:
    """The events up to ``entry_id``; none where no event has this id."""
    events = re.split(rb"(?<=\n\n)", b"".join(response))
    for count, event in enumerate(events, 1):
        if f"id: 1:{entry_id}\n".encode() in event:
            return events[:count]
    return []


def test_the_header_of_a_reconnect_is_newer_than_the_url(log: Log) -> None:
    writer = LogWriter(*log)
    for number in range(3):
        writer.write("out", b"%d\n" % number)
    writer.close()
    ids = [entry.id for entry in logstream.read(*log) if entry]
    events = told(log, after=ids[0], last_event_id=f"1:{ids[1]}")
    assert [data.get("d") for _, _, data in events] == ["2\n", None]


def test_an_id_of_another_attempt_starts_the_log_anew(log: Log) -> None:
    LogWriter(*log).write("out", b"first attempt\n")
    [entry] = logstream.read(*log)
    assert entry is not None
    second = LogWriter(log[0], log[1], 2)
    second.write("out", b"second\n")
    second.close()
    events = told((log[0], log[1], 2), last_event_id=f"1:{entry.id}")
    assert [name for name, _, _ in events] == ["reset", "chunk", "end"]
    assert events[1][2]["d"] == "second\n"


@pytest.mark.parametrize("junk", ["x", "1:", ":", "1:9-9-9", "-5:1-1", "\N{GRINNING FACE}", "1:" + "9" * 400 + "-1"])
def test_an_id_that_is_none_does_no_harm(log: Log, junk: str) -> None:
    writer = LogWriter(*log)
    writer.write("out", b"hello\n")
    writer.close()
    assert told(log, after=junk)[-1:] in ([], [("end", told(log)[-1][1], {})])


def test_a_gap_is_told(log: Log, settings: Settings) -> None:
    settings.LOG_MAX_BYTES = 2_000
    writer = LogWriter(*log)
    for number in range(1, 201):
        writer.write("out", b"%03d %s\n" % (number, b"." * 60))
    writer.close()
    events = told(log)
    [(_, _, gap)] = [event for event in events if event[0] == "gap"]
    lines = lines_of(events)
    assert gap["n"] not in lines
    assert gap["n"] + gap["lines"] in lines
    assert gap["lines"] + len(lines) == 200


def test_a_log_that_nobody_will_begin_ends(log: Log) -> None:
    assert told(log, live=False) == [("end", "", {})]


def test_a_silent_log_is_told_by_comments(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "COMMENT_SECONDS", 0.05)
    with closing(open_stream(log)) as response:
        stream = iter(response)
        assert next(stream).startswith(b"retry: ")
        assert next(stream).startswith(b":")
        LogWriter(*log).write("out", b"hello\n")
        wait_for(lambda: b"hello" in next(stream), what="the line")
    assert sse._slots.taken == 0


def test_a_stream_ends_in_time_and_the_client_comes_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "STREAM_SECONDS_MAX", -1)
    assert [piece[:6] for piece in open_stream(log)] == [b"retry:"]


def test_too_many_streams_are_refused_with_a_time_to_ask_again(log: Log, settings: Settings) -> None:
    settings.LIVE_STREAMS_MAX = 2
    first, second = open_stream(log), open_stream(log)
    refused = open_stream(log)
    assert refused.status_code == 503
    assert int(refused["Retry-After"]) > 0
    assert b"LIVE_STREAMS_MAX" in refused.content
    next(iter(first))
    for response in (first, second, first):  # the second was never begun; closing twice frees one place
        response.close()
    again = [open_stream(log) for _ in range(3)]
    assert [response.status_code for response in again] == [200, 200, 503]
    for response in again:
        response.close()


def test_one_account_leaves_places_to_the_others(log: Log, settings: Settings) -> None:
    settings.LIVE_STREAMS_MAX = 4

    def open_as(account: str) -> HttpResponseBase:
        return sse.log_response(RequestFactory().get("/log/stream"), *log, account=account)

    mine = [open_as("mine") for _ in range(2)]
    refused = open_as("mine")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert b"Close those" in refused.content
    with sse.place("mine") as is_free:
        assert not is_free
    with sse.place("another") as is_free, closing(open_as("another")) as other:
        assert (is_free, other.status_code, open_as("third").status_code) == (True, 200, 503)
    mine.pop().close()
    mine.append(open_as("mine"))
    assert mine[-1].status_code == 200
    for response in mine:
        response.close()
    assert (sse._slots.taken, sse._slots._of) == (0, {})


def test_polling_needs_no_place(log: Log, settings: Settings) -> None:
    settings.LIVE_STREAMS_MAX = 0
    writer = LogWriter(*log)
    writer.write("out", b"one\n")

    def poll(after: str = "") -> list[dict[str, Any]]:
        request = RequestFactory().get("/log/stream", {"poll": "1", "after": after})
        response = sse.log_response(request, *log)
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")
        return json.loads(response.content)["events"]

    [event] = poll()
    assert (event["event"], event["data"]["d"]) == ("chunk", "one\n")
    assert poll(event["id"]) == []
    writer.close()
    assert [event["event"] for event in poll(event["id"])] == ["end"]


def test_a_large_backlog_is_polled_in_parts(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "POLL_MAX_BYTES", 100_000)
    writer = LogWriter(*log)
    for number in range(200):
        writer.write("out", b"%04d %s\n" % (number, b"." * 10_000))
    writer.close()
    events: list[Told] = []
    polls = 0
    while not events or events[-1][0] != "end":
        request = RequestFactory().get("/", {"poll": "1", "after": events[-1][1] if events else ""})
        answer = json.loads(sse.log_response(request, *log).content)["events"]
        events += [(event["event"], event["id"], event["data"]) for event in answer]
        polls += 1
    assert polls > 2
    assert list(lines_of(events)) == list(range(1, 201))


def test_without_a_broker_a_poll_and_a_download_say_so(log: Log, settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nonexistent/valkey.sock"
    request = RequestFactory().get("/", {"poll": "1"})
    for response in (sse.log_response(request, *log), sse.log_download(*log, filename="job.log")):
        assert response.status_code == 503
        assert response.has_header("Retry-After")


def test_a_download_is_a_text_file(log: Log) -> None:
    writer = LogWriter(*log)
    writer.write("out", b"\x1b[31mred\x1b[0m\n")
    writer.write("err", b"warning\n")
    response = sse.log_download(*log, filename="job-1.log")
    assert b"".join(response) == b"\x1b[31mred\x1b[0m\nwarning\n"
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="job-1.log"'


@pytest.mark.django_db(transaction=True)
def test_an_open_stream_holds_no_database_connection(log: Log) -> None:
    connection.ensure_connection()
    with closing(open_stream(log)) as response:
        next(iter(response))
        assert connection.connection is None


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    with running(redis_url=settings.REDIS_URL) as server:
        yield server


def _connect(port: int, log: Log) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(f"GET /stream/{log[1]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    received = b""
    while b"retry:" not in received:
        received += client.recv(65536)
    return client


def test_open_streams_end_when_the_server_is_told_to_stop(server: Server, log: Log) -> None:
    with ExitStack() as clients:
        received = [clients.enter_context(_connect(server.port, log)).makefile("rb") for _ in range(15)]
        LogWriter(*log).write("out", b"hello\n")
        for answer in received:
            wait_for(lambda answer=answer: b"hello" in answer.readline(), what="the line")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=5) == 0  # without --workers-kill-timeout: no worker had to be killed
        for answer in received:
            assert answer.read().endswith(b"0\r\n\r\n")  # the answer is whole, so the page comes again
            answer.close()


def test_a_client_that_goes_frees_its_place(server: Server, log: Log) -> None:
    clients = [_connect(server.port, log) for _ in range(3)]
    assert server.taken() == 3
    for client in clients:
        client.close()
    LogWriter(*log).write("out", b"hello\n")  # what is written shows who has gone
    wait_for(lambda: server.taken() == 0, what="free places")
