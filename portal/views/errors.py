"""What somebody reads when something is not there, not allowed, or broken: a page, or a problem where machines call.

Each says what to do next, and by which id the server's log knows the request.
"""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import BadRequest, DisallowedHost, RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme

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
        return Problem("invalid_request", f"{_why_bad(exception)} {DOCUMENTED}").response(request)
    if isinstance(exception, RequestDataTooBig):
        words = {"limit": settings.DATA_UPLOAD_MAX_MEMORY_SIZE, "back": request.get_full_path()}
        return _page(request, "413.html", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, **words)
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
    """The way back is the page that had the form, as the browser says, else the address that the form was sent to."""
    page = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    back = page if is_ours else request.path
    return _page(request, "403_csrf.html", HTTPStatus.FORBIDDEN, reason=reason, back=back)


class OpenedLikeAPageMiddleware:
    """Shows a page where somebody opens an address that only takes what a form sends, as after logging in again.
    Django answers 405 with nothing in it, for which browsers show an error of their own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != HTTPStatus.METHOD_NOT_ALLOWED or _is_for_machines(request):
            return response
        page = _page(request, "405.html", HTTPStatus.METHOD_NOT_ALLOWED, back=_page_above(request.path_info))
        page.headers["Allow"] = response.headers["Allow"]
        return page


def _page_above(path: str) -> str:
    """The nearest address above ``path`` that there is."""
    while path := path.rstrip("/").rpartition("/")[0]:
        try:
            resolve(f"{path}/")
        except Resolver404:
            continue
        return f"{path}/"
    return reverse("landing")


def _why_bad(exception: Exception) -> str:
    """Only ours is for others to read: Django's own words tell about settings."""
    if isinstance(exception, BadRequest):
        return str(exception)
    if isinstance(exception, DisallowedHost):
        return f"The server does not answer to the host name of this address. Call it at {settings.PUBLIC_URL}."
    return "The address or the headers of the request are wrong."


def _is_for_machines(request: HttpRequest) -> bool:
    path = request.path_info
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in MACHINE_PATHS)


def _page(request: HttpRequest, template: str, status: int, **context: object) -> HttpResponse:
    return render(request, template, {"request_id": request_id(), **context}, status=status)
