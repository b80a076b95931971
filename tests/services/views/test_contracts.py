"""The API specification of a version."""

import json

import pytest
import yaml
from django.urls import reverse

from tests.factories import ServiceVersionFactory
from tests.services.views.conftest import openapi

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
