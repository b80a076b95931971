"""Types of the requests that our views take; they exist for readers and for mypy only."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from portal.accounts.models import Account, User


class HtmxHttpRequest(HttpRequest):
    """Any request: `HtmxMiddleware` has put `request.htmx` on it."""

    htmx: HtmxDetails


class AccountRequest(HtmxHttpRequest):
    """A request behind `login_required`: somebody is signed in and works in an account."""

    user: User
    account: Account
