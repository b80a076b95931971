"""What every address of the gateway has in common."""

import pytest
from django.db import OperationalError, connection
from django.test import Client


def test_a_method_that_does_nothing_is_refused_before_anybody_is_asked_who_they_are(caller):
    for method, path, allowed in (
        ("DELETE", "", "GET, HEAD, POST"),
        ("OPTIONS", "", "GET, HEAD, POST"),
        ("PATCH", "/x", "GET, HEAD"),
        ("GET", "/x/cancel", "PUT"),
        ("TRACE", "/x/log", "GET, HEAD"),
    ):
        answer = Client().generic(method, caller.path + path)
        assert (answer.status_code, answer["Allow"]) == (405, allowed)
        assert answer.json()["code"] == "method_not_allowed"


def test_answers_are_not_kept_by_anybody_between(caller):
    assert caller.get()["Cache-Control"] == "no-store"
    assert caller.get("/x")["Cache-Control"] == "no-store"


def test_no_token_of_a_form_is_asked_for(caller):
    headers = {"Authorization": f"Bearer {caller.token}"}
    answer = Client(enforce_csrf_checks=True, headers=headers).post(caller.path, "{}", content_type="application/json")
    assert answer.status_code == 201


@pytest.mark.parametrize("path", ["", "/x", "/x/cancel"])
def test_behind_tls_a_plain_call_is_refused_and_not_redirected(caller, settings, path):
    settings.SECURE_SSL_REDIRECT = True
    answer = caller.call("PUT" if path == "/x/cancel" else "GET", path)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "https" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/gateway", "/gateway/", "/gateway/a/b", "/gateway/a/b/", "/gateway/a/b/1/x/y/z"])
def test_an_unknown_address_is_a_problem(path, db):
    answer = Client().get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["request_id"] == answer["X-Request-ID"]


def test_a_nul_is_a_problem(caller):
    for path in ("/%00", "?status=%00", "?tag=a%00"):
        answer = caller.get(path)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_foreign_host_is_a_problem_that_tells_nothing_about_settings(caller):
    answer = caller.get(Host="evil.example")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "ALLOWED_HOSTS" not in answer.content.decode()
    assert "Call it at http://localhost:8000." in answer.json()["detail"]


def test_a_breakdown_is_a_problem_with_the_id_of_the_log(caller, caplog):
    caller.ended(b"1")
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {caller.token}"})
    with connection.execute_wrapper(_broken):
        answer = client.get(caller.path)
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["code"] == "internal_error"
    assert "the inside" not in answer.content.decode()
    assert "the inside of the server" in caplog.text


def _broken(*_):
    raise RuntimeError("the inside of the server")


def test_while_the_database_is_away_a_call_is_told_to_come_again(caller):
    def away(execute, sql, params, many, context):
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(away):
        answer = caller.get()
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "unavailable", "5")
    assert "server closed" not in answer.content.decode()
