"""Who calls: the bearer token of a request (RFC 6750), and whether it is live. What it may do, others say."""

import re

from django.db.models import QuerySet
from django.http import HttpRequest

from portal.accounts.issuing import REALM, is_live
from portal.accounts.models import AccessToken
from portal.lib import tokens
from portal.lib.errors import Problem

__all__ = ["bearer", "is_live", "live", "require_live"]

BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}=*) *", re.IGNORECASE | re.ASCII)


def bearer(request: HttpRequest) -> str:
    """The token in the Authorization header. Whether it is live, the query of the caller finds out: see `is_live`."""
    given = request.META.get("HTTP_AUTHORIZATION", "")
    if found := BEARER.fullmatch(given):
        return found[1]
    if not given:
        raise _refusal("", "The request has no access token, and this address needs one")
    scheme = given.partition(" ")[0].lower()
    if scheme == "bearer":
        raise _refusal("invalid_token", "The Authorization header does not hold one token behind the word Bearer")
    raise _refusal("", "The Authorization header has another scheme than Bearer")


def live(found: QuerySet[AccessToken], token: str) -> QuerySet[AccessToken]:
    """Of ``found``, the live token ``token``: one row or none."""
    return found.filter(is_live(token))


def require_live(token: str) -> None:
    """Raise 401 unless ``token`` is live.

    For a caller whose own query found nothing: behind this, it is the thing asked for that is missing.
    """
    if live(AccessToken.objects.all(), token).exists():
        return
    if token.startswith((tokens.SECRET_ACCESS_KEY, tokens.ACCESS_KEY_ID)):
        raise _refusal("invalid_token", "This is a key of an application and no access token")
    raise _refusal("invalid_token", "The access token is unknown, expired or revoked")


def _refusal(error: str, what: str) -> Problem:
    # RFC 6750 §3.1: who sent no token, or tried another way, is told no error code, only how to authenticate; one
    # that is malformed is an invalid token, since an invalid request would be a 400.
    named = f', error="{error}", error_description="{what}."' if error else ""
    return Problem(
        "invalid_token",
        f"{what}. Ask for a token at POST /token with the access key id and the secret access key of an application, "
        "and send it as `Authorization: Bearer <token>`.",
        headers={"WWW-Authenticate": f'Bearer realm="{REALM}"{named}'},
    )
