"""The API specification of a version."""

import html
import json
import shlex

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from services import contracts
from services.models import ServiceVersion
from services.subscriptions import endpoint
from tests.factories import ServiceVersionFactory
from tests.services.views.conftest import HTMX, openapi, zip_upload

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def signed_in(client, provider):
    client.force_login(provider)


@pytest.fixture
def url(service, build):
    return reverse("services:api", args=[service.pk])


def test_every_operation_has_method_path_fields_and_an_example(client, url):
    page = client.get(url).content.decode()
    for words in (
        'class="method method--post">POST<',
        "Start an execution",
        "ServiceExecution",
        "createdAt",
        "Example",
    ):
        assert words in page
    assert "data-copy=" in page


def test_the_newest_version_is_shown_unless_the_address_names_one(client, url, service):
    ServiceVersionFactory(service=service, number="2.0.0", openapi=openapi())
    assert client.get(url).context["chosen"].number == "2.0.0"
    assert client.get(url, {"version": "1.0.0"}).context["chosen"].number == "1.0.0"
    assert client.get(url, {"version": "7.0.0"}).status_code == 404


def test_a_description_without_paths_says_what_to_do(client, url, service):
    ServiceVersionFactory(service=service, number="2.0.0")  # of the factory: no paths
    assert b"This description names no paths" in client.get(url).content


def test_words_of_a_description_are_foreign(client, url, service):
    document = json.loads(openapi())
    evil = "<img src=x onerror=alert(1)> [click](javascript:alert(1))"
    document["info"]["description"] = document["info"]["title"] = evil
    document["paths"]["/"]["post"] |= {"summary": evil, "description": evil}
    document["components"]["schemas"]["InputData"]["description"] = evil
    document["paths"]["/<img src=x>"] = document["paths"]["/"]
    ServiceVersionFactory(service=service, number="2.0.0", openapi=json.dumps(document))
    page = client.get(url).content.decode()
    assert "<img" not in page
    assert 'href="javascript:' not in page


@pytest.mark.parametrize(("kind", "read"), [("yaml", yaml.safe_load), ("json", json.loads)])
def test_downloads(client, service, build, kind, read):
    response = client.get(reverse("services:openapi_download", args=[service.pk, kind]), {"version": "1.0.0"})
    assert response.headers["Content-Disposition"].endswith(f'-1.0.0-openapi.{kind}"')
    assert read(response.content)["paths"].keys() >= {"/", "/{id}"}


def test_there_is_no_third_format(client, service, build):
    assert client.get(reverse("services:openapi_download", args=[service.pk, "xml"])).status_code == 404


def test_each_operation_has_a_call_to_copy(client, url, service):
    page = html.unescape(client.get(url).content.decode())
    assert 'curl -sS "$SERVICE_ENDPOINT/$ID/log"' in page, "an unpublished version has no endpoint that answers"
    ServiceVersionFactory(service=service, number="2.0.0", openapi=openapi(), publication="marketplace")
    page = html.unescape(client.get(url).content.decode())
    assert f'curl -sS -X PUT "{endpoint(service.versions.latest("id"))}/$ID/cancel"' in page
    assert page.count('-H "Authorization: Bearer $TOKEN"') == 2 * 7, "in the text and in its button"
    for variable in ("$TOKEN", "$ID"):
        assert page.count(f"<code>{variable}</code>") == 1, "what it stands for, once above all calls"


def test_nothing_of_a_description_leaves_its_quotes_in_a_call(client, url, service):
    document = json.loads(openapi())
    document["components"]["schemas"]["InputData"]["example"] = {"a": "'; $(touch /tmp/x) `id` \\"}
    document["paths"]["/{$(id)}"] = document["paths"].pop("/{id}")
    version = ServiceVersionFactory(service=service, number="2.0.0", openapi=json.dumps(document))
    calls = {each.path: each.curl for each in contracts.operations(contracts.load(version.openapi)) if each.curl}
    assert '"$SERVICE_ENDPOINT/$ID"' in calls["/{$(id)}"]
    assert "$(id)" not in calls["/{$(id)}"]
    words = shlex.split(next(call for call in calls.values() if "POST" in call).replace("\\\n", ""))
    assert json.loads(words[words.index("-d") + 1])["data"] == {"a": "'; $(touch /tmp/x) `id` \\"}


# The editor


@pytest.fixture
def edit_url(service, version):
    return reverse("services:api_edit", args=[service.pk, version.pk])


def text_of(page) -> str:
    return page.context["form"].text_now()


def sent_by(page, **changes: str) -> dict[str, str]:
    """What the form of ``page`` sends."""
    form = page.context["form"]
    return {"do": "save", "text": form.text_now(), "seen": form["seen"].value()} | changes


def test_the_editor_shows_the_text_and_a_preview(client, edit_url):
    page = client.get(edit_url)
    assert yaml.safe_load(text_of(page))["info"]["title"] == "Sum"
    assert b"problems--none" in page.content
    assert page.content.count(b'class="panel operation"') == 7
    assert "style-src 'self' 'nonce-" in page.headers["Content-Security-Policy"]


def test_other_pages_take_no_inline_style(client, url):
    assert "style-src 'self';" in client.get(url).headers["Content-Security-Policy"] + ";"


def test_saving_changes_an_unpublished_version_in_place(client, service, version, edit_url):
    text = text_of(page := client.get(edit_url)).replace("title: Sum", "title: Total")
    response = client.post(edit_url, sent_by(page, text=text))
    assert response.status_code == 302
    version.refresh_from_db()
    assert (contracts.load(version.openapi).title, version.openapi_origin) == ("Total", "edited")
    assert service.versions.count() == 1
    assert b"Total" in client.get(response.url).content, "the page of before is not kept"


def test_a_published_version_keeps_its_own_and_a_new_one_is_made(client, service, version, edit_url):
    ServiceVersionFactory(service=service, number="1.5.0", source_name="newer.zip", openapi=openapi())
    version.published_at, version.source_name, version.dialect = timezone.now(), "older.zip", "legacy"
    version.save()
    page = client.get(edit_url)
    assert b"Save as a new version" in page.content
    assert page.context["form"]["number"].value() == "1.6.0"
    taken = client.post(edit_url, sent_by(page, number="1.5.0"))
    assert (taken.status_code, text_of(taken)) == (422, text_of(page))
    assert b"does not come after 1.5.0" in taken.content
    text = text_of(page).replace("title: Sum", "title: Total")
    assert client.post(edit_url, sent_by(page, number="1.6.0", text=text)).status_code == 302
    newest = service.versions.get(number="1.6.0")
    assert (contracts.load(newest.openapi).title, newest.openapi_origin) == ("Total", "edited")
    assert (newest.source_name, newest.dialect, newest.is_published) == ("older.zip", "legacy", False)
    assert newest.builds.exists()
    version.refresh_from_db()
    assert contracts.load(version.openapi).title == "Sum"


def test_publishing_while_one_writes_asks_again(client, service, version, edit_url):
    page = client.get(edit_url)
    version.published_at = timezone.now()
    version.save()
    response = client.post(edit_url, sent_by(page, text=text_of(page) + "x-mine: 1\n"))
    assert response.status_code == 422
    assert b"was published while you wrote" in response.content
    assert text_of(response).endswith("x-mine: 1\n")
    assert service.versions.count() == 1


def test_a_refused_text_loses_nothing_and_says_where(client, version, edit_url):
    before = version.openapi
    page = client.get(edit_url)
    text = text_of(page).replace("paths:\n", "paths:\n  /more:\n    get: {}\n", 1)
    response = client.post(edit_url, sent_by(page, text=text))
    assert response.status_code == 422
    assert text_of(response) == text
    line = text.splitlines().index("  /more:") + 1
    assert f'data-line="{line}"' in response.content.decode()
    assert b"/more is no address of a managed service" in response.content
    version.refresh_from_db()
    assert version.openapi == before


def test_who_saves_second_is_told_and_may_insist(client, version, edit_url):
    first, second = client.get(edit_url), client.get(edit_url)
    theirs = text_of(first).replace("title: Sum", "title: Theirs").replace("description: How to", "description: Which")
    client.post(edit_url, sent_by(first, text=theirs))
    mine = text_of(second).replace("title: Sum", "title: Mine")
    response = client.post(edit_url, sent_by(second, text=mine))
    assert (response.status_code, text_of(response)) == (422, mine)
    assert b"Somebody else saved the description" in response.content
    assert b'class="difference"' in response.content, "what mine changes in theirs"
    again = client.post(edit_url, sent_by(response))
    assert again.status_code == 422, "saving once more is no consent"
    over = sent_by(response) | {"over": response.context["form"].overtaken.seen}
    del over["do"]
    assert client.post(edit_url, over).status_code == 302
    version.refresh_from_db()
    assert contracts.load(version.openapi).title == "Mine"


def test_while_one_types_only_the_check_comes_back(client, version, edit_url):
    before = version.openapi
    bad = client.post(edit_url, {"do": "check", "text": "openapi: 3.0.3\ninfo: {"}, headers=HTMX).content.decode()
    assert "not YAML" in bad
    assert "<form" not in bad
    assert "api-preview" not in bad, "the last good preview stays"
    short = 'openapi: 3.0.3\ninfo: {title: "<b>A</b>", version: "1"}\npaths: {}\n'
    good = client.post(edit_url, {"do": "check", "text": short}, headers=HTMX).content.decode()
    assert "PUT /{id}/cancel" in good, "what will be filled in"
    assert '<div id="api-preview" hx-swap-oob="innerHTML">' in good
    assert "<b>A" not in good
    version.refresh_from_db()
    assert version.openapi == before


def test_without_script_a_file_is_opened_and_the_text_is_checked(client, version, edit_url):
    upload = SimpleUploadedFile("mine.json", contracts.template().replace("title: Service", "title: Opened").encode())
    page = client.post(edit_url, {"do": "open", "text": "old", "seen": "x", "openapi_file": upload})
    assert page.status_code == 200
    assert "title: Opened" in text_of(page)
    page = client.post(edit_url, {"do": "check", "text": "openapi: 3", "seen": "x"})
    assert (page.status_code, text_of(page)) == (200, "openapi: 3")
    assert b"One thing to mend" in page.content
    version.refresh_from_db()
    assert contracts.load(version.openapi).title == "Sum"


def test_it_starts_from_the_default_of_the_source_on_demand(client, service, form_data):
    form_data["upload"] = zip_upload(**{"src/program.py": "def run(data: list[float]):\n    pass\n"})
    form_data["openapi_file"] = SimpleUploadedFile("openapi.yml", contracts.template().encode())
    client.post(reverse("services:create"), form_data)
    version = ServiceVersion.objects.latest("id")
    url = reverse("services:api_edit", args=[version.service_id, version.pk])
    assert yaml.safe_load(text_of(client.get(url)))["info"]["title"] == "Service"
    default = yaml.safe_load(text_of(client.get(url, {"start": "default"})))
    assert default["info"]["title"] == "Max-cut"
    assert default["components"]["schemas"]["InputData"]["items"] == {"type": "number"}


def test_the_default_comes_without_the_source_too(client, edit_url):
    page = client.get(edit_url, {"start": "default"})  # of the factory: nothing in storage
    assert yaml.safe_load(text_of(page))["paths"].keys() >= {"/", "/{id}"}


def test_a_version_of_another_service_is_not_edited_under_this_one(client, service, version, provider_account):
    other = ServiceVersionFactory(service__account=provider_account)
    url = reverse("services:api_edit", args=[service.pk, other.pk])
    assert client.get(url).status_code == client.post(url, {"do": "save", "text": "a"}).status_code == 404


def test_the_template_is_there_to_take_away(client):
    response = client.get(reverse("services:openapi_template"))
    assert contracts.accept(response.content).filled == ()
    assert response.headers["Content-Disposition"].endswith('"openapi-spec.yml"')
