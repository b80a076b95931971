"""What a client sent to /token and its relatives, taken apart. What is wrong with it, an error of RFC 6749 says."""

import base64
import binascii
import re
from urllib.parse import parse_qsl, unquote

from django.conf import settings
from django.http import HttpRequest, UnreadablePostError
from oauthlib.oauth2.rfc6749.errors import InvalidRequestError

from portal.accounts.issuing import Sent, UnknownClient
from portal.lib import bodies
from portal.lib.buckets import client_address

FORM = "application/x-www-form-urlencoded"
BODY_MAX_BYTES = 16 * 1024
PARAMETERS_MAX = 32
# All others are ignored, as RFC 6749 §3.2 has it; oauthlib would take some of them for results of its own. So is
# token_type_hint, as RFC 7009 allows: there is one type of token.
KNOWN = ("grant_type", "scope", "client_id", "client_secret", "token")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
HOW = (
    "Send the access key id and the secret access key of an application by HTTP Basic, or as client_id and "
    "client_secret in the body."
)


def read(request: HttpRequest) -> Sent:
    """The parameters and the credentials. Raises OAuth2Error."""
    if settings.SECURE_SSL_REDIRECT and not request.is_secure():
        raise InvalidRequestError(
            f"This server is called by https only: {settings.PUBLIC_URL}. The secret of this call went over the "
            "network in plain text: revoke it, and use a new one."
        )
    if request.META.get("QUERY_STRING"):
        raise InvalidRequestError(
            "The address has parameters behind a question mark, where servers write them to their logs. Send them in "
            "the body."
        )
    parameters = _parameters(request)
    key, secret = _credentials(request.META.get("HTTP_AUTHORIZATION", ""), parameters)
    if CONTROL.search(key + secret):
        raise InvalidRequestError("The credentials hold a control character. Copy them again, without line breaks.")
    return Sent(parameters=parameters, key=key, secret=secret, address=client_address(request))


def _parameters(request: HttpRequest) -> dict[str, str]:
    """The known parameters of the body; those without a value count as omitted."""
    try:
        pairs = parse_qsl(
            _body(request).decode(), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX
        )
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not UTF-8. Encode the form as UTF-8.") from None
    except ValueError:
        raise InvalidRequestError(
            f"The body has more than {PARAMETERS_MAX} parameters. Send those of RFC 6749 only."
        ) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in KNOWN:
            continue
        if name in found:
            raise InvalidRequestError(f"The parameter {name} is there more than once. Send it once.")
        if CONTROL.search(value):
            raise InvalidRequestError(f"The parameter {name} holds a control character. Send it without.")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _body(request: HttpRequest) -> bytes:
    announced = int(request.META.get("CONTENT_LENGTH") or 0)
    try:
        body = b"" if announced > BODY_MAX_BYTES else bodies.stream(request).read(BODY_MAX_BYTES + 1)
    except UnreadablePostError:
        raise InvalidRequestError("The body broke off. Send the request again.") from None
    if max(announced, len(body)) > BODY_MAX_BYTES:
        raise InvalidRequestError(
            f"The body is larger than {BODY_MAX_BYTES} bytes. Send the parameters of RFC 6749 only."
        )
    if body and request.content_type not in ("", FORM):
        raise InvalidRequestError(f"The body is no form. Send the parameters as Content-Type {FORM}, not as JSON.")
    return body


def _credentials(authorization: str, parameters: dict[str, str]) -> tuple[str, str]:
    if not authorization:
        return _from_body(parameters)
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise UnknownClient(f"The Authorization header has another scheme than Basic. {HOW}")
    try:
        key, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise InvalidRequestError(
            "The Authorization header does not hold Basic credentials. Write Basic, a space, and the Base64 of the "
            "access key id, a colon and the secret access key, in UTF-8."
        )
    key, secret = _plain(key), _plain(secret)
    if "client_secret" in parameters or parameters.get("client_id", key) != key:
        raise InvalidRequestError(
            "The client names itself in the Authorization header and in the body. Use one of both (RFC 6749, 2.3)."
        )
    return key, secret


def _from_body(parameters: dict[str, str]) -> tuple[str, str]:
    if "client_id" not in parameters and "client_secret" not in parameters:
        raise UnknownClient(f"The request has no credentials. {HOW}")
    for name in ("client_id", "client_secret"):
        if name not in parameters:
            raise UnknownClient(f"The parameter {name} is missing. {HOW}")
    return parameters["client_id"], parameters["client_secret"]


def _plain(text: str) -> str:
    """RFC 6749 has both parts form-encoded, and most clients leave that out. Ours hold neither a % nor a space, so
    what has a % is encoded.
    """
    if "%" not in text:
        return text
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text
