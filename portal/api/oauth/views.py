"""/token and its relatives: machines come here with credentials of their own, so neither session nor CSRF token counts.

Plain functions, because a request of them has to cost milliseconds.
"""

from collections.abc import Callable
from http import HTTPStatus

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from oauthlib.oauth2.rfc6749.errors import OAuth2Error

from portal.accounts import issuing
from portal.accounts.issuing import Answer, Sent
from portal.api.oauth.reading import read

METHODS = ("client_secret_basic", "client_secret_post")
METADATA_SECONDS = 3600


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


@csrf_exempt
@require_safe
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
    response = HttpResponse(answer.body, status=answer.status, content_type="application/json")
    for name, value in answer.headers.items():
        response[name] = value
    response["Cache-Control"], response["Pragma"] = "no-store", "no-cache"
    return response


def _not_post() -> Answer:
    body = {
        "error": "invalid_request",
        "error_description": "This address takes POST only. Send the parameters as a form in the body of a POST.",
    }
    return Answer({"Allow": "POST"}, orjson.dumps(body).decode(), HTTPStatus.METHOD_NOT_ALLOWED)


def _address(name: str, *args: str) -> str:
    return settings.PUBLIC_URL + reverse(name, args=args)
