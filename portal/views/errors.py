"""What somebody reads when something is not there, not allowed, or broken: a page, or a problem where machines call.

Each says what to do next, and by which id the server's log knows the request.
"""

from http import HTTPStatus

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from portal.lib.errors import Problem
from portal.lib.requests import request_id

MACHINE_PATHS = ("/gateway", "/token", "/oauth", "/.well-known")
NO_ADDRESS = (
    "There is nothing at this address. Services are called at /gateway/<account>/<service>/<version>, the service "
    "endpoint that the page of an application shows; /gateway/openapi.json describes what is below it."
)
DOCUMENTED = "Correct the request; /docs/managed-api/ shows how."
BROKE = (
    "The server could not finish this, and what it did before is kept. Try it again in a moment. If it stays so, tell "
    "the operator the request_id of this answer: the server's log has the rest under it."
)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_for_machines(request):
        # Only ours is for others to read: Django's own tell about settings.
        why = str(exception) if isinstance(exception, BadRequest) else "Its address, host name or headers are wrong."
        return Problem("invalid_request", f"{why} {DOCUMENTED}").response(request)
    return _page(request, "400.html", HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "403.html", HTTPStatus.FORBIDDEN, reason=str(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_for_machines(request):
        return Problem("not_found", NO_ADDRESS).response(request)
    return _page(request, "404.html", HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """Written without session, database and context processors: any of them may be what broke."""
    if _is_for_machines(request):
        return Problem("internal_error", BROKE).response(request)
    text = render_to_string("500.html", {"request_id": request_id()})
    return HttpResponse(text, status=HTTPStatus.INTERNAL_SERVER_ERROR)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _page(request, "403_csrf.html", HTTPStatus.FORBIDDEN, reason=reason)


def _is_for_machines(request: HttpRequest) -> bool:
    path = request.path_info
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in MACHINE_PATHS)


def _page(request: HttpRequest, template: str, status: int, **context: object) -> HttpResponse:
    return render(request, template, {"request_id": request_id(), **context}, status=status)
