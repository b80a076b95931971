"""The pages of jobs. Fetching authorises: what a user may not see is not there."""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs import results, rules, submission, timeline
from jobs.forms import JobFilter, JobForm
from jobs.models import Job
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.accounts.requests import AccountRequest
from portal.accounts.rules import can_maintain
from portal.lib import pagination, sse
from services import contracts
from services.models import Service, ServiceVersion

TABS = ("result", "files", "log", "input")


def get_job(request: AccountRequest, job_id: UUID, can: Callable[[User, Job], bool] = rules.can_view) -> Job:
    """The job, if the user is a member of its account: 404 for a stranger, 403 for a member who may not."""
    jobs = Job.objects.filter(account__memberships__user=request.user).select_related("version__service", "account")
    job = get_object_or_404(jobs, pk=job_id)
    if not can(request.user, job):
        raise PermissionDenied("Your role in this account lets you look at jobs, not change them. Ask an owner.")
    return job


@login_required
@require_GET
def job_list(request: AccountRequest) -> HttpResponse:
    """My jobs: filters in the URL, pages by the id of the last row."""
    form = JobFilter(request.GET, account=request.account)
    form.is_valid()
    jobs = Job.objects.visible_to(request.account).select_related("version__service")
    page = pagination.newest_first(form.narrow(jobs), query=request.GET)
    context = {
        "form": form,
        "page": page,
        "is_filtered": form.is_narrowing(),
        "any_live": any(job.is_live for job in page.rows),
    }
    return render(request, "jobs/job_list.html#list" if request.htmx else "jobs/job_list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def create(request: AccountRequest) -> HttpResponse:
    """New job: a service, then its data and params, those of its examples or of an earlier job."""
    if not can_maintain(request.user, request.account.pk):
        raise PermissionDenied("Your role in this account lets you look at jobs, not run them. Ask an owner.")
    services = Service.objects.visible_to(request.account).order_by("name")
    again = get_job(request, earlier) if (earlier := _uuid(request, "again")) else None
    chosen = again.version.service_id if again else _uuid(request, "service")
    service = get_object_or_404(services, pk=chosen) if chosen else None
    version = service.runnable_version() if service else None
    form = JobForm(request.POST or None, initial=_prefilled(version, again))
    if request.method == "POST" and version is not None and form.is_valid():
        try:
            job = submission.submit(version=version, account=request.account, by=Actor.of(request), **form.cleaned_data)
        except ValidationError as refused:
            form.add_error(None, refused)
        else:
            return redirect(job)
    context = {
        "services": services,
        "service": service,
        "version": version,
        "form": form,
        "input_max_bytes": settings.INPUT_MAX_BYTES,
    }
    return render(request, "jobs/job_create.html", context, status=422 if form.errors else 200)


@login_required
@require_GET
def detail(request: AccountRequest, job_id: UUID) -> HttpResponse:
    """A live job opens on its log, an ended one on its result."""
    job = get_job(request, job_id)
    return _tab(request, job, "log" if job.is_live else "result")


@login_required
@require_GET
def result(request: AccountRequest, job_id: UUID) -> HttpResponse:
    """The result as a JSON tree, or why there is none."""
    return _tab(request, get_job(request, job_id), "result")


@login_required
@require_GET
def files(request: AccountRequest, job_id: UUID) -> HttpResponse:
    """The files that the job left."""
    return _tab(request, get_job(request, job_id), "files")


@login_required
@require_GET
def log(request: AccountRequest, job_id: UUID) -> HttpResponse:
    """The log, live while the job runs."""
    return _tab(request, get_job(request, job_id), "log")


@login_required
@require_GET
def job_input(request: AccountRequest, job_id: UUID) -> HttpResponse:
    """What was sent."""
    return _tab(request, get_job(request, job_id), "input")


@login_required
@require_GET
def file_download(request: AccountRequest, job_id: UUID, name: str) -> FileResponse:
    """One result file, always as a download: it is foreign content."""
    row = get_object_or_404(get_job(request, job_id).files, name=name)
    try:
        content = results.open_file(row)
    except FileNotFoundError:
        raise Http404("This file is not in storage any more.") from None
    sse.release_database()  # a slow client takes its time
    return FileResponse(content, as_attachment=True, filename=name.rpartition("/")[2], content_type=row.content_type)


@login_required
@require_GET
def log_stream(request: AccountRequest, job_id: UUID) -> HttpResponseBase:
    """The log as server-sent events."""
    job = get_job(request, job_id)
    return sse.log_response(request, *job.log_name(), live=not job.log_archived)


@login_required
@require_GET
def log_download(request: AccountRequest, job_id: UUID) -> HttpResponseBase:
    """The log as one text file."""
    return sse.log_download(*get_job(request, job_id).log_name(), filename=f"job-{job_id}.log")


@login_required
@require_POST
def cancel(request: AccountRequest, job_id: UUID) -> HttpResponse:
    """Ask for the job to end."""
    job = get_job(request, job_id, can=rules.can_cancel)
    submission.cancel(job=job, by=Actor.of(request))
    tab = request.POST.get("tab", "")
    if request.htmx and tab in TABS:
        return render(request, "jobs/job_detail.html#header", _header(request, job, tab))
    return redirect("jobs:detail", job_id)


def _tab(request: AccountRequest, job: Job, tab: str) -> HttpResponse:
    context = _header(request, job, tab)
    if request.htmx and request.htmx.target == "job-header":
        return render(request, "jobs/job_detail.html#header", context)
    if tab == "result":
        context["result"], context["result_is_cut"] = results.result_text(job)
    elif tab == "files":
        context["files"] = job.files.order_by("name")
    elif tab == "input":
        context["input"] = job.input
    return render(request, "jobs/job_detail.html", context)


def _header(request: AccountRequest, job: Job, tab: str) -> dict[str, object]:
    return {
        "job": job,
        "tab": tab,
        "tab_url": reverse(f"jobs:{tab}", args=[job.pk]),
        "steps": timeline.steps(job),
        "can_run_again": not job.is_live and job.version.service.deleted_at is None,
        "can_cancel": job.is_live and not job.cancel_requested_at and rules.can_cancel(request.user, job),
    }


def _prefilled(version: ServiceVersion | None, again: Job | None) -> dict[str, str]:
    if again is not None:
        return {"data": again.input.data, "params": again.input.params}
    if version is None:
        return {}
    data, params = contracts.example_input(contracts.load(version.openapi))
    return {"data": data, "params": params}


def _uuid(request: AccountRequest, name: str) -> UUID | None:
    """An id in the query; None without one."""
    try:
        return UUID(text) if (text := request.GET.get(name)) else None
    except ValueError:
        raise Http404 from None
