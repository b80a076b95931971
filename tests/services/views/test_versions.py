"""The versions of a service."""

import pytest
from django.urls import reverse

from services.models import Build, BuildStatus
from tests.factories import BuildFactory, ServiceVersionFactory
from tests.services.views.conftest import HTMX, resources, sent, zip_upload

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def signed_in(client, provider):
    client.force_login(provider)


@pytest.fixture
def new_version(service, build):
    return reverse("services:version_create", args=[service.pk])


def test_versions_stand_newest_first_with_their_builds(client, service, build):
    BuildFactory(version=ServiceVersionFactory(service=service, number="1.1.0", built=False), status="FAILED")
    response = client.get(reverse("services:versions", args=[service.pk]))
    assert [version.number for version in response.context["page"].rows] == ["1.1.0", "1.0.0"]
    page = response.content.decode()
    assert "Failed" in page
    assert page.index("1.1.0") < page.index("jobs run this")


def test_the_list_follows_a_live_build(client, service, version):
    build = BuildFactory(version=version, status=BuildStatus.QUEUED)
    url = reverse("services:versions", args=[service.pk])
    response = client.get(url)
    poll = HTMX | {"X-Seen": response.context["seen_rows"]}
    assert client.get(url, headers=poll).status_code == 204
    Build.objects.filter(pk=build.pk).update(status=BuildStatus.RUNNING)
    assert b"Building" in client.get(url, headers=poll).content


def test_the_form_is_filled_from_the_latest_version(client, new_version, version):
    form = client.get(new_version).context["form"]
    assert form["number"].value() == "1.1.0"
    assert form["memory_mib"].value() == version.memory_mib
    assert form["cpu_millis"].value() == 1


def test_new_resources_keep_the_source(client, new_version, service, version):
    response = client.post(new_version, resources(number="1.1.0"))
    newest = service.versions.latest("id")
    assert response.url == reverse("services:build", args=[service.pk, newest.builds.get().pk])
    assert (newest.number, newest.memory_mib) == ("1.1.0", 1536)
    assert newest.source_sha256 == version.source_sha256


def test_a_new_zip_is_a_new_source(client, new_version, service, version):
    client.post(new_version, resources(number="2.0.0") | {"upload": zip_upload("next.zip")}, headers=HTMX)
    newest = service.versions.latest("id")
    assert (newest.number, newest.source_name) == ("2.0.0", "next.zip")
    assert newest.source_sha256 != version.source_sha256


@pytest.mark.parametrize("number", ["1.0.0", "0.9.0", "two"])
def test_a_number_that_does_not_come_after_is_refused(client, new_version, service, number):
    response = client.post(new_version, resources(number=number), headers=HTMX)
    assert response.status_code == 422
    assert list(sent(response)) == ["number"]
    assert f'value="{number}"' in response.content.decode()
    assert service.versions.count() == 1


def test_a_bad_zip_is_refused(client, new_version, service):
    upload = zip_upload(**{"src/program.py": "print()"})
    response = client.post(new_version, resources(number="1.1.0") | {"upload": upload}, headers=HTMX)
    assert response.status_code == 422
    assert list(sent(response)) == ["upload"]


def test_a_network_that_is_no_longer_allowed_does_not_lock_the_form(client, new_version, version, service):
    version.network = "open"
    version.save()
    assert client.post(new_version, resources(number="1.1.0")).status_code == 302
    assert service.versions.latest("id").network == "none"


def test_rebuilding_resolves_afresh_and_goes_on_at_the_build(client, service, build):
    response = client.post(reverse("services:rebuild", args=[service.pk, build.version_id]))
    newest = Build.objects.latest("id")
    assert newest != build
    assert newest.fresh
    assert response.url == reverse("services:build", args=[service.pk, newest.pk])


def test_a_version_that_is_being_built_offers_no_rebuild(client, service, version):
    BuildFactory(version=version, status=BuildStatus.RUNNING)
    page = client.get(reverse("services:versions", args=[service.pk])).content.decode()
    assert reverse("services:rebuild", args=[service.pk, version.pk]) not in page
