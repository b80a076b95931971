"""What every address of the gateway has in common. The request machinery of REST framework is left out: it would triple
the time of a status poll; its APIView stays, because the description of the API is made from it.
"""

import logging
from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.views import APIView

from portal.api.authentication import bearer
from portal.api.managed.access import Endpoint
from portal.lib.errors import Problem, wrong_method

log = logging.getLogger(__name__)

METHODS = ("get", "head", "post", "put")


class GatewayView(APIView):
    """An address below an endpoint. A handler gets the plain request, the endpoint, and what follows it."""

    authentication_classes: ClassVar[list[Any]] = []
    permission_classes: ClassVar[list[Any]] = []

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            handler = self._handler(request)
            if settings.SECURE_SSL_REDIRECT and not request.is_secure():
                raise _insecure()
            token = bearer(request)
            endpoint = Endpoint(kwargs.pop("account"), kwargs.pop("service"), kwargs.pop("version"), token)
            response = handler(request, endpoint, **kwargs)
        except Problem as problem:
            return problem.response(request)
        except OperationalError:
            log.warning("The database does not answer.", exc_info=True)
            return _away().response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _handler(self, request: HttpRequest) -> Callable[..., HttpResponseBase]:
        name = (request.method or "").lower()
        handler = getattr(self, name, None) if name in METHODS else None
        if handler is None:
            raise wrong_method(request.method, [method.upper() for method in METHODS if hasattr(self, method)])
        return handler


def respond(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    """``body`` as JSON."""
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json", headers=headers)


def _away() -> Problem:
    return Problem(
        "unavailable",
        "The database does not answer, as when it restarts. Ask again in a few seconds, a POST with the same "
        "Idempotency-Key, so that it is not done twice.",
        headers={"Retry-After": "5"},
    )


def _insecure() -> Problem:
    # A redirect would turn a POST into a GET, and the run would be lost without a word.
    return Problem(
        "invalid_request",
        f"This server is called by https only: {settings.PUBLIC_URL}. The token of this call went over the network in "
        "plain text: replace the secret that it was asked for with.",
    )
