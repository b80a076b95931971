"""/token and its relatives: machines come here with credentials of their own, so neither session nor CSRF token counts.

Plain functions, because a request of them has to cost milliseconds.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus

import orjson
from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from oauthlib.oauth2.rfc6749.errors import OAuth2Error

from portal.accounts import issuing
from portal.accounts.issuing import Answer, Sent
from portal.api.oauth.reading import read
from portal.lib.bodies import drain
from portal.lib.errors import readable_only

log = logging.getLogger(__name__)

METHODS = ("client_secret_basic", "client_secret_post")
METADATA_SECONDS = 3600
AWAY_RETRY_SECONDS = 5


@csrf_exempt
def token(request: HttpRequest) -> HttpResponse:
    """An access token for an application (RFC 6749 §4.4)."""
    return _respond(request, issuing.issue)


@csrf_exempt
def revoke(request: HttpRequest) -> HttpResponse:
    """Take an access token back (RFC 7009)."""
    return _respond(request, issuing.revoke)


@csrf_exempt
def introspect(request: HttpRequest) -> HttpResponse:
    """Whether an access token is live (RFC 7662)."""
    return _respond(request, issuing.introspect)


@readable_only
def metadata(request: HttpRequest) -> HttpResponse:
    """Where everything is and what it can do (RFC 8414)."""
    facts = {
        "issuer": settings.PUBLIC_URL,
        "token_endpoint": _address("oauth:token"),
        "token_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint": _address("oauth:revoke"),
        "revocation_endpoint_auth_methods_supported": METHODS,
        "introspection_endpoint": _address("oauth:introspect"),
        "introspection_endpoint_auth_methods_supported": METHODS,
        "grant_types_supported": [issuing.GRANT_TYPE],
        "response_types_supported": [],  # those of an authorization endpoint, which applications do not need
        "scopes_supported": [issuing.SCOPE],
        "service_documentation": _address("docs_page", "authentication"),
    }
    response = HttpResponse(orjson.dumps(facts), content_type="application/json")
    response["Cache-Control"] = f"public, max-age={METADATA_SECONDS}"
    return response


def _respond(request: HttpRequest, act: Callable[[Sent], Answer]) -> HttpResponse:
    if request.method != "POST":
        answer = _not_post()
    else:
        try:
            answer = act(read(request))
        except OAuth2Error as error:
            answer = Answer(error.headers, error.json, error.status_code)
        except OperationalError:
            log.warning("The database does not answer.", exc_info=True)
            answer = _away()
    if answer.status >= HTTPStatus.BAD_REQUEST:
        drain(request)
    response = HttpResponse(answer.body, status=answer.status, content_type="application/json")
    if not answer.body:
        del response["Content-Type"]  # nothing is no JSON, and clients that read by the type would choke on it
    for name, value in answer.headers.items():
        response[name] = value
    response["Cache-Control"], response["Pragma"] = "no-store", "no-cache"
    return response


def _not_post() -> Answer:
    what = "This address takes POST only. Send the parameters as a form in the body of a POST."
    return _refusal("invalid_request", what, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "POST"})


def _away() -> Answer:
    # RFC 6749 has this code for another endpoint only, and none at all for this one.
    what = "The database does not answer, as when it restarts. Ask again in a few seconds."
    headers = {"Retry-After": str(AWAY_RETRY_SECONDS)}
    return _refusal("temporarily_unavailable", what, HTTPStatus.SERVICE_UNAVAILABLE, headers)


def _refusal(error: str, description: str, status: int, headers: dict[str, str]) -> Answer:
    body = {"error": error, "error_description": description}
    return Answer(headers, orjson.dumps(body).decode(), status)


def _address(name: str, *args: str) -> str:
    return settings.PUBLIC_URL + reverse(name, args=args)
