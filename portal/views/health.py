"""Whether this instance lives, and whether it can work: for load balancers and watchdogs."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from portal import health


@never_cache
@require_GET
def healthz(request: HttpRequest) -> HttpResponse:
    """The process lives. If not, restart it."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_GET
def readyz(request: HttpRequest) -> HttpResponse:
    """Every part works, or 503 and which one does not. If not, send people elsewhere; a restart would not help."""
    parts = health.check()
    ready = health.is_ready(parts)
    return JsonResponse(
        {"status": "ready" if ready else "not ready", "parts": parts},
        status=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE,
        json_dumps_params={"indent": 2},
    )
