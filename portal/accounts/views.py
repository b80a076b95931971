"""The user's own pages that allauth does not have: profile, and which account they work in."""

from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.forms import ProfileForm, SwitchForm
from portal.accounts.middleware import SESSION_KEY
from portal.accounts.requests import AccountRequest


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: AccountRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, initial={"name": request.user.name})
    if request.method == "POST" and form.is_valid():
        request.user.rename(form.cleaned_data["name"])
        messages.success(request, "Your profile is saved.")
        return redirect("accounts:profile")
    return render(request, "accounts/profile.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_POST
def switch(request: AccountRequest) -> HttpResponse:
    form = SwitchForm(request.POST, user=request.user)
    if not form.is_valid():
        raise Http404  # not an account of this user, which they need not know to exist
    request.session[SESSION_KEY] = str(form.cleaned_data["account"].pk)
    return redirect(_page_for_all_accounts(form.cleaned_data["next"]))


def _page_for_all_accounts(url: str) -> str:
    """``url`` without its query, or the list next to it where it shows one thing, which another account does not have.

    The dashboard where neither is a page of ours.
    """
    if not url_has_allowed_host_and_scheme(url, allowed_hosts=None):
        return resolve_url("dashboard")
    try:
        path = urlsplit(url).path
        match = resolve(path)
        return reverse(f"{match.app_name}:list") if match.kwargs else path
    except (Resolver404, NoReverseMatch):
        return resolve_url("dashboard")
