"""My services, a new one, and one service: what it is and what people read about it."""

from typing import Any
from uuid import UUID

from django.conf import settings as django_settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Subquery, Value, When
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from portal.accounts.actors import Actor
from portal.accounts.requests import AccountRequest
from portal.accounts.rules import refused
from portal.lib import markdown, pagination
from services import publishing, rules, subscriptions
from services import template as project_template
from services.forms import DESCRIPTION_MAX_CHARACTERS, ServiceForm, SettingsForm
from services.models import Build, BuildStatus, Service, ServiceVersion
from services.subscriptions import TakesAway
from services.views import NEEDS, fingerprint, get_service, go, live, shell, typed_query
from services.views.publication import confirm

TEMPLATE_COMMANDS = """\
unzip mercato-template.zip -d my-service
cd my-service
python -m src
zip -r ../my-service.zip .
"""


@login_required
@require_GET
def index(request: AccountRequest) -> HttpResponse:
    """My services with the state of their newest build; live while one is being made."""
    query = typed_query(request)
    listed = _listed(Service.objects.visible_to(request.account), query)
    page: pagination.Page[Any] = pagination.newest_first(listed, query=request.GET)
    context = {
        "page": page,
        "query": query,
        "any_live": any(service.build_status in BuildStatus.live() for service in page.rows),
        "can_create": rules.can_create(request.user, request.account),
        "seen": fingerprint(*((service.pk, service.build_status) for service in page.rows)),
    }
    if request.htmx:
        return live(request, "services/service_list.html#list", context)
    return render(request, "services/service_list.html", context)


def _listed(services: QuerySet[Service], query: str) -> QuerySet[Service]:
    if query:
        services = services.filter(Q(name__icontains=query) | Q(summary__icontains=query) | Q(slug__icontains=query))
    newest = ServiceVersion.objects.filter(service=OuterRef("pk")).order_by("-id")
    builds = Build.objects.filter(version=OuterRef("newest_version")).order_by("-id")
    return services.defer("description").annotate(
        state=_widest_state(),
        newest_version=Subquery(newest.values("pk")[:1]),
        newest_number=Subquery(newest.values("number")[:1]),
        build_status=Subquery(builds.values("status")[:1]),
    )


def _widest_state() -> Case:
    """The state of that version which most people can use."""
    versions = ServiceVersion.objects.filter(service=OuterRef("pk"))
    states = ("marketplace", "internal", "retired")
    return Case(
        *(When(Exists(versions.filter(publication=state)), then=Value(state)) for state in states),
        When(Exists(versions.exclude(environment="")), then=Value("built")),
        default=Value("draft"),
    )


@login_required
@require_http_methods(["GET", "POST"])
def create(request: AccountRequest) -> HttpResponse:
    """A new service: from the template to an upload. It goes on at the log of the first build."""
    if not rules.can_create(request.user, request.account):
        raise refused(NEEDS[rules.can_create], request.account)
    form = ServiceForm(request.POST or None, request.FILES or None)
    if form.is_valid() and (service := form.create(account=request.account, by=Actor.of(request))):
        return go(request, newest_build_url(service))
    context = {"form": form, "source_max_bytes": django_settings.SOURCE_MAX_BYTES, "commands": TEMPLATE_COMMANDS}
    template = "services/service_create.html" + ("#form" if request.htmx else "")
    return render(request, template, context, status=422 if form.errors else 200)


@login_required
@require_GET
def template(request: AccountRequest) -> HttpResponse:
    """The project template as a zip."""
    return HttpResponse(
        project_template.as_zip(),
        content_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="mercato-template.zip"'},
    )


@login_required
@require_POST
def preview_description(request: AccountRequest) -> HttpResponse:
    """Markdown as the page of the service will show it."""
    text = request.POST.get("description", "")[:DESCRIPTION_MAX_CHARACTERS]
    return render(request, "services/_description.html", {"html": markdown.render(text)})


@login_required
@require_GET
def detail(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """The overview of a service."""
    service = get_service(request, service_id)
    context = shell(request, service, "overview") | {"html": markdown.render(service.description)}
    if request.htmx:
        return live(request, "services/service_base.html#head", context)
    return render(request, "services/service_detail.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def settings(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """Name, summary and description; and the end of the service."""
    can = rules.can_edit if request.method == "POST" else rules.can_view
    service = get_service(request, service_id, can=can)
    form = SettingsForm(request.POST or None, service=service)
    if form.is_valid() and form.save(by=Actor.of(request)):
        messages.success(request, "Saved.")
        return go(request, request.path)
    return _settings_page(request, service, form)


def _settings_page(
    request: AccountRequest, service: Service, form: SettingsForm, *, objections: list[str] | None = None
) -> HttpResponse:
    context = shell(request, service, "settings") | {
        "form": form,
        "objections": objections,
        "can_delete": rules.can_delete(request.user, service),
        "loss": _loss(service),
        "subscription_count": subscriptions.active_of_service(service).count(),
    }
    template = "services/service_settings.html" + ("#form" if request.htmx else "")
    return render(request, template, context, status=422 if form.errors or objections else 200)


def _loss(service: Service) -> str:
    """What deleting takes away, in words for its dialog."""
    counts = {
        "version": service.versions.count(),
        "build": Build.objects.filter(version__service=service).count(),
    }
    named = " and ".join(f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items())
    return (
        f"Its {named}, with source, API description and logs, can not be opened again, and nobody can start a job of "
        "it. Finished jobs stay, with their results, with those who ran them. There is no way back."
    )


@login_required
@require_POST
def delete(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """The end of the service, once its page has said what is lost."""
    service = get_service(request, service_id, can=rules.can_delete)
    try:
        publishing.delete_service(service=service, by=Actor.of(request), confirmed=request.POST.get("confirmed") == "1")
    except TakesAway as asked:
        back = reverse("services:settings", args=[service.pk])
        return confirm(request, service, asked, label=f"Delete {service.name}", back=back)
    except ValidationError as refusal:
        return _settings_page(request, service, SettingsForm(service=service), objections=refusal.messages)
    messages.success(request, f"{service.name} is deleted.")
    return go(request, reverse("services:list"))


def newest_build_url(service: Service) -> str:
    """The page of the build that a new version has just asked for."""
    build = Build.objects.filter(version__service=service).order_by("-id").only("pk").first()
    return reverse("services:build", args=[service.pk, build.pk]) if build else service.get_absolute_url()
