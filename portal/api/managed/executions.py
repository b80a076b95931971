"""Executions: the list, a new one, one and its status, and its end."""

import logging
from datetime import datetime
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode
from uuid import UUID

import orjson
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict

from jobs import inputs, submission
from jobs.models import FINAL, Job, JobInterim, JobTag, Status
from portal.accounts.actors import Actor
from portal.api.managed import access, bodies, schema, waiting
from portal.api.managed.access import Caller, Endpoint
from portal.api.managed.base import GatewayView, respond
from portal.lib import sse
from portal.lib.errors import Problem
from portal.lib.prepared import Prepared, Rows
from services.models import ServiceVersion, Subscription

log = logging.getLogger(__name__)

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000
TAG_MAX_CHARACTERS = 64

# What they are called here. UNKNOWN is never said: the SDKs of today would ask for ever.
SHOWN = {status: "PENDING" if status in (Status.QUEUED, Status.STARTING) else str(status) for status in Status}
MEANT = {shown: [status for status in Status if SHOWN[status] == shown] for shown in SHOWN.values()}

FIELDS = (
    *("id", "status", "tags", "created_at", "started_at", "ended_at", "version_id"),
    *("subscription__service_id", "subscription__application_id"),
    *("progress", "progress_message", "progress_at"),
)


class Execution(NamedTuple):
    """A row of `FIELDS`."""

    id: UUID
    status: str
    tags: list[str]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    version_id: UUID
    service_id: UUID
    application_id: UUID
    progress: float | None = None
    progress_message: str = ""
    progress_at: datetime | None = None

    @classmethod
    def of(cls, job: Job, subscription: Subscription) -> Self:
        """From a whole job."""
        return cls(
            job.id,
            job.status,
            job.tags,
            job.created_at,
            job.started_at,
            job.ended_at,
            job.version_id,
            subscription.service_id,
            subscription.application_id,
            job.progress,
            job.progress_message,
            job.progress_at,
        )

    def render(self, url: str) -> dict[str, Any]:
        """As the API shows it, with links below the endpoint ``url``."""
        here = f"{url}/{self.id}"
        shown: dict[str, Any] = {"id": self.id, "createdAt": _time(self.created_at)}
        # A time that is not known yet is left out: the API descriptions of services know no null there.
        if self.started_at:
            shown["startedAt"] = _time(self.started_at)
        if self.ended_at:
            shown["endedAt"] = _time(self.ended_at)
        shown |= {
            "status": SHOWN[Status(self.status)],
            "type": "MANAGED",
            "serviceId": self.service_id,
            "serviceDefinitionId": self.version_id,
            "applicationId": self.application_id,
            "tags": self.tags,
            "_links": {
                "self": {"href": here},
                "result": {"href": f"{here}/result"},
                "log": {"href": f"{here}/log"},
                "cancel": {"href": f"{here}/cancel"},
            },
        }
        if self.progress_at and self.status == Status.RUNNING:
            at = _time(self.progress_at)
            shown["progress"] = {"fraction": self.progress, "message": self.progress_message, "at": at}
        return shown


class ExecutionsView(GatewayView):
    @schema.list_executions
    def get(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        """The executions of this subscription, newest first."""
        query = ListQuery.of(request)
        found = query.find(endpoint.caller)
        if not found and _is_legacy(endpoint):
            return respond({"status": "UP"})
        shown, url = found[: query.limit], endpoint.url
        headers = {"Link": f'<{url}?{query.after(shown[-1].id)}>; rel="next"'} if len(found) > query.limit else {}
        return respond([execution.render(url) for execution in shown], headers=headers)

    head = get

    @schema.start_execution
    def post(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        """Accept an execution. From the moment on that it is in the database, the answer is 201 whatever happens."""
        subscription = access.get_subscription(endpoint)
        version = access.get_version(subscription, endpoint)
        sse.release_pooled_database()  # a slow client takes its time
        body = bodies.read_json(request)
        try:
            job = submission.submit(
                version=version,
                sent=inputs.parse(body),
                account=subscription.application.account,
                by=Actor(application=subscription.application),
                subscription=subscription,
                idempotency_key=_idempotency_key(request),
                # The same text to another version is another request.
                body_digest=inputs.digest(version.pk.bytes + body),
            )
        except inputs.Refused as refused:
            raise Problem(refused.code, refused.detail, headers=refused.headers, **refused.members) from None
        execution = Execution.of(job, subscription)
        headers = {"Location": f"{endpoint.url}/{job.pk}"}
        execution = _awaited(request, execution, job.attempt, headers)
        return respond(execution.render(endpoint.url), status=201, headers=headers)


class ExecutionView(GatewayView):
    @schema.get_execution
    def get(self, request: HttpRequest, endpoint: Endpoint, id: str) -> HttpResponse:
        """One execution and its status."""
        headers: dict[str, str] = {}
        found = find(endpoint, id)
        execution = _awaited(request, found.execution, found.attempt, headers)
        if headers:
            execution = find(endpoint, id).execution  # the right to see it may have ended in the meantime
        return respond(execution.render(endpoint.url), headers=headers)

    head = get


class InterimResultsView(GatewayView):
    @schema.list_interim_results
    def get(self, request: HttpRequest, endpoint: Endpoint, id: str) -> HttpResponse:
        """What the code announced before its end, newest last."""
        found = find(endpoint, id)
        limit = _limit(_single(request.GET, "limit"))
        rows = JobInterim.objects.filter(job=found.execution.id, attempt=found.attempt).order_by("-number")[:limit]
        return respond(
            [
                {"number": row.number, "createdAt": _time(row.created_at), "result": orjson.Fragment(row.content)}
                for row in reversed(rows)
            ]
        )

    head = get


class CancelView(GatewayView):
    @schema.cancel_execution
    def put(self, request: HttpRequest, endpoint: Endpoint, id: str) -> HttpResponse:
        """Ask for the end. An execution that has ended stays as it is."""
        wanted = access.execution_id(endpoint, id)
        jobs = access.executions(endpoint.caller).select_related("subscription__application")
        job = jobs.filter(pk=wanted).first()
        if job is None:
            raise access.missing_execution(endpoint, id)
        subscription = job.subscription
        assert subscription
        submission.cancel(job=job, by=Actor(application=subscription.application))
        return respond(Execution.of(job, subscription).render(endpoint.url))


class ListQuery(NamedTuple):
    """What a list is asked for."""

    limit: int = LIMIT_DEFAULT
    status: str = ""
    tag: str = ""
    before: UUID | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        """Raises Problem for what cannot be meant."""
        given = request.GET
        if not given:
            return cls()
        limit, status, tag, before = (_single(given, name) for name in ("limit", "status", "tag", "before"))
        if status is not None and status not in MEANT:
            raise _unreadable("status", f"one of {', '.join(MEANT)}")
        if tag == "":
            raise _unreadable("tag", "a tag that executions were started with")
        try:
            earlier = None if before is None else UUID(before)
        except ValueError:
            raise _unreadable("before", "the id of an execution, as the link to the next page has it") from None
        return cls(_limit(limit), status or "", (tag or "")[: TAG_MAX_CHARACTERS + 1], earlier)

    def find(self, caller: Caller) -> list[Execution]:
        """The executions of ``caller``, newest first, and one more where there is a next page."""
        if self == ListQuery():
            return [Execution(*row) for row in LIST.rows(**caller._asdict())]
        statuses = MEANT[self.status] if self.status else [""]
        found = [Execution(*row) for status in statuses for row in self.rows(caller, status)]
        return sorted(found, reverse=True)[: self.limit + 1]  # by their ids, each of its own

    def rows(self, caller: Caller, status: str = "") -> Rows:
        """The rows of one status: each has its place in the index, so that none is sorted."""
        # At a version of the old dialect this address tells its health: no row is found there.
        subscription = access.only(access.subscriptions(caller, dialect=ServiceVersion.Dialect.CURRENT))
        if self.tag:  # its index is in the order of the list too
            tags = JobTag.objects.filter(subscription=subscription, name=self.tag)
            return self._narrow(tags, status, "job__", "job_id")
        return self._narrow(Job.objects.filter(subscription=subscription), status, "", "id")

    def _narrow(self, rows: QuerySet[Any], status: str, path: str, key: str) -> Rows:
        if status:
            rows = rows.filter(**{f"{path}status": status})
        if self.before:
            rows = rows.filter(**{f"{key}__lt": self.before})
        rows = access.by_subscription(rows).order_by(f"-{key}")
        return rows.values_list(*(f"{path}{field}" for field in FIELDS))[: self.limit + 1]

    def after(self, last: UUID) -> str:
        """The query of the next page."""
        given = {"limit": self.limit, "status": self.status, "tag": self.tag, "before": last}
        return urlencode({name: value for name, value in given.items() if value})


class Found(NamedTuple):
    """An execution, and where its log is."""

    execution: Execution
    attempt: int
    log_is_archived: bool


# The two that are asked again and again.
LIST = Prepared(lambda **caller: ListQuery().rows(Caller(**caller)), **Caller.__annotations__)
POLL = Prepared(
    lambda id, **caller: (
        access.executions(Caller(**caller)).filter(pk=id).values_list(*FIELDS, "attempt", "log_archived")
    ),
    id=UUID,
    **Caller.__annotations__,
)


def find(endpoint: Endpoint, id: str) -> Found:
    """The execution ``id``. Raises Problem."""
    row = POLL.row(id=access.execution_id(endpoint, id), **endpoint.caller._asdict())
    if row is None:
        raise access.missing_execution(endpoint, id)
    return Found(Execution(*row[: len(FIELDS)]), *row[len(FIELDS) :])


def _is_legacy(endpoint: Endpoint) -> bool:
    """Whether the version speaks the old dialect. Raises Problem where there is none."""
    dialect = access.subscriptions(endpoint.caller).values_list("service__versions__dialect", flat=True).first()
    if dialect is None:
        raise access.missing_service(endpoint)
    return dialect == ServiceVersion.Dialect.LEGACY


def _awaited(request: HttpRequest, execution: Execution, attempt: int, headers: dict[str, str]) -> Execution:
    """``execution`` as it is after the time that the caller prefers to wait, or at its end where that comes sooner."""
    seconds = waiting.preferred_seconds(request)
    if not seconds or execution.status in FINAL:
        return execution
    try:
        if waiting.has_waited_for_end(execution.id, attempt, seconds):
            headers["Preference-Applied"] = f"wait={seconds}"
            return Execution(*Job.objects.values_list(*FIELDS).get(pk=execution.id))
    except Exception:  # of whatever kind: it was accepted, and a caller who is told otherwise sends it again
        log.warning("Execution %s is there; its end could not be waited for.", execution.id, exc_info=True)
    return execution


def _idempotency_key(request: HttpRequest) -> str:
    """The key, if there is one. Our server hands on as empty what is not ASCII, and a lost key would start twice."""
    key = request.headers.get("Idempotency-Key")
    if key == "":
        raise Problem("invalid_request", submission.KEY_WANTED)
    return key or ""


def _single(given: QueryDict, name: str) -> str | None:
    """The parameter ``name``. Raises Problem where it is there more than once: nobody knows which one is meant."""
    values = given.getlist(name)
    if len(values) > 1:
        raise _unreadable(name, "there once")
    return values[0] if values else None


def _limit(given: str | None) -> int:
    """How many to answer with. Raises Problem."""
    if given is None:
        return LIMIT_DEFAULT
    if not (given.isascii() and given.isdigit() and len(given) <= 4 and 1 <= int(given) <= LIMIT_MAX):
        raise _unreadable("limit", f"a number from 1 to {LIMIT_MAX}")
    return int(given)


def _unreadable(name: str, wanted: str) -> Problem:
    return Problem("invalid_request", f"`{name}` in the address has to be {wanted}. Correct it, or leave it out.")


def _time(moment: datetime) -> str:
    return str(moment)[:19]
