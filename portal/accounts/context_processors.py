"""What the frame of every page shows: the account switcher and the warnings of the instance."""

from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest

from portal.accounts import rules
from portal.accounts.models import User


def shell(request: HttpRequest) -> dict[str, Any]:
    """Variables of templates/base.html."""
    shown: dict[str, Any] = {"demo": settings.DEMO, "unsafe_runtime": settings.ALLOW_UNSAFE_RUNTIME}
    account = getattr(request, "account", None)  # an error page may be rendered before the middleware ran
    shown["frame"] = "base.html" if account else "base_public.html"  # of pages that are read before and after a login
    if account:
        user = cast(User, request.user)  # nobody else has an account
        shown |= {
            "current_account": account,
            "current_role": rules.role_in(user, account.pk),
            "accounts": [membership.account for membership in user.memberships.all()],
            "can_maintain": rules.can_maintain(user, account.pk),
        }
    return shown
