"""The pages of jobs. Fetching authorises: what a user may not see is not there."""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Case, Q, QuerySet, When
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs import announcements, claiming, results, retention, rules, submission, timeline
from jobs.forms import JobFilter, JobForm
from jobs.inputs import Refused
from jobs.models import Job, JobAttempt, JobInterim, Status
from portal.accounts.actors import Actor
from portal.accounts.models import Account, User
from portal.accounts.requests import AccountRequest
from portal.accounts.rules import can_maintain, refused
from portal.lib import pagination, sse
from services import catalogue, contracts
from services.contracts import InputForm
from services.models import Service, ServiceVersion

CHOICES_MAX = 200
VERSIONS_MAX = 10
TABS = ("result", "files", "log", "input")


def get_job(request: AccountRequest, job_id: UUID, can: Callable[[User, Job], bool] = rules.can_view) -> Job:
    """The job, if the user is a member of its account: 404 for a stranger, 403 for a member who may not."""
    jobs = Job.objects.filter(account__memberships__user=request.user).select_related("version__service", "account")
    job = get_object_or_404(jobs, pk=job_id)
    if not can(request.user, job):
        raise refused("Cancelling and deleting jobs needs the role maintainer", job.account)
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
@sensitive_post_parameters("secret_value")
def create(request: AccountRequest) -> HttpResponse:
    """New job: a service, then its inputs, with the values of its examples or of an earlier job."""
    if not can_maintain(request.user, request.account.pk):
        raise refused("Running jobs needs the role maintainer", request.account)
    again = get_job(request, earlier) if (earlier := _uuid(request, "again")) else None
    service, version = _chosen(request, again)
    form = _job_form(request, version, again)
    if request.method == "POST" and version is not None and form.is_valid():
        try:
            job = submission.submit(version=version, sent=form.sent(), account=request.account, by=Actor.of(request))
        except Refused as refusal:
            form.take(refusal)
        else:
            return redirect(job)
    context = {
        "services": _choices(request, service),
        "service": service,
        "version": version,
        "others": _other_versions(request, service, version),
        "again": again,
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
def interims(request: AccountRequest, job_id: UUID) -> HttpResponse:
    """What the code announced since the page asked last. When the job has ended, the page is loaded anew."""
    job = get_job(request, job_id)
    if not request.htmx:
        return redirect("jobs:result", job_id)
    if not job.is_live:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    shown = request.GET.get("after", "")
    after = int(shown) if shown.isdecimal() and len(shown) < 10 else 0
    if after and request.GET.get("attempt") != str(job.attempt):  # those of an attempt that was cut off are gone
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    fresh = list(_interims(job).filter(number__gte=after))
    if not fresh or fresh[0].number == after:
        return HttpResponse(status=204)
    return render(request, "jobs/_interims.html", {"job": job, "interims": fresh})


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
    return sse.log_response(request, *job.log_name(), live=not job.log_archived, account=request.account.pk)


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


@login_required
@require_POST
def delete(request: AccountRequest, job_id: UUID) -> HttpResponse:
    """Remove an ended job, with all that it left."""
    job = get_job(request, job_id, can=rules.can_delete)
    try:
        retention.delete(job=job)
    except retention.NotDeletable as refusal:
        messages.error(request, refusal.message)
        return redirect("jobs:detail", job_id)
    messages.success(request, "The job is deleted, with its files, its log and its input.")
    return redirect("jobs:list")


@login_required
@require_GET
def attempt(request: AccountRequest, job_id: UUID, number: int) -> HttpResponse:
    """The log of an attempt that was cut off, after which the job was started again."""
    job = get_job(request, job_id)
    return render(request, "jobs/attempt_detail.html", {"job": job, "attempt": _attempt(job, number)})


@login_required
@require_GET
def attempt_stream(request: AccountRequest, job_id: UUID, number: int) -> HttpResponseBase:
    """Its log as server-sent events."""
    row = _attempt(get_job(request, job_id), number)
    return sse.log_response(request, *row.log_name(), live=not row.log_archived, account=request.account.pk)


@login_required
@require_GET
def attempt_download(request: AccountRequest, job_id: UUID, number: int) -> HttpResponseBase:
    """Its log as one text file."""
    row = _attempt(get_job(request, job_id), number)
    return sse.log_download(*row.log_name(), filename=f"job-{job_id}-attempt-{number}.log")


def _attempt(job: Job, number: int) -> JobAttempt:
    return get_object_or_404(job.attempts, number=number)


def _tab(request: AccountRequest, job: Job, tab: str) -> HttpResponse:
    context = _header(request, job, tab)
    if request.htmx and request.htmx.target == "job-header":
        answer = render(request, "jobs/job_detail.html#header", context)
        if tab == "log" and request.GET.get("attempt") not in (None, str(job.log_name()[-1])):
            answer.headers["HX-Refresh"] = "true"  # the log below is that of an earlier attempt
        return answer
    if tab == "result":
        context["kept_until"] = retention.kept_until(job)
        context["result"], context["result_is_cut"] = results.result_text(job)
        context["interims"] = list(_interims(job))
        context["earlier_interims_max"] = announcements.INTERIMS_KEPT - 1
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
        "interim_count": newest.number if job.is_live and (newest := _interims(job).first()) else 0,
        "attempts": job.attempts.order_by("number"),
        "obstacle": claiming.obstacle(job) if job.status == Status.QUEUED else "",
        "can_delete": not job.is_live and rules.can_delete(request.user, job),
        "can_run_again": not job.is_live
        and job.version.service.deleted_at is None
        and can_maintain(request.user, request.account.pk),
        "can_cancel": job.is_live and not job.cancel_requested_at and rules.can_cancel(request.user, job),
    }


def _interims(job: Job) -> QuerySet[JobInterim]:
    """Those of the current attempt, newest first."""
    return JobInterim.objects.filter(job=job, attempt=job.attempt).order_by("-number")


def _choosable(account: Account) -> QuerySet[Service]:
    """What the form can be about: what the account may run, and its own services, which may not be built yet."""
    own = Q(account=account, deleted_at=None)
    return Service.objects.filter(own | Q(pk__in=catalogue.runnable_by(account))).select_related("account")


def _choices(request: AccountRequest, chosen: Service | None) -> list[Service]:
    """The services of the account first, then those of others, by name; the marketplace has the rest of them."""
    others_last = Case(When(account=request.account, then=0), default=1)
    services = list(_choosable(request.account).order_by(others_last, "name")[:CHOICES_MAX])
    return services if chosen is None or chosen in services else [*services, chosen]


def _chosen(request: AccountRequest, again: Job | None) -> tuple[Service | None, ServiceVersion | None]:
    """The service and the version in the query: the newest that the account may run where no version is named.

    A service of an earlier job may be out of reach today: the page then says so.
    """
    service_id = again.version.service_id if again else _uuid(request, "service")
    if service_id is None:
        return None, None
    service = _choosable(request.account).filter(pk=service_id).first()
    if service is None:
        if again is None:
            raise Http404
        return again.version.service, None
    if number := request.GET.get("version"):
        versions = catalogue.runnable_versions(service, request.account)
        return service, get_object_or_404(versions, number=number)
    return service, catalogue.runnable_version(service, request.account)


def _other_versions(
    request: AccountRequest, service: Service | None, version: ServiceVersion | None
) -> QuerySet[ServiceVersion]:
    if service is None or version is None:
        return ServiceVersion.objects.none()
    return catalogue.runnable_versions(service, request.account).exclude(pk=version.pk)[:VERSIONS_MAX]


def _job_form(request: AccountRequest, version: ServiceVersion | None, again: Job | None) -> JobForm:
    if version is None:
        return JobForm()
    contract = contracts.load(version.openapi)
    wanted = contracts.inputs_of(contract)
    values: dict[str, str] = {each.name: each.example for each in wanted}
    if again is not None:
        earlier = {"data": again.input.data, "params": again.input.params, **again.input.more}
        wanted += [InputForm(name=name) for name in earlier if name not in values]
        values |= earlier
    return JobForm(
        request.POST if request.method == "POST" else None,
        wanted=wanted,
        secret_names=contracts.secret_names(contract),
        values=values,
        tags=again.tags if again else (),
    )


def _uuid(request: AccountRequest, name: str) -> UUID | None:
    """An id in the query; None without one."""
    try:
        return UUID(text) if (text := request.GET.get(name)) else None
    except ValueError:
        raise Http404 from None
