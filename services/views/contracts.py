"""The API specification of a version: to read, to take away and to write."""

from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from csp.constants import NONCE
from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods

from portal.accounts.actors import Actor
from portal.accounts.requests import AccountRequest
from services import contracts, rules, subscriptions
from services.forms import DescriptionForm
from services.models import ServiceVersion
from services.views import chosen_version, get_service, get_version, go, numbers, shell

PROBLEMS_SHOWN = 50
CONTENT_TYPES = {"yaml": "application/yaml", "json": "application/json"}


def reference(version: ServiceVersion, *, endpoint: str = "") -> SafeString:
    """What the API of a version offers, operation by operation, with calls to copy that go to ``endpoint``."""
    return _reference(version.openapi, endpoint)


@lru_cache(maxsize=16)
def _reference(openapi: str, endpoint: str) -> SafeString:
    return _rendered(contracts.load(openapi), endpoint)  # a long one takes a while


def _rendered(contract: contracts.Contract, endpoint: str = "") -> SafeString:
    context = {"contract": contract, "operations": contracts.operations(contract, endpoint=endpoint)}
    return render_to_string("services/parts/reference.html", context)


@login_required
@require_GET
def api(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """What the API of one version offers, operation by operation."""
    service = get_service(request, service_id)
    chosen = chosen_version(request, service)
    context = shell(request, service, "api") | {
        "chosen": chosen,
        "specification": reference(chosen, endpoint=subscriptions.endpoint(chosen) if chosen.is_published else ""),
        "numbers": numbers(service.versions.all()),
    }
    return render(request, "services/service_api.html", context)


@login_required
@require_GET
def download(request: AccountRequest, service_id: UUID, kind: Literal["yaml", "json"]) -> HttpResponse:
    """The description of one version as a file."""
    service = get_service(request, service_id)
    return as_file(chosen_version(request, service), kind)


def as_file(version: ServiceVersion, kind: Literal["yaml", "json"]) -> HttpResponse:
    """The description of ``version`` as a download; 404 for a ``kind`` that is neither yaml nor json."""
    if kind not in CONTENT_TYPES:
        raise Http404("A description is there as yaml and as json.")
    name = f"{version.service.slug}-{version.number}-openapi.{kind}"
    return HttpResponse(
        contracts.dump(contracts.load(version.openapi), kind),
        content_type=CONTENT_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@login_required
@require_http_methods(["GET", "POST"])
@csp_update({"style-src": [NONCE]})  # type: ignore[arg-type]  # CodeMirror writes a style sheet
def edit(request: AccountRequest, service_id: UUID, version_id: UUID) -> HttpResponse:
    """The editor of a version's description: saves, opens a file, or (asked by htmx while one types) only checks."""
    service = get_service(request, service_id, can=rules.can_edit)
    version = get_version(service, version_id)
    version.service = service
    form = DescriptionForm(request.POST or None, request.FILES or None, version=version, start=request.GET.get("start"))
    if form.is_to_be_saved and form.is_valid() and (saved := form.save(by=Actor.of(request))):
        messages.success(request, f"The API description of {saved.number} is saved.")
        return go(request, f"{reverse('services:api', args=[service.pk])}?version={saved.number}")
    context = _checked(form.text_now()) | {"chosen": version, "form": form}
    if request.htmx:
        return render(request, "services/api_edit.html#checked", context | {"is_swap": True})
    if form.overtaken:
        context["differences"] = contracts.differences(contracts.load(form.overtaken.openapi), context["contract"])
    context |= shell(request, service, "api") | {"openapi_max_bytes": settings.OPENAPI_MAX_BYTES}
    is_refused = form.was_published_meanwhile or (form.is_to_be_saved and form.errors)
    return render(request, "services/api_edit.html", context, status=422 if is_refused else 200)


def _checked(text: str) -> dict[str, Any]:
    """What the editor says of ``text``, and how it will look."""
    try:
        contract = contracts.accept(text, name="The description")
    except contracts.ContractRejected as rejected:
        return {"problems": rejected.problems[:PROBLEMS_SHOWN], "more": len(rejected.problems) - PROBLEMS_SHOWN}
    return {"contract": contract, "preview": _rendered(contract)}


@login_required
@require_GET
def template(request: AccountRequest) -> HttpResponse:
    """The default description, with comments, as a file."""
    return HttpResponse(
        contracts.template(),
        content_type=CONTENT_TYPES["yaml"],
        headers={"Content-Disposition": 'attachment; filename="openapi-spec.yml"'},
    )
