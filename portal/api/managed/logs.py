"""The log of an execution: as a list of lines, or followed live."""

import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from redis.exceptions import RedisError

from jobs.models import FINAL, Job
from portal.api.managed import executions, schema
from portal.api.managed.access import Endpoint, subscriptions
from portal.api.managed.base import GatewayView
from portal.api.managed.lines import Lines, Place
from portal.lib import logstream, sse
from portal.lib.errors import Problem

RECHECK_SECONDS = 5.0  # a live log ends that long, and until its next event, after its token
WHOLE_MAX_BYTES = 1024 * 1024  # an answer up to here has a length; a longer one is streamed
EVENT_STREAM = "text/event-stream"
RETRY = {"Retry-After": str(sse.RETRY_AFTER_SECONDS)}

LogName = tuple[str, Any, int]


class LogView(GatewayView):
    @schema.get_log
    def get(self, request: HttpRequest, endpoint: Endpoint, id: str) -> HttpResponseBase:
        """What the execution printed, oldest line first."""
        execution, attempt, is_archived = executions.find(endpoint, id)
        name = ("job", execution.id, max(attempt, 1))
        start = _start(request, name[2])
        try:
            if request.get_preferred_type(["application/json", EVENT_STREAM]) == EVENT_STREAM:
                return _followed(request, endpoint, name, start, live=not is_archived)
            return _listed(name, start, is_final=execution.status in FINAL)
        except RedisError:
            raise Problem("unavailable", sse.BROKER_AWAY, headers=RETRY) from None

    head = get


def _start(request: HttpRequest, attempt: int) -> Place:
    """Where the caller wants to go on. The lines of another attempt are other lines: then from the beginning."""
    given = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    place = Place.parse(given) if given else Place(attempt, 0, 0)
    if place is None:
        raise Problem(
            "invalid_request",
            "`after`, or the header Last-Event-ID, has to be the `id` of a line of this log. Correct it, or leave it "
            "out to get the log from its beginning.",
        )
    return place if place.attempt == attempt else Place(attempt, 0, 0)


def _listed(name: LogName, start: Place, *, is_final: bool) -> HttpResponseBase:
    chunks = _array(_read(name, start, is_final=is_final))
    begin, size = [], 0
    for chunk in chunks:
        begin.append(chunk)
        if (size := size + len(chunk)) > WHOLE_MAX_BYTES:
            sse.release_database()  # a slow client takes its time
            return StreamingHttpResponse(chain(begin, chunks), content_type="application/json")
    return HttpResponse(b"".join(begin), content_type="application/json")


def _read(name: LogName, start: Place, *, is_final: bool) -> Iterator[list[dict[str, Any]]]:
    lines = Lines(start)
    for entries in logstream.read_batches(*name, after=start.after):
        yield lines.of(entries)
    if is_final:
        yield lines.rest()


def _array(batches: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    separator = b"["
    for batch in batches:
        if batch:
            yield separator + orjson.dumps(batch)[1:-1]
            separator = b","
    yield b"[]" if separator == b"[" else b"]"


def _followed(request: HttpRequest, endpoint: Endpoint, name: LogName, start: Place, *, live: bool) -> HttpResponseBase:
    events = _events(name, start, live=live or logstream.exists(*name))
    account = Job.objects.values_list("account_id", flat=True).get(pk=name[1])
    response = sse.respond(_while_allowed(events, endpoint), request, account=account)
    if response.status_code == 429:
        raise Problem("too_many_requests", sse.SHARE_TAKEN, headers=RETRY)
    if response.status_code != 200:
        raise Problem(
            "unavailable",
            "This server has no free connection for another live log. Ask again later, or ask without "
            f"`Accept: {EVENT_STREAM}` and with `?after=` every few seconds.",
            headers=RETRY,
        )
    return response


def _while_allowed(events: Iterator[bytes | None], endpoint: Endpoint) -> Iterator[bytes | None]:
    """``events`` for as long as the token and its subscription live. Who comes again after that is told why not."""
    asked_at = time.monotonic()
    for event in events:
        if time.monotonic() - asked_at >= RECHECK_SECONDS:
            is_allowed = subscriptions(endpoint.caller).exists()
            sse.release_database()
            if not is_allowed:
                return
            asked_at = time.monotonic()
        yield event


def _events(name: LogName, start: Place, *, live: bool) -> Iterator[bytes | None]:
    """Each line as an event ``line``, and ``end`` behind the last; None where nothing came for a while."""
    lines = Lines(start)
    batches = logstream.read_batches(*name, after=start.after, block_seconds=sse.COMMENT_SECONDS) if live else ()
    has_ended = not live
    for entries in batches:
        events = [sse.Event(name="line", id=line["id"], data=orjson.dumps(line)) for line in lines.of(entries)]
        yield b"".join(event.encode() for event in events) or None
        has_ended = has_ended or any(entry.event == logstream.END for entry in entries)
    if has_ended:
        yield sse.Event(name=logstream.END, data=b"{}").encode()
