"""What the account may use, and what it uses: for its members."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from jobs.models import CLAIMED, Job, Status
from portal.accounts import quotas
from portal.accounts.requests import AccountRequest


@login_required
@require_GET
def limits(request: AccountRequest) -> HttpResponse:
    """The limits of the current account, each with how much of it is in use."""
    jobs = Job.objects.visible_to(request.account)
    context = {
        "limits": quotas.limits_of(request.account.pk),
        "running": jobs.filter(status__in=CLAIMED).count(),
        "queued": jobs.filter(status=Status.QUEUED).count(),
        "stored": quotas.storage_of(request.account.pk),
    }
    return render(request, "accounts/limits.html", context)
