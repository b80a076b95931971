"""Who may open and do what: every URL with everybody of the cast."""

import pytest
from django.urls import reverse

from portal.accounts.models import Membership
from tests.factories import BuildFactory, MembershipFactory
from tests.services.views.conftest import resources

pytestmark = pytest.mark.django_db

PAGES = ["detail", "versions", "builds", "build", "api", "publication", "usage", "settings", "build_log_download"]
OWN = ["list", "create", "template", "openapi_template"]


@pytest.fixture
def address(service, version, build):
    """The address of a named page of the service."""
    arguments = {
        "build": [service.pk, build.pk],
        "build_log_stream": [service.pk, build.pk],
        "build_log_download": [service.pk, build.pk],
        "rebuild": [service.pk, version.pk],
        "api_edit": [service.pk, version.pk],
        "openapi_download": [service.pk, "yaml"],
    }

    def address(name: str) -> str:
        if name in (*OWN, "preview_description"):
            return reverse(f"services:{name}")
        return reverse(f"services:{name}", args=arguments.get(name, [service.pk]))

    return address


@pytest.fixture
def maintainer(provider_account):
    return MembershipFactory(account=provider_account, role=Membership.Role.MAINTAINER).user


@pytest.mark.parametrize(
    "name", [*OWN, *PAGES, "openapi_download", "build_log_stream", "version_create", "api_edit", "rebuild", "delete"]
)
def test_who_is_not_signed_in_is_sent_to_the_login(client, address, name):
    url = address(name)
    response = client.post(url) if name in ("rebuild", "delete") else client.get(url)
    assert response.status_code == 302
    assert response.url.startswith(reverse("account_login"))


@pytest.mark.parametrize("name", [*PAGES, "openapi_download", "build_log_stream", "version_create", "api_edit"])
def test_a_stranger_and_a_consumer_find_nothing(client, address, stranger, consumer, name):
    for user in (stranger, consumer):
        client.force_login(user)
        assert client.get(address(name)).status_code == 404


@pytest.mark.parametrize("name", ["settings", "version_create", "api_edit", "rebuild", "delete"])
def test_a_stranger_changes_nothing(client, address, stranger, service, name):
    client.force_login(stranger)
    assert client.post(address(name), {"name": "Mine"}).status_code == 404
    service.refresh_from_db()
    assert (service.name, service.deleted_at) == ("Sum", None)


@pytest.mark.parametrize("name", [*PAGES, "openapi_download"])
def test_a_viewer_sees_everything(client, address, teammate, name):
    client.force_login(teammate)
    assert client.get(address(name)).status_code == 200


@pytest.mark.parametrize("name", ["settings", "version_create", "api_edit", "rebuild", "delete"])
def test_a_viewer_who_sends_a_form_reads_why_not(client, address, teammate, name):
    client.force_login(teammate)
    response = client.post(address(name), {"name": "Mine"} | resources())
    assert response.status_code == 403
    assert b"needs the role" in response.content
    assert b"Ask an owner" in response.content


def test_a_viewer_is_offered_nothing_to_change(client, address, teammate):
    client.force_login(teammate)
    for name in PAGES:
        page = client.get(address(name))
        if name != "build_log_download":
            text = page.content.decode()
            assert address("rebuild") not in text
            assert address("delete") not in text
            assert address("version_create") not in text
            assert address("api_edit") not in text


def test_a_maintainer_builds_but_does_not_delete(client, address, maintainer, service):
    client.force_login(maintainer)
    assert client.get(address("version_create")).status_code == 200
    page = client.get(address("settings")).content.decode()
    assert address("version_create") in page
    assert address("delete") not in page
    response = client.post(address("delete"))
    assert response.status_code == 403
    assert b"needs the role owner" in response.content
    service.refresh_from_db()
    assert service.deleted_at is None


def test_a_viewer_makes_no_service(client, teammate, provider_account):
    client.force_login(teammate)
    session = client.session
    session["account"] = str(provider_account.pk)
    session.save()
    assert reverse("services:create").encode() not in client.get(reverse("services:list")).content
    assert client.get(reverse("services:create")).status_code == 403
    assert client.post(reverse("services:create")).status_code == 403


def test_a_link_into_another_account_of_mine_works_and_says_so(client, address, teammate, provider_account):
    client.force_login(teammate)
    response = client.get(address("detail"))
    assert response.status_code == 200
    assert f"This service belongs to <strong>{provider_account}</strong>" in response.content.decode()
    assert reverse("accounts:switch") in response.content.decode()


def test_a_deleted_service_is_there_for_nobody(client, address, provider, service):
    client.force_login(provider)
    service.deleted_at = service.created_at
    service.save()
    for name in (*PAGES, "openapi_download", "build_log_stream"):
        assert client.get(address(name)).status_code == 404


def test_a_build_of_another_service_is_not_shown_under_this_one(client, provider, service, provider_account):
    other = BuildFactory(version__service__account=provider_account)
    client.force_login(provider)
    for name in ("build", "build_log_stream", "build_log_download"):
        assert client.get(reverse(f"services:{name}", args=[service.pk, other.pk])).status_code == 404
    assert client.post(reverse("services:rebuild", args=[service.pk, other.version_id])).status_code == 404


@pytest.mark.parametrize("name", ["rebuild", "delete", "preview_description"])
def test_what_changes_or_computes_is_no_get(client, address, provider, name):
    client.force_login(provider)
    assert client.get(address(name)).status_code == 405
