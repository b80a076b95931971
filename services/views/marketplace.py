"""The marketplace: what is on offer to whom looks, signed in or not, and subscribing to it.

Every page begins with what the account that the user works in is offered; for who is not signed in that is what is
published on the marketplace.
"""

from typing import Literal
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from portal.accounts.actors import Actor
from portal.accounts.models import Account
from portal.accounts.requests import AccountRequest
from portal.accounts.rules import can_maintain, refused
from portal.lib import markdown
from services import catalogue, rules, searching, subscriptions
from services.forms import SubscribeForm
from services.models import Service, ServiceVersion, Subscription
from services.views import contracts, numbers

PAGE_CARDS = 24  # whole rows of two and of three
SORTS = {"match": "Best match", "newest": "Newest", "name": "Name", "used": "Most used"}


def get_offered(request: AccountRequest, account_slug: str, service_slug: str) -> Service:
    """The service, if a version of it is on offer to who asks; 404 otherwise, as for one that does not exist."""
    offered = catalogue.offered_to(request.account or None).select_related("account")
    return get_object_or_404(offered, account__slug=account_slug, slug=service_slug)


def get_version(request: AccountRequest, service: Service) -> ServiceVersion:
    """The version on offer whose number the address names, else the newest."""
    offered = catalogue.offered_versions(service, request.account or None)
    number = request.GET.get("version")
    version = get_object_or_404(offered, number=number) if number else offered[0]
    version.service = service
    return version


@require_GET
def index(request: AccountRequest) -> HttpResponse:
    """What is on offer, by search, tag and order, all of them in the address."""
    text = request.GET.get("q", "").strip()[: searching.TEXT_MAX_CHARACTERS]
    tag = request.GET.get("tag", "").strip()
    is_search = searching.is_search(text)
    sorts = {name: label for name, label in SORTS.items() if is_search or name != "match"}
    sort = request.GET.get("sort", "")
    chosen = sort if sort in sorts else next(iter(sorts))
    account = request.account or None
    services = searching.listed(account, text=text, tag=tag)
    page = searching.in_page(services, account=account, sort=chosen, query=request.GET, size=PAGE_CARDS)
    context = {
        "page": page,
        "query": text,
        "tag": tag,
        "sort": sort if sort in sorts else "",
        "sorts": [(label, _link(request.GET, sort=name), name == chosen) for name, label in sorts.items()],
        "tags": [(name, _link(request.GET, tag=name), name == tag) for name in searching.common_tags(account)],
        "untagged": _link(request.GET, tag=""),
        "is_narrowed": bool(is_search or tag),
    }
    return render(request, f"marketplace/service_list.html{'#list' if request.htmx else ''}", context)


def _link(query: QueryDict, **changed: str) -> str:
    """The first page of the list with other conditions."""
    kept = {name: query.get(name, "") for name in ("q", "tag", "sort")} | changed
    return f"?{urlencode({name: value for name, value in kept.items() if value})}"


@require_GET
def detail(request: AccountRequest, account_slug: str, service_slug: str) -> HttpResponse:
    """One service as its consumers see it: `?version=` chooses among those on offer."""
    service = get_offered(request, account_slug, service_slug)
    version = get_version(request, service)
    account = request.account or None
    offered = numbers(catalogue.offered_versions(service, account))
    context = {
        "service": service,
        "version": version,
        "endpoint": subscriptions.endpoint(version),
        "html": markdown.render(service.description),
        "specification": contracts.reference(version, endpoint=subscriptions.endpoint(version)),
        "numbers": offered,
        "is_newest": version.number == offered[0],
        "tags": service.tags.order_by("name"),
        "plans": service.plans.prefetch_related("products").order_by("pk"),
        "subscriptions": _subscriptions(service, account),
        "is_own": request.user.is_authenticated and rules.can_view(request.user, service),
    }
    return render(request, "marketplace/service_detail.html", context)


def _subscriptions(service: Service, account: Account | None) -> list[tuple[Subscription, str]]:
    """The active ones of the account, each with its endpoint."""
    if account is None:
        return []
    found = subscriptions.active_of_service(service).filter(application__account=account).order_by("application__name")
    for subscription in found:
        subscription.version.service = service
    return [(subscription, subscriptions.endpoint(subscription.version)) for subscription in found]


@login_required
@require_http_methods(["GET", "POST"])
def subscribe(request: AccountRequest, account_slug: str, service_slug: str) -> HttpResponse:
    """Choose one of the account's applications, or make one first; then it may call the service."""
    service = get_offered(request, account_slug, service_slug)
    if not can_maintain(request.user, request.account.pk):
        raise refused("Subscribing to services needs the role maintainer", request.account)
    version = get_version(request, service)
    initial = {"application": request.GET.get("application")}
    form = SubscribeForm(request.POST or None, account=request.account, version=version, initial=initial)
    if form.is_valid() and (subscription := form.subscribe(by=Actor.of(request))):
        messages.success(request, f"{subscription.application} may call {service} from now on.")
        return redirect(f"{service.get_offer_url()}?version={version.number}#subscriptions")
    context = {"service": service, "version": version, "form": form, "here": request.get_full_path()}
    return render(request, "marketplace/subscribe.html", context, status=422 if form.errors else 200)


@require_GET
def download(
    request: AccountRequest, account_slug: str, service_slug: str, kind: Literal["yaml", "json"]
) -> HttpResponse:
    """The API description of a version on offer as a file."""
    service = get_offered(request, account_slug, service_slug)
    return contracts.as_file(get_version(request, service), kind)
