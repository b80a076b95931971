"""What a browser reads when something is wrong."""

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import path, reverse

from portal import urls


def refuse(request):
    raise PermissionDenied("Viewers look. Ask an owner.")


def break_down(request):
    raise RuntimeError("the inside of the server")


handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
urlpatterns = [*urls.urlpatterns, path("refuse", refuse), path("break", break_down), path("gateway/break", break_down)]
pytestmark = pytest.mark.urls(__name__)


@pytest.mark.django_db
def test_an_unknown_address(client):
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "Nothing here" in answer.content.decode()
    assert reverse("account_login") in answer.content.decode()


def test_an_unknown_address_when_signed_in_leads_to_the_search(client, consumer):
    client.force_login(consumer)
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert reverse("palette") in answer.content.decode()


@pytest.mark.django_db
def test_a_refusal_gives_its_reason(client):
    answer = client.get("/refuse")
    assert answer.status_code == 403
    assert "Viewers look. Ask an owner." in answer.content.decode()


@pytest.mark.django_db
def test_a_foreign_host_name(client):
    answer = client.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert "cannot make sense" in answer.content.decode()


def test_a_breakdown_shows_nothing_of_the_inside_and_needs_no_database():
    client = Client(raise_request_exception=False)
    answer = client.get("/break")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()
    assert "the inside of the server" not in answer.content.decode()


@pytest.mark.django_db
def test_a_form_from_elsewhere():
    answer = Client(enforce_csrf_checks=True).post(reverse("account_login"), {"login": "a@example.com"})
    assert answer.status_code == 403
    assert 'id="main"' in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "status"), [("/nowhere/", 404), ("/refuse", 403), ("/break", 500)])
def test_a_page_names_the_request_as_the_log_does(path, status):
    answer = Client(raise_request_exception=False).get(path, headers={"X-Request-ID": "from-a-proxy.1"})
    assert (answer.status_code, answer["X-Request-ID"]) == (status, "from-a-proxy.1")
    assert "from-a-proxy.1" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/gateway/x", "/token/x", "/oauth/x", "/.well-known/x"])
def test_machines_read_problems(path):
    answer = Client().get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_a_breakdown_under_a_machine_is_a_problem():
    answer = Client(raise_request_exception=False).get("/gateway/break")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["request_id"] == answer["X-Request-ID"]
    assert "the inside of the server" not in answer.content.decode()
