"""An id for each request: in the header of its answer, in every problem, and in every line of the server's log."""

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from portal.lib.ids import new_id

HEADER = "X-Request-ID"
GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")  # what a proxy in front of us may choose

_current: ContextVar[str] = ContextVar("request_id", default="-")


def request_id() -> str:
    """The id of the request that this thread answers; `-` outside of one."""
    return _current.get()


@receiver(request_finished, dispatch_uid="request_id")
def _forget(**_: Any) -> None:
    _current.set("-")


class RequestIdMiddleware:
    """Takes the id that a proxy gave, or makes one. Comes first, so that everything behind it knows the id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        # Until the answer is sent: Django notes a refusal behind all middleware, and a stream is made behind it too.
        _current.set(given if GIVEN.fullmatch(given) else new_id().hex)
        response = self.get_response(request)
        response.headers[HEADER] = request_id()
        return response


class RequestIdFilter(logging.Filter):
    """Gives each record the attribute ``request_id``."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id()
        return True
