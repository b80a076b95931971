"""What an execution left: its result with links to its files, and the files."""

from collections.abc import Iterator
from typing import IO, Any, NamedTuple
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.encoding import escape_uri_path
from django.utils.http import content_disposition_header

from jobs import results
from jobs.models import FINAL, JobFile, Reason, Status
from portal.api.managed import access, documents, ranges, schema
from portal.api.managed.access import Caller, Endpoint
from portal.api.managed.base import GatewayView, respond
from portal.api.managed.executions import FIELDS, SHOWN, Execution
from portal.lib import sse
from portal.lib.errors import TYPE, Problem
from portal.lib.prepared import Prepared, Rows
from services.models import ServiceVersion

RETRY_AFTER_SECONDS = 2
CHUNK_BYTES = 256 * 1024
DEFAULT_TYPE = "application/octet-stream"
OURS = ("self", "status")
# What a synchronous call would have answered; the answer itself is 200, because the question was answered.
FAILED_STATUS = 500


class Ended(NamedTuple):
    """An execution that has ended, with what its result needs."""

    execution: Execution
    reason: str
    detail: str
    error: dict[str, Any] | None
    dialect: str


def _end(*, id: UUID, **caller: Any) -> Rows:
    versions = ServiceVersion.objects.filter(service=OuterRef("subscription__service"), number=caller["number"])
    rows = access.executions(Caller(**caller)).annotate(dialect=Subquery(versions.values("dialect")))
    return rows.filter(pk=id).values_list(*FIELDS, "reason", "detail", "error", "dialect")


END = Prepared(_end, id=UUID, **Caller.__annotations__)


class ResultView(GatewayView):
    @schema.get_result
    def get(self, request: HttpRequest, endpoint: Endpoint, id: str) -> HttpResponseBase:
        """The result, or why there is none."""
        ended = _ended(endpoint, id)
        files = {file.name: file for file in JobFile.objects.filter(job=ended.execution.id).order_by("name")}
        row = files.get(results.RESULT_NAME) if ended.execution.status == Status.SUCCEEDED else None
        if ended.dialect == ServiceVersion.Dialect.LEGACY:
            return _in_old_dialect(ended, row)
        ours = _ours(ended, endpoint, list(files))
        if row is None:
            return respond(_failure(ended, request) | ours if ended.reason else ours)
        return _document(row, ours)

    head = get


class ResultFileView(GatewayView):
    @schema.get_result_file
    def get(self, request: HttpRequest, endpoint: Endpoint, id: str, file: str) -> HttpResponseBase:
        """One file, whole or a range of it; always as a download, since it is foreign content."""
        wanted = access.execution_id(endpoint, id)
        jobs = access.executions(endpoint.caller).filter(pk=wanted)
        row = JobFile.objects.filter(job__in=jobs, name=file.removesuffix("/")).first()
        if row is None:
            _ended(endpoint, id)
            raise _missing_file(file)
        try:
            return _download(request, row)
        except FileNotFoundError:
            raise _missing_file(file) from None

    head = get


class Chunks:
    """A part of a file as it is sent. A class, because closing a generator that never began closes no file."""

    def __init__(self, file: IO[bytes], first: int = 0, behind: int | None = None) -> None:
        self._file = file
        self._left = None if behind is None else behind - first
        file.seek(first)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = self._file.read(CHUNK_BYTES if self._left is None else min(CHUNK_BYTES, self._left))
        if not chunk:
            self.close()
            raise StopIteration
        if self._left is not None:
            self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        self._file.close()


def _ended(endpoint: Endpoint, id: str) -> Ended:
    """The execution, if it has ended. Raises Problem."""
    wanted = access.execution_id(endpoint, id)
    row = END.row(id=wanted, **endpoint.caller._asdict())
    if row is None:
        raise access.missing_execution(endpoint, id)
    ended = Ended(Execution(*row[: len(FIELDS)]), *row[len(FIELDS) :])
    if ended.execution.status not in FINAL:
        shown = SHOWN[Status(ended.execution.status)]
        raise Problem(
            "no_result_yet",
            f"The execution is {shown}, and has a result or the reason why there is none when it has ended. Ask again "
            f"in {RETRY_AFTER_SECONDS} seconds, or ask for the execution with the header `Prefer: wait=60`.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            execution_status=shown,
        )
    return ended


def _ours(ended: Ended, endpoint: Endpoint, names: list[str]) -> dict[str, Any]:
    here = f"{endpoint.url}/{ended.execution.id}"
    links = {name: {"href": f"{here}/result/{escape_uri_path(name)}"} for name in names if name not in OURS}
    return {
        "_embedded": {"status": ended.execution.render(endpoint.url)},
        "_links": {"self": {"href": f"{here}/result"}, "status": {"href": here}} | links,
    }


def _failure(ended: Ended, request: HttpRequest) -> dict[str, Any]:
    """Why there is no result, in the members of RFC 9457 (7807), and the error that left the code."""
    failure = {
        "type": TYPE.format(code=ended.reason),
        "title": Reason(ended.reason).label,
        "status": FAILED_STATUS,
        "detail": ended.detail or Reason(ended.reason).label,
        "instance": escape_uri_path(request.path),
        "code": ended.reason,
    }
    if ended.error:
        failure["error"] = {name: ended.error.get(name, "") for name in ("type", "message")}
    return failure


def _in_old_dialect(ended: Ended, row: JobFile | None) -> HttpResponseBase:
    if ended.reason:
        return respond({"code": ended.reason, "detail": ended.detail or Reason(ended.reason).label})
    if row is None:
        return respond({"metadata": None, "result": None})
    ours = {"metadata": None}
    if row.size > documents.PARSED_MAX_BYTES:
        return _streamed(documents.wrap_large(Chunks(_open(row)), ours))
    return _json(documents.wrap(_content(row), ours))


def _document(row: JobFile, ours: dict[str, Any]) -> HttpResponseBase:
    """The user's keys and ours in one object."""
    if row.size > documents.PARSED_MAX_BYTES:
        return _streamed(documents.merge_large(Chunks(_open(row)), ours))
    return _json(documents.merge(_content(row), ours))


def _download(request: HttpRequest, row: JobFile) -> HttpResponseBase:
    wanted = None
    # Without a validator, a range is only right for somebody who does not ask on condition of one.
    if request.method == "GET" and "Range" in request.headers and "If-Range" not in request.headers:
        wanted = ranges.parse(request.headers["Range"], row.size)
    first, behind = wanted or (0, row.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": content_disposition_header(True, row.name.rpartition("/")[2]) or "attachment",
        "Content-Length": str(behind - first),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    if wanted:
        headers["Content-Range"] = f"bytes {first}-{behind - 1}/{row.size}"
    kind = row.content_type or DEFAULT_TYPE
    if request.method == "HEAD":
        return HttpResponse(content_type=kind, headers=headers)
    chunks = Chunks(results.open_file(row), first, behind)
    sse.release_database()  # a slow client takes its time
    return StreamingHttpResponse(chunks, status=206 if wanted else 200, content_type=kind, headers=headers)


def _open(row: JobFile) -> IO[bytes]:
    try:
        return results.open_file(row)
    except FileNotFoundError:
        raise Problem(
            "not_found",
            "The result of this execution is not in the storage of this server any more. Run it again, or ask the "
            "operator for a backup.",
        ) from None


def _content(row: JobFile) -> bytes:
    with _open(row) as file:
        return file.read()


def _json(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type="application/json")


def _streamed(chunks: Iterator[bytes]) -> HttpResponseBase:
    sse.release_database()
    return StreamingHttpResponse(chunks, content_type="application/json")


def _missing_file(name: str) -> Problem:
    return Problem(
        "not_found",
        f"The execution left no file {name[:200]!r}. Its result names every file in `_links`; ask for one by its whole "
        "name, folders included, percent-encoded.",
    )
