"""The provider's pages. Here: fetching and authorising, the first line of each view, and what all pages share."""

import zlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django_htmx.http import HttpResponseClientRedirect

from portal.accounts.models import User
from portal.accounts.requests import AccountRequest
from portal.accounts.rules import refused
from services import rules
from services.models import Build, Service, ServiceVersion

QUERY_MAX_CHARACTERS = 100  # SQLite refuses to look for a text that is very long
NUMBERS_SHOWN = 100
NEEDS = {
    rules.can_create: "Making services needs the role maintainer",
    rules.can_edit: "Changing and building services needs the role maintainer",
    rules.can_publish: "Publishing and sharing services needs the role maintainer",
    rules.can_delete: "Deleting services needs the role owner",
}


def get_service(
    request: AccountRequest, service_id: UUID, *, can: Callable[[User, Service], bool] = rules.can_view
) -> Service:
    """The service, if the user is a member of its account: 404 for a stranger, 403 for a member who may not.

    Not only those of the account that the user works in now: a link into another account of theirs works.
    """
    services = Service.objects.filter(deleted_at=None, account__memberships__user=request.user)
    service = get_object_or_404(services.select_related("account"), pk=service_id)
    if can is not rules.can_view and not can(request.user, service):
        raise refused(NEEDS[can], service.account)
    return service


def get_version(service: Service, version_id: UUID) -> ServiceVersion:
    """A version of a service that `get_service` gave."""
    return get_object_or_404(service.versions, pk=version_id)


def chosen_version(request: AccountRequest, service: Service) -> ServiceVersion:
    """The version whose number the address names, else the newest."""
    if number := request.GET.get("version"):
        return get_object_or_404(service.versions, number=number)
    return service.versions.latest("id")


def numbers(versions: QuerySet[ServiceVersion]) -> QuerySet[ServiceVersion, str]:
    """The numbers among which a page lets people choose, the newest first."""
    return versions.order_by("-id").values_list("number", flat=True)[:NUMBERS_SHOWN]


def typed_query(request: AccountRequest) -> str:
    """What somebody typed into the search above a list."""
    return request.GET.get("q", "").strip()[:QUERY_MAX_CHARACTERS]


def get_build(request: AccountRequest, service_id: UUID, build_id: UUID) -> Build:
    """A build, with its version and service, if the user is a member of the account."""
    builds = Build.objects.filter(version__service=get_service(request, service_id))
    return get_object_or_404(builds.select_related("version__service__account", "requested_by"), pk=build_id)


def shell(request: AccountRequest, service: Service, tab: str) -> dict[str, Any]:
    """What every page of a service shows: its newest version and build, and what this user may do."""
    version = service.versions.defer("openapi").order_by("-id").first()
    build = version and version.builds.order_by("-id").first()
    is_newest = version is not None and version.is_runnable and version.publication != version.Publication.RETIRED
    runnable = version if is_newest else service.runnable_version()
    return {
        "service": service,
        "tab": tab,
        "version": version,
        "build": build,
        "runnable": runnable,
        "is_unpublished": runnable is not None and runnable.state == "built",
        "can_edit": rules.can_edit(request.user, service),
        "is_elsewhere": service.account_id != request.account.pk,
        "seen": fingerprint(build and (build.pk, build.status), runnable and runnable.pk),
    }


def fingerprint(*state: object) -> str:
    """What a polling part of a page has seen. Sent back with the next poll, see `live`."""
    return f"{zlib.crc32(repr(state).encode()):08x}"


def live(request: AccountRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """A part of a page that asks for itself. 204 where nothing changed, so that focus and selection stay."""
    if request.headers.get("X-Seen") == context.get("seen_rows", context["seen"]):
        return HttpResponse(status=204)
    return render(request, template, context | {"is_swap": True})


def go(request: AccountRequest, url: str) -> HttpResponse:
    """On to another page, also after a form that htmx sent."""
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)
