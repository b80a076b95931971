"""What an application may call: subscribed to, moved to another version, unsubscribed from."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts import rules
from portal.accounts.actors import Actor
from portal.accounts.models import Application
from portal.accounts.requests import AccountRequest
from services import catalogue, contracts, searching, subscriptions
from services.models import ServiceVersion, Subscription
from services.views import NUMBERS_SHOWN, go, typed_query
from services.views.applications import get_application, shell


def get_subscription(request: AccountRequest, subscription_id: UUID) -> Subscription:
    """The subscription, if the user may change its application: 404 for a stranger, 403 for a viewer."""
    mine = subscriptions.active().filter(application__account__memberships__user=request.user)
    subscription = get_object_or_404(mine, pk=subscription_id)
    get_application(request, subscription.application_id, can=rules.can_change_application)
    return subscription


def _opened(request: AccountRequest, subscription: Subscription) -> HttpResponse:
    """On to the page of the application, with this subscription open."""
    url = f"{subscription.application.get_absolute_url()}?{urlencode({'call': subscription.pk})}"
    return go(request, f"{url}#subscription-{subscription.pk}")


@login_required
@require_http_methods(["GET", "POST"])
def subscribe(request: AccountRequest, application_id: UUID) -> HttpResponse:
    """Choose a service among those on offer to the account of the application."""
    application = get_application(request, application_id, can=rules.can_change_application)
    refusal: list[str] = []
    if request.method == "POST":
        service = get_object_or_404(catalogue.offered_to(application.account), pk=_id(request, "service"))
        try:
            subscription = subscriptions.subscribe(application=application, service=service, by=Actor.of(request))
        except ValidationError as error:
            refusal = error.messages
        else:
            messages.success(request, f"{application} may call {service} now.")
            return _opened(request, subscription)
    context = shell(request, application, "overview") | _on_offer(request, application) | {"refusal": refusal}
    template = "applications/subscription_create.html" + ("#list" if request.htmx else "")
    return render(request, template, context, status=422 if refusal else 200)


def _on_offer(request: AccountRequest, application: Application) -> dict[str, Any]:
    """A page of the services that the application does not subscribe to yet, by name."""
    query = typed_query(request)
    subscribed = subscriptions.active_of_application(application).order_by().values("service")
    services = searching.listed(application.account, text=query).exclude(pk__in=subscribed)
    return {
        "page": searching.in_page(services, account=application.account, sort="name", query=request.GET),
        "query": query,
        "has_all": not query and subscribed.exists(),
    }


def _id(request: AccountRequest, name: str) -> UUID | None:
    try:
        return UUID(request.POST.get(name, ""))
    except ValueError:
        return None


@login_required
@require_http_methods(["GET", "POST"])
def upgrade(request: AccountRequest, subscription_id: UUID) -> HttpResponse:
    """Another version: what differs for a caller, and the step itself."""
    subscription = get_subscription(request, subscription_id)
    offered = catalogue.offered_versions(subscription.service, subscription.application.account)
    refusal: list[str] = []
    if request.method == "POST":
        version = get_object_or_404(offered, pk=_id(request, "version"))
        try:
            subscriptions.upgrade(subscription=subscription, by=Actor.of(request), version=version)
        except ValidationError as error:
            refusal = error.messages
        else:
            messages.success(request, f"{subscription.application} calls {version} now.")
            return _opened(request, subscription)
    others = offered.exclude(pk=subscription.version_id)
    number = request.GET.get("version")
    target = get_object_or_404(others, number=number) if number else others.first()
    shown = others.defer("openapi")[:NUMBERS_SHOWN]
    context = _comparison(request, subscription, target) | {"others": shown, "refusal": refusal}
    return render(request, "applications/subscription_upgrade.html", context, status=422 if refusal else 200)


def _comparison(request: AccountRequest, subscription: Subscription, target: ServiceVersion | None) -> dict[str, Any]:
    """What a caller meets who goes from the version of ``subscription`` to ``target``."""
    differences: list[contracts.Difference] = []
    if target:
        before, after = (contracts.load(version.openapi) for version in (subscription.version, target))
        differences = contracts.differences(before, after)
    return shell(request, subscription.application, "overview") | {
        "subscription": subscription,
        "target": target,
        "differences": differences,
        "is_breaking": any(difference.breaking for difference in differences),
        "old_endpoint": subscriptions.endpoint(subscription.version),
        "new_endpoint": subscriptions.endpoint(target) if target else "",
    }


@login_required
@require_POST
def unsubscribe(request: AccountRequest, subscription_id: UUID) -> HttpResponse:
    """The end of a subscription, once its page has said what stops working."""
    subscription = get_subscription(request, subscription_id)
    subscriptions.unsubscribe(subscription=subscription, by=Actor.of(request))
    messages.success(request, f"{subscription.application} is not subscribed to {subscription.service} any more.")
    return go(request, subscription.application.get_absolute_url())
