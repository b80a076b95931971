"""What Ctrl-K finds: pages, the services and jobs of the account that the user works in, and what is offered to it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from jobs.models import SHORT_ID_LENGTH, Job
from portal.accounts.requests import AccountRequest
from services import catalogue
from services.models import Service

FOUND_MAX = 8
ID_DIGITS = 32
RECENT_MAX = 1000  # jobs whose ids are searched from their end, which no index knows


@dataclass(frozen=True)
class Place:
    """A page that everybody has. ``words`` are other names that people look for."""

    title: str
    url_name: str
    icon: str
    words: str = ""

    @property
    def url(self) -> str:
        return reverse(self.url_name)

    def matches(self, query: str) -> bool:
        return all(part in f"{self.title} {self.words}".lower() for part in query.lower().split())


PLACES = (
    Place("Dashboard", "dashboard", "home", "start overview"),
    Place("Jobs", "jobs:list", "job", "executions runs results logs"),
    Place("New job", "jobs:create", "play", "run start execute"),
    Place("Services", "services:list", "service", "code programs"),
    Place("New service", "services:create", "plus", "upload zip create publish"),
    Place("Applications", "applications:list", "key", "clients credentials consumer keys secrets tokens subscriptions"),
    Place("New application", "applications:create", "plus", "client credentials consumer key secret"),
    Place("Marketplace", "marketplace:list", "market", "catalogue offers subscribe find"),
    Place("Documentation", "docs", "book", "help guide manual"),
    Place("Profile", "accounts:profile", "user", "account name settings"),
    Place("E-mail address", "account_email", "mail", "mail settings"),
    Place("Password", "account_change_password", "key", "security settings"),
    Place("Two factors and passkeys", "mfa_index", "shield", "security mfa totp webauthn recovery"),
    Place("Sessions", "usersessions_list", "device", "security devices browsers"),
)


@login_required
@require_GET
def palette(request: AccountRequest) -> HttpResponse:
    """Everything that begins with, or is called, what was typed; a page of its own where there is no script."""
    query = request.GET.get("q", "").strip()[:100]
    context: dict[str, Any] = {
        "query": query,
        "places": [place for place in PLACES if place.matches(query)][:FOUND_MAX],
        "services": find_services(request, query),
        "offers": find_offers(request, query),
        "jobs": find_jobs(request, query),
    }
    template = "portal/palette.html#results" if request.htmx else "portal/palette.html"
    return render(request, template, context)


def find_services(request: AccountRequest, query: str) -> list[Service]:
    """Services by part of the name, or by the beginning of the id."""
    services = Service.objects.visible_to(request.account)
    first, last = id_range(query)
    if first and last:
        return list(services.filter(pk__range=(first, last)).order_by("-pk")[:FOUND_MAX])
    return list(services.filter(name__icontains=query).order_by("name")[:FOUND_MAX])


def find_offers(request: AccountRequest, query: str) -> list[Service]:
    """What others offer to the account, by part of the name; nothing without a query."""
    if not query:
        return []
    others = catalogue.offered_to(request.account).exclude(account=request.account).filter(name__icontains=query)
    return list(others.select_related("account").order_by("name")[:FOUND_MAX])


def find_jobs(request: AccountRequest, query: str) -> list[Job]:
    """Jobs by the beginning of the id or by the end that lists show, or those of the services with that name; the
    newest without a query.
    """
    jobs = Job.objects.visible_to(request.account).select_related("version__service").order_by("-pk")
    first, last = id_range(query)
    if first and last:
        recent = jobs.values_list("pk", flat=True)[:RECENT_MAX]
        shown = [pk for pk in recent if str(pk)[-SHORT_ID_LENGTH:].startswith(query.lower())]
        return list(jobs.filter(Q(pk__range=(first, last)) | Q(pk__in=shown[:FOUND_MAX]))[:FOUND_MAX])
    if query:
        jobs = jobs.filter(version__service__name__icontains=query)
    return list(jobs.defer("version__openapi")[:FOUND_MAX])


def id_range(query: str) -> tuple[UUID, UUID] | tuple[None, None]:
    """The first and last id that begin with ``query``, so that the primary key's index finds them."""
    digits = query.replace("-", "").lower()
    if len(digits) < 4 or len(digits) > ID_DIGITS or any(digit not in "0123456789abcdef" for digit in digits):
        return None, None
    return UUID(digits.ljust(ID_DIGITS, "0")), UUID(digits.ljust(ID_DIGITS, "f"))
