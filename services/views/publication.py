"""Publishing: which version is offered to whom, with whom the service is shared, and who subscribed."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from portal.accounts.actors import Actor
from portal.accounts.requests import AccountRequest
from portal.lib import pagination
from services import catalogue, publication, rules, subscriptions
from services.forms import ShareForm
from services.models import Service, ServiceVersion
from services.subscriptions import TakesAway
from services.views import get_service, get_version, shell

SUBSCRIBERS_SHOWN = 100


@login_required
@require_GET
def index(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """Each version with its state and the next step, the shares, and the active subscriptions."""
    return _page(request, get_service(request, service_id), ShareForm())


def _page(request: AccountRequest, service: Service, form: ShareForm) -> HttpResponse:
    versions = service.versions.defer("openapi", "warnings").select_related("service__account")
    page: pagination.Page[Any] = pagination.newest_first(versions, query=request.GET)
    active = subscriptions.active_of_service(service)
    context = shell(request, service, "publication") | {
        "page": page,
        "versions": [(version, subscriptions.endpoint(version)) for version in page.rows],
        "is_offered": catalogue.offered_version(service, service.account) is not None,
        "can_publish": rules.can_publish(request.user, service),
        "shares": service.shares.select_related("account").order_by("account__name"),
        "subscriptions": active[:SUBSCRIBERS_SHOWN],
        "subscription_count": active.count(),
        "form": form,
    }
    return render(request, "services/service_publication.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def publish(request: AccountRequest, service_id: UUID, version_id: UUID) -> HttpResponse:
    """Offer a version to more or to fewer: internally, or on the marketplace."""
    version = get_version(get_service(request, service_id, can=rules.can_publish), version_id)
    scope = request.POST.get("scope", "")

    def act(*, confirmed: bool) -> str:
        found = publication.publish(version=version, scope=scope, by=Actor.of(request), confirmed=confirmed)
        where = "on the marketplace" if scope == ServiceVersion.Publication.MARKETPLACE else "internally"
        return f"{found.number} is published {where}."

    label = f"Make {version.number} internal"  # of the two, only this takes something away
    return _done_or_asked(request, version.service, act, label=label, sent={"scope": scope})


@login_required
@require_POST
def retire(request: AccountRequest, service_id: UUID, version_id: UUID) -> HttpResponse:
    """Take a version off."""
    version = get_version(get_service(request, service_id, can=rules.can_publish), version_id)

    def act(*, confirmed: bool) -> str:
        publication.retire(version=version, by=Actor.of(request), confirmed=confirmed)
        return f"{version.number} is retired: it takes no new executions and no new subscriptions."

    return _done_or_asked(request, version.service, act, label=f"Retire {version.number}")


@login_required
@require_POST
def share(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """Share with one more account."""
    service = get_service(request, service_id, can=rules.can_publish)
    form = ShareForm(request.POST)
    if form.is_valid() and (found := form.share(service=service, by=Actor.of(request))):
        messages.success(request, f"Shared with {found.account}.")
        return redirect("services:publication", service_id)
    return _page(request, service, form)


@login_required
@require_POST
def unshare(request: AccountRequest, service_id: UUID, share_id: int) -> HttpResponse:
    """Share with an account no more."""
    service = get_service(request, service_id, can=rules.can_publish)
    shared = get_object_or_404(service.shares.select_related("account", "service"), pk=share_id)

    def act(*, confirmed: bool) -> str:
        publication.unshare(share=shared, by=Actor.of(request), confirmed=confirmed)
        return f"{shared.account} may no longer subscribe to what is published internally."

    return _done_or_asked(request, service, act, label=f"Stop sharing with {shared.account}")


def _done_or_asked(
    request: AccountRequest,
    service: Service,
    act: Callable[..., str],
    *,
    label: str,
    sent: dict[str, str] | None = None,
) -> HttpResponse:
    """Do it and go back to the page; where subscribers would lose something, ask on a page that lists them."""
    try:
        messages.success(request, act(confirmed=request.POST.get("confirmed") == "1"))
    except TakesAway as asked:
        back = reverse("services:publication", args=[service.pk])
        return confirm(request, service, asked, label=label, back=back, sent=sent)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    return redirect("services:publication", service.pk)


def confirm(
    request: AccountRequest,
    service: Service,
    asked: TakesAway,
    *,
    label: str,
    back: str,
    sent: dict[str, str] | None = None,
) -> HttpResponse:
    """The question whether to take something away from ``asked.subscriptions``; its form repeats this request."""
    context = {
        "service": service,
        "asked": asked,
        "label": label,
        "back": back,
        "sent": {**(sent or {}), "confirmed": "1"},
        "subscriptions": asked.subscriptions[:SUBSCRIBERS_SHOWN],
        "subscription_count": len(asked.subscriptions),
    }
    return render(request, "services/publication_confirm.html", context, status=422)
