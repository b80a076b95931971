"""The landing page and the dashboard: reads only."""

from django.contrib.auth.decorators import login_required
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.http import require_GET

from jobs.models import FINAL, LIVE, Job
from portal.accounts.models import Account
from portal.accounts.requests import AccountRequest
from services import catalogue
from services.models import Build, Service

JOBS_SHOWN = 8
SERVICES_SHOWN = 6
LONG_TEXTS = ("detail", "error", "version__openapi", "version__warnings", "version__service__description")


@require_GET
def landing(request: HttpRequest) -> HttpResponse:
    """What Mercato is, on one screen."""
    return render(request, "portal/landing.html")


@login_required
@require_GET
def dashboard(request: AccountRequest) -> HttpResponse:
    """What runs, what ran last, and the services with the state of their newest build."""
    jobs = Job.objects.visible_to(request.account).select_related("version__service").defer(*LONG_TEXTS).order_by("-id")
    running = list(jobs.filter(status__in=LIVE)[:JOBS_SHOWN])
    services = services_with_builds(request.account)
    context = {
        "running": running,
        "latest": list(jobs.filter(status__in=FINAL)[:JOBS_SHOWN]),
        "services": services,
        "can_run": catalogue.runnable_by(request.account).exists(),
        "is_live": bool(running) or any(build and build.is_live for _, build in services),
    }
    return render(request, "portal/dashboard.html#board" if request.htmx else "portal/dashboard.html", context)


@require_GET
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look when what they show is no page of ours: a picture of a job, an answer in JSON."""
    return redirect(static("favicon.ico"))


def services_with_builds(account: Account) -> list[tuple[Service, Build | None]]:
    """The services that changed last, each with its newest build; two queries."""
    newest = Build.objects.filter(version__service=OuterRef("pk")).order_by("-id").values("id")[:1]
    services = Service.objects.visible_to(account).defer("description").annotate(newest_build=Subquery(newest))
    shown = list(services.order_by("-updated_at")[:SERVICES_SHOWN])
    builds = Build.objects.select_related("version").defer("version__openapi", "version__warnings", "detail")
    found = builds.in_bulk([service.newest_build for service in shown if service.newest_build])
    return [(service, found.get(service.newest_build)) for service in shown]
