"""What a browser reads when something is wrong."""

from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import path, reverse

from portal import urls
from tests.factories import JobFactory, personal_account


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


def test_a_form_that_is_too_large_says_how_large_it_may_be(client, consumer, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2048
    client.force_login(consumer)
    answer = client.post(f"{reverse('applications:create')}?next=/jobs/", {"name": "x" * 4096})
    assert answer.status_code == 413
    assert "larger than 2 KiB" in answer.content.decode()
    assert f'href="{reverse("applications:create")}?next=/jobs/"' in answer.content.decode()


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


def test_an_address_for_forms_that_is_opened_like_a_page_leads_to_the_page_above(client, consumer):
    client.force_login(consumer)
    job = JobFactory(account=personal_account(consumer))
    answer = client.get(reverse("jobs:cancel", args=[job.pk]))  # what follows a log-in that a pressed button asked for
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "Nothing was done" in answer.content.decode()
    assert f'href="{job.get_absolute_url()}"' in answer.content.decode()


@pytest.mark.django_db
def test_a_form_of_an_old_page_leads_back_to_that_page():
    client = Client(enforce_csrf_checks=True)
    job = f"http://testserver/jobs/{uuid4()}/"
    answer = client.post(f"{job}cancel/", headers={"referer": job})
    assert answer.status_code == 403
    assert f'href="{job}"' in answer.content.decode()
    answer = client.post(f"{job}cancel/", headers={"referer": "https://evil.example/"})
    assert "evil.example" not in answer.content.decode()
