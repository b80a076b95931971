"""What each request learns about its user: the account they work in, and that their session is alive."""

import contextlib
import hashlib
from collections.abc import Callable

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from redis.exceptions import RedisError

from portal.accounts.models import Account

SESSION_KEY = "account"
ACTIVITY_SECONDS = 300

Handler = Callable[[HttpRequest], HttpResponse]


class CurrentAccountMiddleware:
    """Sets `request.account`, chosen in the switcher of the page. Lazy, and falsy for somebody who is not signed in."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.account = SimpleLazyObject(lambda: current_account(request))  # type: ignore[attr-defined]
        return self.get_response(request)


def current_account(request: HttpRequest) -> Account | None:
    """The account chosen in the session, if the user is still a member; else the personal one."""
    user = request.user
    if not user.is_authenticated:
        return None
    user.load_memberships()
    accounts = [membership.account for membership in user.memberships.all()]
    chosen = request.session.get(SESSION_KEY)
    # An operator may have taken the membership in one's own account away; pages then show it without any right.
    own = accounts[0] if accounts else user.personal_account
    return next((account for account in accounts if str(account.pk) == chosen), own)


class ActivityMiddleware:
    """Notes when and from where a session was last seen, for the page of active sessions.

    Instead of allauth's own middleware, which writes to the database at every request. A change of address or browser
    is noted at once.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.session.session_key and request.user.is_authenticated and _is_news(request):
            UserSession.objects.create_from_request(request)
        return self.get_response(request)


def _is_news(request: HttpRequest) -> bool:
    seen = (
        request.session.session_key or "",
        get_adapter(request).get_client_ip(request),
        request.headers.get("User-Agent", ""),
    )
    name = hashlib.sha256("\0".join(seen).encode()).hexdigest()
    with contextlib.suppress(RedisError):  # pages go on while the broker restarts
        return cache.add(f"seen:{name}", 1, timeout=ACTIVITY_SECONDS)
    return False
