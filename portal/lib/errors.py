"""What goes wrong at the machine-facing side, as problem+json (RFC 9457). docs/errors.md documents each code."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path
from django.views.decorators.csrf import csrf_exempt

from portal.lib.bodies import drain
from portal.lib.requests import request_id

CONTENT_TYPE = "application/problem+json"
TYPE = "/docs/errors/#{code}"  # a relative reference: resolved against the instance, it opens the documentation

READ_METHODS = ("GET", "HEAD")

# code: (HTTP status, title)
CODES: Mapping[str, tuple[int, str]] = {
    "invalid_json": (400, "The body is not valid JSON"),
    "invalid_input": (400, "The input does not fit the service"),
    "invalid_request": (400, "The request does not say what it has to"),
    "unsupported_reference": (400, "References to data pools are not supported yet"),
    "invalid_token": (401, "The access token is missing, unknown or expired"),
    "not_published": (403, "This version takes no new executions"),
    "storage_full": (403, "The account keeps as many bytes as it may"),
    "not_found": (404, "There is nothing here"),
    "no_result_yet": (404, "The execution has no result yet"),
    "method_not_allowed": (405, "This method is not possible here"),
    "input_too_large": (413, "The input is too large"),
    "unsupported_media_type": (415, "The body is of a type that is not read here"),
    "range_not_satisfiable": (416, "The file does not have that range"),
    "idempotency_key_reused": (422, "The Idempotency-Key belongs to another request"),
    "too_many_requests": (429, "Too many requests"),
    "queue_full": (429, "As many executions wait as may"),
    "internal_error": (500, "Something broke on our side"),
    "unavailable": (503, "The server cannot answer now"),
}


class Problem(Exception):
    """A refusal that a machine reads. ``detail`` says what happened, why, and what to do next."""

    def __init__(self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.code, self.detail, self.members = code, detail, members
        self.status, self.title = CODES[code]
        self.headers = headers or {}

    def response(self, request: HttpRequest) -> HttpResponse:
        """The answer, with the id by which the server's log knows this request."""
        drain(request)
        body = {
            "type": TYPE.format(code=self.code),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": escape_uri_path(request.path),
            "code": self.code,
            "request_id": request_id(),
            **self.members,
        }
        response = HttpResponse(orjson.dumps(body), status=self.status, content_type=CONTENT_TYPE)
        for name, value in self.headers.items():
            response.headers[name] = value
        response.headers["Cache-Control"] = "no-store"
        return response


def wrong_method(method: str | None, allowed: Sequence[str]) -> Problem:
    """The refusal of ``method`` at an address that knows those that are ``allowed``."""
    listed = ", ".join(allowed)
    return Problem(
        "method_not_allowed", f"{method} does nothing here. Possible are: {listed}.", headers={"Allow": listed}
    )


def readable_only(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """``view`` for GET and HEAD. What another method gets is a problem, and not the page of a missing CSRF token."""

    @csrf_exempt
    @wraps(view)
    def readable(request: HttpRequest) -> HttpResponse:
        if request.method not in READ_METHODS:
            return wrong_method(request.method, READ_METHODS).response(request)
        return view(request)

    return readable
