"""The API specification of a version: to read and to take away."""

from functools import lru_cache
from typing import Literal
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from portal.accounts.requests import AccountRequest
from services import contracts
from services.models import Service, ServiceVersion
from services.views import get_service, shell

CONTENT_TYPES = {"yaml": "application/yaml", "json": "application/json"}


@lru_cache(maxsize=16)
def _specification(version: ServiceVersion) -> SafeString:
    """What a version's API offers, operation by operation. A version never changes, and a long one takes a while."""
    contract = contracts.load(version.openapi)
    context = {"contract": contract, "operations": contracts.operations(contract)}
    return render_to_string("services/_specification.html", context)


def _chosen(request: AccountRequest, service: Service) -> ServiceVersion:
    """The version whose number the address names, else the newest."""
    if number := request.GET.get("version"):
        return get_object_or_404(service.versions, number=number)
    return service.versions.latest("id")


@login_required
@require_GET
def api(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """What the API of one version offers, operation by operation."""
    service = get_service(request, service_id)
    chosen = _chosen(request, service)
    context = shell(request, service, "api") | {
        "chosen": chosen,
        "specification": _specification(chosen),
        "numbers": service.versions.order_by("-id").values_list("number", flat=True)[:100],
    }
    return render(request, "services/service_api.html", context)


@login_required
@require_GET
def download(request: AccountRequest, service_id: UUID, kind: Literal["yaml", "json"]) -> HttpResponse:
    """The description of one version as a file."""
    service = get_service(request, service_id)
    if kind not in CONTENT_TYPES:
        raise Http404("A description is there as yaml and as json.")
    chosen = _chosen(request, service)
    return HttpResponse(
        contracts.dump(contracts.load(chosen.openapi), kind),
        content_type=CONTENT_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{service.slug}-{chosen.number}-openapi.{kind}"'},
    )
