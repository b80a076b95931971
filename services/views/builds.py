"""The builds of a service, each with its log."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRefresh

from portal.accounts.requests import AccountRequest
from portal.lib import pagination, sse
from services import rules
from services.models import Build
from services.views import fingerprint, get_build, get_service, live, shell


@login_required
@require_GET
def index(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """Every build of every version, newest first."""
    service = get_service(request, service_id)
    builds = Build.objects.filter(version__service=service).select_related("version", "requested_by")
    page = pagination.newest_first(builds.defer("version__openapi", "version__warnings"), query=request.GET)
    context = shell(request, service, "builds") | {
        "page": page,
        "any_live": any(build.is_live for build in page.rows),
        "seen_rows": fingerprint(*((build.pk, build.status) for build in page.rows)),
    }
    if request.htmx:
        return live(request, "services/build_list.html#list", context)
    return render(request, "services/build_list.html", context)


@login_required
@require_GET
def detail(request: AccountRequest, service_id: UUID, build_id: UUID) -> HttpResponse:
    """One build: how it goes, its log, and why it failed."""
    build = get_build(request, service_id, build_id)
    service = build.version.service
    if request.htmx and request.headers.get("X-Log") not in (None, log_of(build)):
        return HttpResponseClientRefresh()  # the build was interrupted and began again: its log is another one
    newest = build.version.builds.latest("id")
    context = {
        "build": build,
        "newest": newest,
        "log": log_of(build),
        "version": build.version,
        "service": service,
        "can_edit": rules.can_edit(request.user, service),
        "is_elsewhere": service.account_id != request.account.pk,
        "seen": fingerprint(build.status, build.attempt, newest.pk, newest.status),
    }
    if request.htmx:
        return live(request, "services/build_detail.html#head", context)
    return render(request, "services/build_detail.html", context)


def log_of(build: Build) -> str:
    """The name of the log of the current attempt, as the page sends it back."""
    return "-".join(map(str, build.log_name()))


@login_required
@require_GET
def stream_log(request: AccountRequest, service_id: UUID, build_id: UUID) -> HttpResponseBase:
    """The log as server-sent events."""
    build = get_build(request, service_id, build_id)
    return sse.log_response(request, *build.log_name(), live=build.is_live, account=request.account.pk)


@login_required
@require_GET
def download_log(request: AccountRequest, service_id: UUID, build_id: UUID) -> HttpResponseBase:
    """The log as one text file."""
    build = get_build(request, service_id, build_id)
    return sse.log_download(*build.log_name(), filename=f"build-{build.pk}.log")
