"""The builds of a service."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from portal.lib.logstream import LogWriter
from services.models import Build, BuildStatus
from tests.factories import BuildFactory
from tests.services.views.conftest import HTMX

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def signed_in(client, provider):
    client.force_login(provider)


def page_of(build: Build) -> str:
    return reverse("services:build", args=[build.version.service_id, build.pk])


def test_builds_stand_newest_first(client, service, build):
    newer = BuildFactory(version=build.version, status=BuildStatus.FAILED)
    response = client.get(reverse("services:builds", args=[service.pk]))
    assert response.context["page"].rows == [newer, build]
    assert page_of(newer) in response.content.decode()


def test_the_list_follows_a_live_build(client, service, version):
    build = BuildFactory(version=version, status=BuildStatus.RUNNING)
    url = reverse("services:builds", args=[service.pk])
    response = client.get(url)
    assert b'hx-trigger="every 3s"' in response.content
    poll = HTMX | {"X-Seen": response.context["seen_rows"]}
    assert client.get(url, headers=poll).status_code == 204
    Build.objects.filter(pk=build.pk).update(status=BuildStatus.SUCCEEDED)
    assert b"Built" in client.get(url, headers=poll).content


def test_a_live_build_listens_and_asks(client, version):
    build = BuildFactory(version=version, status=BuildStatus.RUNNING, started_at=timezone.now())
    response = client.get(page_of(build))
    page = response.content.decode()
    assert 'hx-trigger="mercato:status from:document, every 5s"' in page
    assert reverse("services:build_log_stream", args=[version.service_id, build.pk]) in page
    assert "data-elapsed" in page
    assert client.get(page_of(build), headers=HTMX | {"X-Seen": response.context["seen"]}).status_code == 204


def test_a_failed_build_shows_the_words_of_uv_and_what_to_do(client, version):
    words = "× No solution found:\n╰─▶ Because only numpy<3 is available"
    now = timezone.now()
    build = BuildFactory(
        version=version, status=BuildStatus.FAILED, detail=words, started_at=now - timedelta(seconds=4), ended_at=now
    )
    page = client.get(page_of(build)).content.decode()
    assert "Because only numpy&lt;3 is available" in page
    assert "Why it failed" in page
    assert reverse("services:version_create", args=[version.service_id]) in page
    assert "mercato:status from:document" not in page


def test_a_build_that_ends_brings_its_reason_and_the_button(client, version):
    build = BuildFactory(version=version, status=BuildStatus.RUNNING)
    rebuild = reverse("services:rebuild", args=[version.service_id, version.pk])
    response = client.get(page_of(build))
    assert rebuild not in response.content.decode()
    Build.objects.filter(pk=build.pk).update(status=BuildStatus.FAILED, detail="No such package")
    part = client.get(page_of(build), headers=HTMX | {"X-Seen": response.context["seen"]}).content.decode()
    assert "<html" not in part
    assert "No such package" in part
    assert rebuild in part


def test_a_build_that_began_again_has_another_log_so_the_page_loads_again(client, version):
    build = BuildFactory(version=version, status=BuildStatus.RUNNING, attempt=1)
    response = client.get(page_of(build))
    Build.objects.filter(pk=build.pk).update(attempt=2)
    headers = HTMX | {"X-Seen": response.context["seen"], "X-Log": response.context["log"]}
    assert client.get(page_of(build), headers=headers).headers["HX-Refresh"] == "true"


def test_a_reused_environment_is_named(client, version):
    build = BuildFactory(version=version, status=BuildStatus.SUCCEEDED, reused=True)
    assert b"The environment was there already" in client.get(page_of(build)).content


def test_an_old_build_leads_to_the_newest(client, build):
    newer = BuildFactory(version=build.version, status=BuildStatus.FAILED)
    assert f'href="{page_of(newer)}"' in client.get(page_of(build)).content.decode()


def test_the_log_is_streamed_and_downloaded(client, version):
    build = BuildFactory(version=version, status=BuildStatus.SUCCEEDED, attempt=1)
    writer = LogWriter(*build.log_name())
    writer.write("out", b"Resolved 3 packages\n")
    writer.close()
    arguments = [version.service_id, build.pk]
    stream = client.get(reverse("services:build_log_stream", args=arguments))
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert b"Resolved 3 packages" in b"".join(stream.streaming_content)
    download = client.get(reverse("services:build_log_download", args=arguments))
    assert b"".join(download.streaming_content) == b"Resolved 3 packages\n"
    assert f"build-{build.pk}.log" in download.headers["Content-Disposition"]
