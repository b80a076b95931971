"""The versions of a service: what there is, the next one, and building one again."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import OuterRef, Subquery
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from portal.accounts.actors import Actor
from portal.accounts.requests import AccountRequest
from portal.lib import pagination
from services import builds, rules
from services.forms import VersionForm
from services.models import Build, BuildStatus
from services.views import fingerprint, get_service, get_version, go, live, shell


@login_required
@require_GET
def index(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """Every version with the state of its newest build, newest first."""
    service = get_service(request, service_id)
    newest = Build.objects.filter(version=OuterRef("pk")).order_by("-id")
    versions = service.versions.defer("openapi", "warnings").annotate(
        build_id=Subquery(newest.values("pk")[:1]), build_status=Subquery(newest.values("status")[:1])
    )
    page: pagination.Page[Any] = pagination.newest_first(versions, query=request.GET)
    context = shell(request, service, "versions") | {
        "page": page,
        "any_live": any(version.build_status in BuildStatus.live() for version in page.rows),
        "seen_rows": fingerprint(*((version.pk, version.build_status) for version in page.rows)),
    }
    if request.htmx:
        return live(request, "services/version_list.html#list", context)
    return render(request, "services/version_list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def create(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """The next version. It goes on at the log of its build."""
    service = get_service(request, service_id, can=rules.can_edit)
    latest = service.versions.defer("openapi").latest("id")
    form = VersionForm(request.POST or None, request.FILES or None, service=service, latest=latest)
    if form.is_valid() and (version := form.create(by=Actor.of(request))):
        build = version.builds.latest("id")
        return go(request, reverse("services:build", args=[service.pk, build.pk]))
    context = shell(request, service, "versions") | {"form": form, "source_max_bytes": settings.SOURCE_MAX_BYTES}
    template = "services/version_create.html" + ("#form" if request.htmx else "")
    return render(request, template, context, status=422 if form.errors else 200)


@login_required
@require_POST
def rebuild(request: AccountRequest, service_id: UUID, version_id: UUID) -> HttpResponse:
    """Build a version again, with its requirements resolved afresh. It goes on at the log of that build."""
    version = get_version(get_service(request, service_id, can=rules.can_edit), version_id)
    build = builds.request_build(version=version, by=Actor.of(request), fresh=True)
    return go(request, reverse("services:build", args=[service_id, build.pk]))
