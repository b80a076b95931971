"""Access tokens of applications: issued (RFC 6749 §4.4), taken back (RFC 7009), described (RFC 7662), forgotten.

oauthlib holds the protocol; what HTTP needs around it is portal.api.oauth's business.
"""

import hashlib
import hmac
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from oauthlib.common import Request
from oauthlib.oauth2 import BackendApplicationServer, RequestValidator
from oauthlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnsupportedGrantTypeError,
)

from portal.accounts.applications import LIVE_SECRETS_MAX
from portal.accounts.models import AccessToken, ApplicationSecret
from portal.lib import tokens
from portal.lib.buckets import Bucket, take

SCOPE = "default"
GRANT_TYPE = "client_credentials"
TOKEN_SECONDS = 3600
LAST_USED_SECONDS = 60  # how exact `last_used_at` is: a write less for each token in between
DUMMY_DIGEST = "0" * 64
FORGET_AT_A_TIME = 5_000  # SQLite has one writer, and others wait while it removes
REALM = "mercato"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a client sent: its parameters, and how it names and proves itself."""

    parameters: Mapping[str, str]
    key: str
    secret: str
    address: str


class Answer(NamedTuple):
    """What it gets. The body is JSON, or nothing."""

    headers: Mapping[str, str]
    body: str
    status: int


class UnknownClient(InvalidClientError):
    """Nobody proved to be a client. The challenge names the scheme that we take; oauthlib's own would say Bearer."""

    headers: Mapping[str, str] = {"WWW-Authenticate": f'Basic realm="{REALM}", charset="UTF-8"'}


class TooManyRequests(OAuth2Error):
    """RFC 6749 knows no code for it; the status says it."""

    error = "too_many_requests"
    status_code = 429

    def __init__(self, wait_seconds: float) -> None:
        self.retry_after = max(1, math.ceil(wait_seconds))
        super().__init__(
            "Too many requests came from this address or with this access key. "
            f"Try again in {self.retry_after} s, and use one token until it expires instead of asking for a new one."
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


def issue(sent: Sent) -> Answer:
    """A new access token."""
    return _answer(sent, lambda server, asked: server.create_token_response("/token", **asked))


def revoke(sent: Sent) -> Answer:
    """Take a token back. One that is unknown, dead or somebody else's is no error and stays what it is."""
    _require_token(sent)
    return _answer(sent, lambda server, asked: server.create_revocation_response("/oauth/revoke", **asked))


def introspect(sent: Sent) -> Answer:
    """Whether a token of this client is live, and until when. All others are not active."""
    _require_token(sent)
    return _answer(sent, lambda server, asked: server.create_introspect_response("/oauth/introspect", **asked))


def is_live(token: str, *, via: str = "") -> Q:
    """The condition for the live token ``token``: not expired, its secret neither revoked nor expired, its application
    not deleted.

    ``via`` is the path to AccessToken from the queried model, such as ``subscription__application__tokens``. Give all
    conditions on that path in one ``filter()``: each further one would join the table again.
    """
    return is_live_digest(tokens.digest(token), now=timezone.now(), via=via)


def is_live_digest(digest: str, *, now: datetime, via: str = "") -> Q:
    """The same for the digest of a token, at the time ``now``."""
    path = f"{via}__" if via else ""
    never_ends = Q(**{f"{path}secret__expires_at": None}) | Q(**{f"{path}secret__expires_at__gt": now})
    return never_ends & Q(
        **{
            f"{path}digest": digest,
            f"{path}expires_at__gt": now,
            f"{path}secret__revoked_at": None,
            f"{path}application__deleted_at": None,
        }
    )


def forget_expired() -> int:
    """Remove the expired tokens; how many it were."""
    expired = AccessToken.objects.filter(expires_at__lt=timezone.now())
    removed = 0
    while page := list(expired.values_list("pk", flat=True)[:FORGET_AT_A_TIME]):
        removed += AccessToken.objects.filter(pk__in=page).delete()[0]
    return removed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Client:
    """A client that has proved who it is, and with which secret. `client_id` is oauthlib's name."""

    client_id: str
    application_id: UUID
    secret_id: UUID
    secret_expires_at: datetime | None
    secret_last_used_at: datetime | None


class _Validator(RequestValidator):
    """Answers what oauthlib asks about the request ``sent``."""

    def __init__(self, sent: Sent) -> None:
        super().__init__()
        self.sent = sent

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        failures = _failures_of(self.sent)
        _admit(
            Bucket(f"token:address:{self.sent.address}", settings.TOKEN_REQUESTS_PER_ADDRESS),
            Bucket(failures.name, failures.per_minute, cost=0),
        )
        client = _find_client(self.sent.key, self.sent.secret)
        if client is None:
            _admit(failures)
            raise UnknownClient(
                "The access key id and the secret access key do not belong together, or the secret was revoked or has "
                "expired, or the application was deleted. Compare them with the page of the application, or make a new "
                "secret there."
            )
        # Only now, so that nobody who merely knows an access key id can use its share up.
        _admit(Bucket(f"token:key:{client.application_id}", settings.TOKEN_REQUESTS_PER_KEY))
        request.client, request.client_id = client, client.client_id
        return True

    def validate_grant_type(self, *args: Any, **kwargs: Any) -> bool:
        return True  # there is one, and _require_grant_type has seen it

    def get_default_scopes(self, *args: Any, **kwargs: Any) -> list[str]:
        return [SCOPE]

    def validate_scopes(self, client_id: str, scopes: list[str], *args: Any, **kwargs: Any) -> bool:
        if set(scopes) != {SCOPE}:
            raise InvalidScopeError(f"The only scope here is {SCOPE}. Ask for it, or send no scope at all.")
        return True

    def save_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> None:
        now = timezone.now()
        client: _Client = request.client
        AccessToken.objects.create(
            digest=tokens.digest(token["access_token"]),
            application_id=client.application_id,
            secret_id=client.secret_id,
            expires_at=now + timedelta(seconds=token["expires_in"]),
        )
        _note_use(client, now)

    def revoke_token(self, token: str, token_type_hint: str | None, request: Request, *args: Any, **kw: Any) -> None:
        AccessToken.objects.filter(digest=tokens.digest(token), application=request.client.application_id).delete()

    def introspect_token(
        self, token: str, token_type_hint: str | None, request: Request, *args: Any, **kwargs: Any
    ) -> dict[str, Any] | None:
        found = AccessToken.objects.filter(is_live(token), application=request.client.application_id)
        row = found.values("created_at", "expires_at").first()
        if row is None:
            return None
        return {
            "scope": SCOPE,
            "client_id": request.client.client_id,
            "sub": str(request.client.application_id),
            "token_type": "Bearer",
            "iat": int(row["created_at"].timestamp()),
            "exp": int(row["expires_at"].timestamp()),
            "iss": settings.PUBLIC_URL,
        }


def _answer(sent: Sent, ask: Callable[[BackendApplicationServer, dict[str, Any]], Any]) -> Answer:
    server = BackendApplicationServer(
        _Validator(sent),
        token_generator=lambda _: tokens.new_token(tokens.ACCESS_TOKEN),
        token_expires_in=lambda request: _lifetime(request.client),
    )
    server.credentials_grant.custom_validators.pre_token.append(_require_grant_type)
    # oauthlib gets no credentials: it has no use for them, and its errors quote what it has.
    body = {name: value for name, value in sent.parameters.items() if not name.startswith("client_")}
    return Answer(*ask(server, {"http_method": "POST", "body": body, "headers": {}}))


def _require_grant_type(request: Request) -> None:
    """Before oauthlib does it in fewer words."""
    if not request.grant_type:
        raise InvalidRequestError(f"The parameter grant_type is missing. Send grant_type={GRANT_TYPE} in the body.")
    if request.grant_type != GRANT_TYPE:
        raise UnsupportedGrantTypeError(
            f"The only grant type here is {GRANT_TYPE}: an application acts for itself. Send "
            f"grant_type={GRANT_TYPE} with the access key id and the secret access key of an application."
        )


def _require_token(sent: Sent) -> None:
    if "token" not in sent.parameters:
        raise InvalidRequestError("The parameter token is missing. Send token=<the access token> in the body.")


def _find_client(key: str, secret: str) -> _Client | None:
    """The client that ``key`` and ``secret`` prove; an unknown key costs what a wrong secret costs."""
    now, given = timezone.now(), tokens.digest(secret)
    live = ApplicationSecret.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now),
        revoked_at=None,
        application__access_key_id=key,
        application__deleted_at=None,
    )
    rows = live.values_list("digest", "application_id", "pk", "expires_at", "last_used_at")
    found = [row for row in rows if hmac.compare_digest(row[0], given)]
    for _ in range(LIVE_SECRETS_MAX - len(rows)):
        hmac.compare_digest(DUMMY_DIGEST, given)
    if not found:
        return None
    _, application_id, secret_id, expires_at, last_used_at = found[0]
    return _Client(
        client_id=key,
        application_id=application_id,
        secret_id=secret_id,
        secret_expires_at=expires_at,
        secret_last_used_at=last_used_at,
    )


def _lifetime(client: _Client) -> int:
    """No token outlives the secret that it was asked for with."""
    if client.secret_expires_at is None:
        return TOKEN_SECONDS
    left = (client.secret_expires_at - timezone.now()).total_seconds()
    return max(1, min(TOKEN_SECONDS, int(left)))


def _note_use(client: _Client, now: datetime) -> None:
    known, long_ago = client.secret_last_used_at, now - timedelta(seconds=LAST_USED_SECONDS)
    if known is None or known < long_ago:
        ApplicationSecret.objects.filter(pk=client.secret_id).update(last_used_at=now)


def _failures_of(sent: Sent) -> Bucket:
    """Failed attempts with one key from one address: neither another address nor another key suffers from them."""
    who = hashlib.sha256(f"{sent.address} {sent.key}".encode()).hexdigest()[:32]
    return Bucket(f"token:failures:{who}", settings.TOKEN_FAILURES_PER_MINUTE)


def _admit(*buckets: Bucket) -> None:
    if wait := take(*buckets):
        raise TooManyRequests(wait)
