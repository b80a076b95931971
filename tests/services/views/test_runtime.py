"""The tab Runtime: how a version is run, and its variables."""

import pytest
from django.urls import reverse

from portal.accounts.actors import Actor
from portal.accounts.models import Membership
from services import variables
from tests.factories import MembershipFactory, ServiceVersionFactory, UserFactory
from tests.services.views.conftest import HTMX

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def signed_in(client, provider):
    client.force_login(provider)


@pytest.fixture
def page(service, version):
    return reverse("services:runtime", args=[service.pk])


@pytest.fixture
def variable_url(service, version):
    return reverse("services:variable_set", args=[service.pk, version.pk])


@pytest.fixture
def put(version, provider):
    def put(name, value, is_secret=False):
        variables.set_variable(version=version, by=Actor(user=provider), name=name, value=value, is_secret=is_secret)

    return put


def remove_url(version, name):
    return reverse("services:variable_remove", args=[version.service_id, version.pk, name])


def test_the_newest_version_is_shown_unless_another_is_named(client, page, service, version):
    ServiceVersionFactory(service=service, number="1.1.0", interpreter="3.9", retryable=True, concurrency=3)
    newest = client.get(page).content.decode()
    assert "How version 1.1.0 runs" in newest
    assert "3.9" in newest
    older = client.get(page, {"version": "1.0.0"})
    assert older.context["chosen"] == version
    assert client.get(page, {"version": "9.9.9"}).status_code == 404


def test_how_a_version_is_run_changes_without_a_new_one(client, page, service, version):
    url = reverse("services:operate", args=[service.pk, version.pk])
    answer = client.post(url, {"retryable": "on", "concurrency": "4"})
    assert answer.url == f"{page}?version=1.0.0"
    version.refresh_from_db()
    assert (version.retryable, version.warm_start, version.concurrency) == (True, False, 4)
    client.post(url, {"warm_start": "on", "concurrency": ""})
    version.refresh_from_db()
    assert (version.retryable, version.warm_start, version.concurrency) == (False, True, None)
    refused = client.post(url, {"concurrency": "0"})
    assert refused.status_code == 422
    assert b"Nothing was saved yet" in refused.content
    assert service.versions.count() == 1


def test_a_variable_is_added_without_script_and_with_it(client, page, variable_url, version):
    answer = client.post(variable_url, {"name": " API_URL ", "value": "http://example.com"})
    assert answer.url == f"{page}?version=1.0.0"
    part = client.post(variable_url, {"name": "PEM", "value": "one\r\ntwo\r\n"}, headers=HTMX).content.decode()
    assert "PEM is set" in part
    assert "<html" not in part
    client.post(variable_url, {"name": "TOKEN", "value": "pasted\r\n", "is_secret": "on"})
    assert variables.resolve(version) == {"API_URL": "http://example.com", "PEM": "one\ntwo\n", "TOKEN": "pasted"}


def test_a_secret_is_shown_to_nobody_again(client, page, variable_url, put, version):
    put("TOKEN", "canary", is_secret=True)
    assert "canary" not in client.get(page).content.decode()
    kept = client.post(variable_url, {"of": "TOKEN", "name": "TOKEN", "value": "", "is_secret": "on"}, headers=HTMX)
    assert kept.status_code == 200
    assert variables.resolve(version) == {"TOKEN": "canary"}
    opened = client.post(variable_url, {"of": "TOKEN", "name": "TOKEN", "value": ""}, headers=HTMX)
    assert opened.status_code == 422
    assert "shown to nobody" in opened.content.decode()
    assert "canary" not in opened.content.decode()
    client.post(variable_url, {"of": "TOKEN", "name": "TOKEN", "value": "other", "is_secret": "on"})
    assert variables.resolve(version) == {"TOKEN": "other"}


def test_what_was_refused_stands_in_its_form(client, variable_url, put):
    put("API_URL", "http://example.com")
    refused = client.post(variable_url, {"name": "PATH", "value": "typed value"}, headers=HTMX)
    assert refused.status_code == 422
    text = refused.content.decode()
    assert "PATH cannot be set" in text
    assert "typed value" in text
    changed = client.post(variable_url, {"of": "API_URL", "name": "API_URL", "value": "x" * 40_000})
    assert changed.status_code == 422
    assert "40,000 bytes" in changed.content.decode()


def test_a_variable_is_removed_and_twice_is_no_error(client, put, version):
    put("API_URL", "x")
    for _ in range(2):
        assert client.post(remove_url(version, "API_URL")).status_code == 302
    assert variables.resolve(version) == {}


def test_who_may_only_look_sees_no_name(client, page, put, teammate, service, version):
    put("API_URL", "http://example.com")
    maintainer = UserFactory()
    MembershipFactory(account=service.account, user=maintainer, role=Membership.Role.MAINTAINER)
    client.force_login(maintainer)
    assert "API_URL" in client.get(page).content.decode()
    client.force_login(teammate)
    seen = client.get(page)
    assert "API_URL" not in seen.content.decode()
    assert "variables" not in seen.context
    assert client.post(remove_url(version, "API_URL")).status_code == 403


def test_a_stranger_and_a_consumer_find_nothing(client, page, variable_url, put, stranger, version):
    put("API_URL", "http://example.com")
    version.publication = "marketplace"
    version.save()
    client.force_login(stranger)
    assert client.get(page).status_code == 404
    assert client.post(variable_url, {"name": "A", "value": "x"}).status_code == 404
    assert client.post(remove_url(version, "API_URL")).status_code == 404
    offer = client.get(version.service.get_offer_url()).content.decode()
    assert "API_URL" not in offer
    assert variables.resolve(version) == {"API_URL": "http://example.com"}
