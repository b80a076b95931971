"""/token and its relatives, as clients call them."""

import base64
import json
import re
from datetime import timedelta
from io import BytesIO
from urllib.parse import quote

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from requests.adapters import BaseAdapter

from portal.accounts.models import AccessToken
from portal.lib import tokens
from tests.factories import ApplicationFactory, ApplicationSecretFactory, access_token

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"
SECRET = "mcs_of_the_tests"
SLASHES = ("", "/")
POSTED = ("/token", "/oauth/revoke", "/oauth/introspect")
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §5.2


@pytest.fixture
def secret():
    return ApplicationSecretFactory(text=SECRET)


@pytest.fixture
def application(secret):
    return secret.application


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


def basic(application, secret: str = SECRET) -> str:
    return encoded(f"{application.access_key_id}:{secret}")


def encoded(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def post(client, path: str, authorization: str | None, body: str | bytes = GRANT, content_type: str = FORM, **extra):
    headers = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    return client.post(path, body, content_type=content_type, **headers, **extra)


def refused(answer, error: str, status: int = 400) -> str:
    """The description of the refusal, which is one of RFC 6749."""
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    description = answer.json()["error_description"]
    assert DESCRIPTION.fullmatch(description)
    assert len(description) > 40
    return description


# Issuing


@pytest.mark.parametrize("slash", SLASHES)
def test_basic_credentials_get_a_token(client, application, slash):
    answer = post(client, f"/token{slash}", basic(application))
    assert answer.status_code == 200
    given = answer.json()
    token = given.pop("access_token")
    assert given == {"scope": "default", "token_type": "Bearer", "expires_in": 3600}
    assert re.fullmatch(r"mct_[0-9a-f]{64}", token)
    assert (answer["Content-Type"], answer["Cache-Control"], answer["Pragma"]) == (
        "application/json",
        "no-store",
        "no-cache",
    )
    row = AccessToken.objects.get()
    assert (row.digest, row.application) == (tokens.digest(token), application)
    assert abs((row.expires_at - timezone.now()).total_seconds() - 3600) < 30
    assert not answer.cookies


def test_credentials_in_the_body_get_one_too(client, application):
    body = f"{GRANT}&client_id={application.access_key_id}&client_secret={SECRET}&scope=default"
    assert post(client, "/token", None, body).status_code == 200


@pytest.mark.parametrize(
    "write",
    [
        lambda key, secret: encoded(f"{quote(key)}:{quote(secret).replace('_', '%5F')}"),  # RFC 6749 §2.3.1
        lambda key, secret: encoded(f"{key}:{secret}").replace("Basic", "basic"),
        lambda key, secret: encoded(f"{key}:{secret}").replace("Basic ", "Basic  "),
    ],
)
def test_basic_credentials_may_be_written_differently(client, application, write):
    assert post(client, "/token", write(application.access_key_id, SECRET)).status_code == 200


def test_a_secret_with_strange_characters_is_taken_as_it_is(client):
    text = "a+b&c=d:é%zz"
    application = ApplicationSecretFactory(text=text).application
    assert post(client, "/token", encoded(f"{application.access_key_id}:{text}")).status_code == 200


def test_unknown_parameters_and_those_without_a_value_are_ignored(client, application):
    body = f"{GRANT}&scope=&client_id=&client_secret=&audience=x&audience=y&client=x&scopes=x&expires_in=9&user"
    assert post(client, "/token", basic(application), body).json()["expires_in"] == 3600


def test_either_of_two_live_secrets_works_and_a_dead_one_does_not(client, application):
    second = ApplicationSecretFactory(application=application, text="second")
    third = ApplicationSecretFactory(application=application, text="third", revoked_at=timezone.now())
    fourth = ApplicationSecretFactory(application=application, text="fourth", expires_at=timezone.now())
    for live in (SECRET, "second"):
        assert post(client, "/token", basic(application, live)).status_code == 200
    assert second.tokens.count() == 1
    for dead in (third, fourth):
        text = "third" if dead == third else "fourth"
        refused(post(client, "/token", basic(application, text)), "invalid_client", 401)


def test_a_deleted_application_gets_none(client, application):
    application.deleted_at = timezone.now()
    application.save()
    refused(post(client, "/token", basic(application)), "invalid_client", 401)


def test_no_token_outlives_its_secret(client, secret, application):
    secret.expires_at = timezone.now() + timedelta(seconds=100)
    secret.save()
    assert 90 < post(client, "/token", basic(application)).json()["expires_in"] < 101
    assert AccessToken.objects.get().expires_at <= secret.expires_at


def test_the_use_of_a_secret_is_noted_to_the_minute(client, secret, application):
    for ago, noted in ((None, True), (timedelta(seconds=30), False), (timedelta(seconds=90), True)):
        before = None if ago is None else timezone.now() - ago
        type(secret).objects.update(last_used_at=before)
        assert post(client, "/token", basic(application)).status_code == 200
        secret.refresh_from_db()
        assert (secret.last_used_at != before) is noted


def test_a_token_costs_three_statements_and_then_two(client, application):
    for statements in (["SELECT", "INSERT", "UPDATE"], ["SELECT", "INSERT"]):
        with CaptureQueriesContext(connection) as asked:
            assert post(client, "/token", basic(application)).status_code == 200
        assert [query["sql"].split()[0] for query in asked] == statements


def test_an_unknown_key_costs_the_same_statements_as_a_wrong_secret(client, application):
    asked, answers = [], []
    for authorization in (basic(application, "wrong"), encoded(f"mck_unknown:{SECRET}")):
        with CaptureQueriesContext(connection) as queries:
            answers.append(refused(post(client, "/token", authorization), "invalid_client", 401))
        asked.append([re.sub(r"'[^']*'", "?", query["sql"]) for query in queries])
    assert asked[0] == asked[1]
    assert len(asked[0]) == 1
    assert answers[0] == answers[1]


# Refusals


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize("authorization", [None, "Bearer mct_0a", "Digest x"])
def test_who_does_not_prove_to_be_a_client_is_asked_for_basic(client, path, authorization):
    answer = post(client, path, authorization, f"{GRANT}&token=x")
    refused(answer, "invalid_client", 401)
    assert answer["WWW-Authenticate"].startswith('Basic realm="')


@pytest.mark.parametrize("body", [f"{GRANT}&client_id=x", f"{GRANT}&client_secret=x"])
def test_half_of_the_credentials_is_none(client, body):
    assert "is missing" in refused(post(client, "/token", None, body), "invalid_client", 401)


@pytest.mark.parametrize("also", ["client_secret=x", "client_id=x", "client_id=x&client_secret=x"])
def test_two_ways_to_authenticate_are_one_too_many(client, application, also):
    assert "one of both" in refused(post(client, "/token", basic(application), f"{GRANT}&{also}"), "invalid_request")


def test_the_key_in_the_body_may_go_with_the_header_that_names_it(client, application):
    body = f"{GRANT}&client_id={application.access_key_id}"
    assert post(client, "/token", basic(application), body).status_code == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type", "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        (f"{GRANT}&scope=default&scope=default", "invalid_request"),
        (f"{GRANT}&scope=admin", "invalid_scope"),
        (f"{GRANT}&scope=default+admin", "invalid_scope"),
        (f"{GRANT}%00", "invalid_request"),
        (f"{GRANT}&scope=%00", "invalid_request"),
        (GRANT.encode() + b"\0", "invalid_request"),
        (GRANT.encode() + b"&scope=\xff", "invalid_request"),
        (f"{GRANT}&scope=%ff", "invalid_request"),
        (f"{GRANT}&scope=%e9%zz", "invalid_request"),
        (f"{GRANT}&" + "a=b&" * 40, "invalid_request"),
        (f"{GRANT}&scope=" + "a" * 20_000, "invalid_request"),
        ("&=&&;", "invalid_request"),
        ("é", "invalid_request"),
    ],
)
def test_a_body_that_is_wrong_gets_a_clear_400(client, application, body, error):
    refused(post(client, "/token", basic(application), body), error)
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", "/"])
def test_a_body_that_is_no_form_is_refused_with_what_to_send(client, application, content_type):
    body = json.dumps({"grant_type": "client_credentials"})
    answer = post(client, "/token", basic(application), body, content_type)
    assert FORM in refused(answer, "invalid_request")


@pytest.mark.parametrize("content_type", [FORM.upper(), f"{FORM};charset=UTF-8", ""])
def test_a_form_may_say_so_in_other_words(client, application, content_type):
    assert post(client, "/token", basic(application), GRANT, content_type).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !",
        "Basic YQ",  # padding missing
        "Basic " + base64.b64encode(b"without a colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        encoded("a\0b:c"),
        encoded("a:b\n"),
        encoded("a%00:b"),
        "Basic é",
    ],
)
def test_basic_credentials_that_cannot_be_read_are_a_bad_request(client, authorization):
    refused(post(client, "/token", authorization), "invalid_request")


@pytest.mark.parametrize(
    "authorization", [encoded(":"), encoded("a:"), encoded(":b"), encoded("k" * 5000 + ":é" * 900)]
)
def test_strange_credentials_are_wrong_ones(client, authorization):
    refused(post(client, "/token", authorization), "invalid_client", 401)


@pytest.mark.parametrize("path", POSTED)
def test_parameters_do_not_belong_in_the_address(client, application, path):
    answer = post(client, f"{path}?{GRANT}&token=x", basic(application))
    assert "in the body" in refused(answer, "invalid_request")


@pytest.mark.parametrize(("padding", "status"), [(0, 200), (16 * 1024, 400)])
def test_a_body_in_chunks_is_read_like_another(client, application, padding, status):
    came = {"wsgi.input": BytesIO(GRANT.encode() + b"&x=" + b"x" * padding), "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = client.generic("POST", "/token", content_type=FORM, HTTP_AUTHORIZATION=basic(application), **came)
    assert answer.status_code == status


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize("slash", SLASHES)
@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "options"])
def test_other_methods_are_refused(client, path, slash, method):
    answer = getattr(client, method)(path + slash)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    if method != "head":
        assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("path", POSTED)
def test_while_the_database_is_away_a_client_is_told_to_come_again(client, application, path):
    def away(execute, sql, params, many, context):
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(away):
        answer = post(client, path, basic(application), f"{GRANT}&token=x")
    assert "server closed" not in refused(answer, "temporarily_unavailable", 503)
    assert answer["Retry-After"] == "5"


# Rate limits


def test_an_address_that_asks_too_often_waits(client, application, settings):
    settings.TOKEN_REQUESTS_PER_ADDRESS = 2
    for _ in range(2):
        assert post(client, "/token", basic(application), REMOTE_ADDR="192.0.2.1").status_code == 200
    answer = post(client, "/token", basic(application), REMOTE_ADDR="192.0.2.1")
    assert "Try again in" in refused(answer, "too_many_requests", 429)
    assert 1 <= int(answer["Retry-After"]) <= 30
    assert post(client, "/token", basic(application), REMOTE_ADDR="192.0.2.2").status_code == 200


def test_a_key_that_asks_too_often_waits_wherever_it_is(client, application, settings):
    settings.TOKEN_REQUESTS_PER_KEY = 2
    answers = [post(client, "/token", basic(application), REMOTE_ADDR=f"192.0.2.{n}") for n in range(10, 13)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_failures_are_limited_by_key_and_address_and_lock_nobody_else_out(client, application, settings):
    settings.TOKEN_FAILURES_PER_MINUTE = 2
    here, elsewhere = {"REMOTE_ADDR": "192.0.2.20"}, {"REMOTE_ADDR": "192.0.2.21"}
    answers = [post(client, "/token", basic(application, "wrong"), **here) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert post(client, "/token", basic(application), **here).status_code == 429  # a guess that hits is not told so
    assert post(client, "/token", basic(application), **elsewhere).status_code == 200
    other = ApplicationSecretFactory(text="other").application
    assert post(client, "/token", basic(other, "other"), **here).status_code == 200


def test_tokens_are_issued_and_limited_while_redis_is_away(client, application, settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock?db=0"
    settings.TOKEN_REQUESTS_PER_KEY = 2
    assert [post(client, "/token", basic(application)).status_code for _ in range(3)] == [200, 200, 429]


# Taking back and describing


def introspect(client, authorization: str, token: str, **extra: str) -> dict:
    answer = post(client, "/oauth/introspect", authorization, f"token={quote(token)}", **extra)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    return answer.json()


def test_a_live_token_is_described_to_its_own_application(client, application):
    token = post(client, "/token", basic(application)).json()["access_token"]
    described = introspect(client, basic(application), token)
    assert described.pop("exp") - described.pop("iat") in (3599, 3600, 3601)
    assert described == {
        "active": True,
        "scope": "default",
        "client_id": application.access_key_id,
        "sub": str(application.pk),
        "token_type": "Bearer",
        "iss": "http://localhost:8000",
    }


def test_no_other_token_is_described(client, application):
    other = ApplicationFactory()
    for token in (access_token(other), "unknown", "mct_ü"):
        assert introspect(client, basic(application), token) == {"active": False}


@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/introspect"])
def test_the_token_must_be_named(client, application, path):
    for body in ("", "token=", "token=a&token=b"):
        assert "parameter token" in refused(post(client, path, basic(application), body), "invalid_request")


@pytest.mark.parametrize("slash", SLASHES)
@pytest.mark.parametrize("hint", ["", "&token_type_hint=access_token", "&token_type_hint=refresh_token"])
def test_a_token_can_be_taken_back_once_and_again(client, application, slash, hint):
    token = access_token(application)
    for _ in range(2):
        answer = post(client, f"/oauth/revoke{slash}", basic(application), f"token={token}{hint}")
        assert (answer.status_code, answer.content, answer.get("Content-Type")) == (200, b"", None)
        assert introspect(client, basic(application), token) == {"active": False}


def test_nobody_takes_the_token_of_another_back(client, application):
    token = access_token(ApplicationFactory())
    assert post(client, "/oauth/revoke", basic(application), f"token={token}").status_code == 200
    assert AccessToken.objects.filter(digest=tokens.digest(token)).exists()


def test_the_answer_to_revoking_needs_a_client(client, application):
    token = access_token(application)
    refused(post(client, "/oauth/revoke", basic(application, "wrong"), f"token={token}"), "invalid_client", 401)
    assert AccessToken.objects.exists()


@pytest.mark.parametrize("slash", SLASHES)
def test_the_server_describes_itself(client, slash):
    answer = client.get(f"/.well-known/oauth-authorization-server{slash}")
    assert answer.status_code == 200
    facts = answer.json()
    assert facts["issuer"] == "http://localhost:8000"
    for path, name in zip(POSTED, ("token", "revocation", "introspection"), strict=True):
        assert facts[f"{name}_endpoint"] == f"http://localhost:8000{path}"
    assert facts["grant_types_supported"] == ["client_credentials"]
    described = AuthorizationServerMetadata(facts)
    for key in facts:
        if key != "response_types_supported":  # authlib wants one, and only authorization endpoints have any
            getattr(described, f"validate_{key}")()


def test_the_description_is_read_only(client):
    answer = client.post("/.well-known/oauth-authorization-server")
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert answer["Allow"] == "GET, HEAD"


# A real client


class ThroughDjango(BaseAdapter):
    """Carries the requests of `requests` to Django's test client."""

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:
        headers = dict(request.headers)
        answer = Client().generic(
            request.method, request.path_url, request.body or "", headers.pop("Content-Type", ""), headers=headers
        )
        response = requests.Response()
        response.status_code, response._content, response.request = answer.status_code, answer.content, request
        response.headers.update(answer.headers)
        return response

    def close(self) -> None:
        """Nothing is open."""


def session(application, secret: str = SECRET, **options: str) -> OAuth2Session:
    client = OAuth2Session(application.access_key_id, secret, **options)
    client.mount("http://", ThroughDjango())
    return client


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_a_token_describes_it_and_takes_it_back(application, method):
    client = session(application, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method)
    given = client.fetch_token("http://localhost/token", grant_type="client_credentials")
    assert given["expires_in"] == 3600
    token = given["access_token"]
    described = client.introspect_token("http://localhost/oauth/introspect", token=token)
    assert described.json()["active"]
    assert client.revoke_token("http://localhost/oauth/revoke", token=token).status_code == 200
    assert not client.introspect_token("http://localhost/oauth/introspect", token=token).json()["active"]


def test_authlib_reads_our_refusals(application):
    with pytest.raises(OAuthError, match="do not belong together") as caught:
        session(application, "wrong").fetch_token("http://localhost/token", grant_type="client_credentials")
    assert caught.value.error == "invalid_client"


@pytest.mark.parametrize("path", POSTED)
def test_plain_http_is_refused_and_not_redirected(client, application, settings, path):
    settings.SECURE_SSL_REDIRECT = True
    answer = post(client, path, basic(application), f"{GRANT}&token=x")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert DESCRIPTION.fullmatch(answer.json()["error_description"])
    assert not AccessToken.objects.exists()
    assert post(client, path, basic(application), f"{GRANT}&token=x", secure=True).status_code == 200
