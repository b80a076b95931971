"""The clients of an account: the list, a new one, one with its credentials and subscriptions, and its end.

The text of a secret lives in the answer to the POST that made it and nowhere else: no redirect, no session, no cache.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from portal.accounts import applications, rules
from portal.accounts.actors import Actor
from portal.accounts.forms import ApplicationForm, SecretForm
from portal.accounts.models import Application, ApplicationSecret, User
from portal.accounts.requests import AccountRequest
from portal.lib import pagination
from services import catalogue, snippets, subscriptions
from services.models import Subscription

DEAD_SECRETS_SHOWN = 3
SUBSCRIPTIONS_SHOWN = 20
NAMED_MAX = 5
NEEDS = {
    rules.can_create_application: "Making applications needs the role maintainer",
    rules.can_change_application: "Changing applications, their secrets and subscriptions needs the role maintainer",
    rules.can_delete_application: "Deleting applications needs the role owner",
}


def get_application(
    request: AccountRequest,
    application_id: UUID,
    *,
    can: Callable[[User, Application], bool] = rules.can_view_application,
) -> Application:
    """The application, if the user is a member of its account: 404 for a stranger, 403 for a member who may not.

    Not only those of the account that the user works in now: a link into another account of theirs works.
    """
    mine = Application.objects.filter(deleted_at=None, account__memberships__user=request.user)
    application = get_object_or_404(mine.select_related("account"), pk=application_id)
    if can is not rules.can_view_application and not can(request.user, application):
        raise rules.refused(NEEDS[can], application.account)
    return application


@login_required
@require_GET
def index(request: AccountRequest) -> HttpResponse:
    """The applications of the account, newest first, with what each may call and when it last asked for a token."""
    live = Q(secrets__revoked_at=None) & (Q(secrets__expires_at=None) | Q(secrets__expires_at__gt=timezone.now()))
    active = subscriptions.active().order_by().filter(application=OuterRef("pk")).values("application")
    listed = Application.objects.visible_to(request.account).annotate(
        live_secrets=Count("secrets", filter=live),
        last_used_at=Max("secrets__last_used_at"),
        subscribed=Subquery(active.annotate(count=Count("pk")).values("count")),
    )
    context = {
        "page": pagination.newest_first(listed, query=request.GET),
        "can_create": rules.can_create_application(request.user, request.account),
    }
    return render(request, "applications/application_list.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def create(request: AccountRequest) -> HttpResponse:
    """A new application. The answer to the form is the only page that ever shows its first secret."""
    if not rules.can_create_application(request.user, request.account):
        raise rules.refused(NEEDS[rules.can_create_application], request.account)
    form = ApplicationForm(request.POST or None)
    after = _local(request.POST.get("next") or request.GET.get("next", ""))
    if form.is_valid() and (created := form.create(account=request.account, by=Actor.of(request))):
        return _reveal(request, *created, after=after)
    context = {"form": form, "next": after}
    return render(request, "applications/application_create.html", context, status=422 if form.errors else 200)


def _local(url: str) -> str:
    """``url``, if it is a page of ours."""
    return url if url.startswith("/") and url_has_allowed_host_and_scheme(url, allowed_hosts=None) else ""


def _reveal(
    request: AccountRequest,
    application: Application,
    text: str,
    *,
    secret: ApplicationSecret | None = None,
    after: str = "",
) -> HttpResponse:
    """The page that shows a secret, once. ``after``: where somebody came from who needed an application."""
    if after:
        after += ("&" if "?" in after else "?") + urlencode({"application": application.pk})
    context = {
        "application": application,
        "secret": secret,
        "text": text,
        "token_curl": snippets.token_curl(application, text),
        "token_endpoint": snippets.token_endpoint(),
        "next": after,
        "is_elsewhere": application.account_id != request.account.pk,
    }
    return render(request, "applications/application_secret.html", context, status=201)


@login_required
@require_GET
def detail(request: AccountRequest, application_id: UUID) -> HttpResponse:
    """Its credentials, and how to call what it subscribes to. `?call=<subscription>&in=<language>` opens a snippet."""
    application = get_application(request, application_id)
    page = pagination.newest_first(_subscribed(application), query=request.GET, size=SUBSCRIPTIONS_SHOWN)
    for subscription in page.rows:
        subscription.version.service = subscription.service  # which was fetched, with its account
    context = (
        shell(request, application, "overview")
        | {
            "page": page,
            "rows": [(subscription, subscriptions.endpoint(subscription.version)) for subscription in page.rows],
            **_shown_secrets(application),
            "token_endpoint": snippets.token_endpoint(),
            "languages": [(name, title) for name, (title, _, _) in snippets.LANGUAGES.items()],
        }
        | _called(request, page.rows)
    )
    if request.htmx and context["called"]:
        return render(request, "applications/_call.html", context | {"subscription": context["called"]})
    return render(request, "applications/application_detail.html", context)


def _subscribed(application: Application) -> QuerySet[Subscription]:
    """Its subscriptions, each with whether its version is still on offer and the newest one that is."""
    offered = catalogue.on_offer(application.account).filter(service=OuterRef("service"))
    newest = offered.order_by("-id")
    return subscriptions.active_of_application(application).annotate(
        is_offered=Exists(offered.filter(pk=OuterRef("version"))),
        newest_id=Subquery(newest.values("pk")[:1]),
        newest_number=Subquery(newest.values("number")[:1]),
    )


def _called(request: AccountRequest, shown: list[Subscription]) -> dict[str, Any]:
    """The subscription whose snippet is open: the one that the address names, else the newest."""
    wanted, language = request.GET.get("call"), request.GET.get("in", "")
    called = next((each for each in shown if str(each.pk) == wanted), shown[0] if shown else None)
    name = language if language in snippets.LANGUAGES else next(iter(snippets.LANGUAGES))
    title, highlighting, write = snippets.LANGUAGES[name]
    snippet = {"title": title, "language": highlighting, "text": write(called) if called else ""}
    return {"called": called, "chosen": name, "snippet": snippet}


def _shown_secrets(application: Application) -> dict[str, Any]:
    """Its secrets, live ones first, each with what is lost without it; and whether there is room for another."""
    tokens = Count("tokens", filter=Q(tokens__expires_at__gt=timezone.now()))
    newest = application.secrets.select_related("created_by").annotate(live_tokens=tokens).order_by("-id")
    live = list(newest.live())
    dead = newest.exclude(pk__in=[secret.pk for secret in live])[:DEAD_SECRETS_SHOWN]
    return {
        "secrets": [(secret, _loss_of_secret(secret, live)) for secret in [*live, *dead]],
        "has_live": bool(live),
        "has_room": len(live) < applications.LIVE_SECRETS_MAX,
    }


def _loss_of_secret(secret: ApplicationSecret, live: list[ApplicationSecret]) -> str:
    """What stops when ``secret`` is revoked, and what goes on, in words for its dialog."""
    count: int = getattr(secret, "live_tokens", 0)
    tokens = f" and the {count} access token{'' if count == 1 else 's'} that came from it" if count else ""
    left = next((other for other in live if other != secret), None)
    goes_on = (
        f"What uses the other one, which ends in {left.ending}, goes on."
        if left
        else "It is the last live one: until you add another, nothing can call services with this application."
    )
    return f"At once, what still uses it{tokens} is refused (401). {goes_on} There is no way back."


def shell(request: AccountRequest, application: Application, tab: str) -> dict[str, Any]:
    """What every page of an application shows."""
    return {
        "application": application,
        "tab": tab,
        "is_elsewhere": application.account_id != request.account.pk,  # first: it fetches what the rules ask for
        "can_change": rules.can_change_application(request.user, application),
        "can_delete": rules.can_delete_application(request.user, application),
    }


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def create_secret(request: AccountRequest, application_id: UUID) -> HttpResponse:
    """A second secret. The answer to the form is the only page that ever shows it."""
    application = get_application(request, application_id, can=rules.can_change_application)
    form = SecretForm(request.POST if request.method == "POST" else None, application=application)
    if form.is_valid() and (created := form.create(by=Actor.of(request))):
        secret, text = created
        return _reveal(request, application, text, secret=secret)
    context = shell(request, application, "overview") | {
        "form": form,
        "live": list(application.secrets.live().order_by("id")),
        "max": applications.LIVE_SECRETS_MAX,
    }
    return render(request, "applications/secret_create.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def revoke_secret(request: AccountRequest, secret_id: UUID) -> HttpResponse:
    """The end of a secret, once its page has said what stops working."""
    mine = ApplicationSecret.objects.filter(application__account__memberships__user=request.user)
    secret = get_object_or_404(mine, pk=secret_id)
    application = get_application(request, secret.application_id, can=rules.can_change_application)
    applications.revoke_secret(secret=secret, by=Actor.of(request))
    messages.success(request, f"The secret …{secret.ending} is revoked.")
    return redirect(application)


@login_required
@require_http_methods(["GET", "POST"])
def settings(request: AccountRequest, application_id: UUID) -> HttpResponse:
    """Its name, and its end."""
    can = rules.can_change_application if request.method == "POST" else rules.can_view_application
    application = get_application(request, application_id, can=can)
    form = ApplicationForm(request.POST or None, initial={"name": application.name})
    if form.is_valid() and form.rename(application, by=Actor.of(request)):
        messages.success(request, "Saved.")
        return redirect("applications:settings", application.pk)
    context = shell(request, application, "settings") | {"form": form, "loss": _loss(application)}
    return render(request, "applications/application_settings.html", context, status=422 if form.errors else 200)


def _loss(application: Application) -> str:
    """What deleting takes away, in words for its dialog."""
    active = subscriptions.active_of_application(application)
    names = list(active.annotate(called=F("service__name")).values_list("called", flat=True))
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    calls = f" Nothing can call {', '.join(names[:NAMED_MAX])}{more} with it any more." if names else ""
    count = application.secrets.live().count()
    secrets = f"{count} live secret{'' if count == 1 else 's'}"
    return (
        f"Its {secrets} and all access tokens stop working at once.{calls} What it executed stays with "
        f"{application.account}. There is no way back."
    )


@login_required
@require_POST
def delete(request: AccountRequest, application_id: UUID) -> HttpResponse:
    """The end of the application, once its page has said what is lost."""
    application = get_application(request, application_id, can=rules.can_delete_application)
    applications.delete_application(application=application, by=Actor.of(request))
    messages.success(request, f"{application.name} is deleted.")
    return redirect(reverse("applications:list"))
