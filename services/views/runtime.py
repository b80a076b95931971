"""How a version runs: what is settled in it, what may change without a new one, and its variables."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from portal.accounts.actors import Actor
from portal.accounts.requests import AccountRequest
from services import rules, runtimes, variables
from services.forms import OperationForm, VariableForm
from services.models import Service, ServiceVersion
from services.views import chosen_version, get_service, get_version, numbers, shell


@login_required
@require_GET
def index(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """The settings of one version. Its variables are for those who may change them."""
    service = get_service(request, service_id)
    return _page(request, service, chosen_version(request, service))


@login_required
@require_POST
def operate(request: AccountRequest, service_id: UUID, version_id: UUID) -> HttpResponse:
    """Change how a version is run."""
    version = get_version(get_service(request, service_id, can=rules.can_edit), version_id)
    form = OperationForm(request.POST, version=version)
    if form.is_valid() and form.save(by=Actor.of(request)):
        messages.success(request, f"Saved. Jobs of {version.number} that start from now on run so.")
        return redirect(address(version))
    return _page(request, version.service, version, operation=form)


@login_required
@require_POST
@sensitive_post_parameters("value")
@sensitive_variables("form")
def set_variable(request: AccountRequest, service_id: UUID, version_id: UUID) -> HttpResponse:
    """Add a variable, or give one another value."""
    version = get_version(get_service(request, service_id, can=rules.can_edit), version_id)
    before = next((each for each in variables.shown(version) if each.name == request.POST.get("of")), None)
    form = VariableForm(request.POST, before=before)
    if form.is_valid() and form.save(version=version, by=Actor.of(request)):
        done = f"{form.cleaned_data['name']} is set. Jobs that start from now on get it."
        if request.htmx:
            return _page(request, version.service, version, done=done)
        messages.success(request, done)
        return redirect(address(version))
    return _page(request, version.service, version, changed=form)


@login_required
@require_POST
def remove_variable(request: AccountRequest, service_id: UUID, version_id: UUID, variable: str) -> HttpResponse:
    """Take a variable away, once its page has said what is lost."""
    version = get_version(get_service(request, service_id, can=rules.can_edit), version_id)
    if variables.remove_variable(version=version, by=Actor.of(request), name=variable):
        messages.success(request, f"{variable} is removed. Jobs that start from now on do not have it.")
    return redirect(address(version))


def address(version: ServiceVersion) -> str:
    """The page about ``version``."""
    return f"{reverse('services:runtime', args=[version.service_id])}?version={version.number}"


@sensitive_variables("changed")
def _page(
    request: AccountRequest,
    service: Service,
    version: ServiceVersion,
    *,
    operation: OperationForm | None = None,
    changed: VariableForm | None = None,
    done: str = "",
) -> HttpResponse:
    """The page, or its part with the variables, with the form that was refused, if one was."""
    context = shell(request, service, "runtime") | {
        "chosen": version,
        "numbers": numbers(service.versions.all()),
        "default_interpreter": next(iter(runtimes.interpreters()), ""),
        "operation": operation or OperationForm(version=version),
        "done": done,
    }
    if context["can_edit"]:
        context |= _variables(version, changed)
    template = "services/service_runtime.html" + ("#variables" if request.htmx else "")
    is_refused = (operation is not None and operation.errors) or (changed is not None and changed.errors)
    return render(request, template, context, status=422 if is_refused else 200)


@sensitive_variables("changed", "forms")
def _variables(version: ServiceVersion, changed: VariableForm | None) -> dict[str, Any]:
    """Each variable with the form that changes it, and the form for one more."""
    forms = [VariableForm(before=each) for each in variables.shown(version)]
    new = VariableForm()
    if changed is not None and changed.before is None:
        new = changed
    elif changed is not None and changed.before is not None:
        name = changed.before.name
        forms = [changed if form.before and form.before.name == name else form for form in forms]
    return {"variables": forms, "new_variable": new, "variables_max": variables.COUNT_MAX}
