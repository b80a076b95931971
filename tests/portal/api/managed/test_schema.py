"""The description of the gateway."""

import json

import pytest
import yaml
from django.core.management import call_command
from django.test import Client

from jobs.models import Status
from portal.api.managed import schema
from portal.api.managed.executions import SHOWN
from services import contracts


def test_it_is_valid_and_says_no_word_of_warning(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "openapi.yml"))


@pytest.mark.parametrize("slash", ["", "/"])
def test_anybody_may_read_it(slash):
    answer = Client().get(f"/gateway/openapi.json{slash}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    as_yaml = Client().get(f"/gateway/openapi.yaml{slash}")
    assert (as_yaml.status_code, as_yaml["Content-Type"]) == (200, "application/yaml")
    assert json.loads(answer.content) == yaml.safe_load(as_yaml.content)


@pytest.mark.parametrize("path", ["/gateway/openapi.json", "/gateway/openapi.yaml/"])
def test_it_can_only_be_read(path):
    answer = Client(enforce_csrf_checks=True).post(path)
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert answer["Allow"] == "GET, HEAD"
    assert (answer.json()["code"], answer.cookies) == ("method_not_allowed", {})
    assert Client().head(path).status_code == 200


def test_every_address_is_described_once():
    document = json.loads(Client().get("/gateway/openapi.json").content)
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    base = "/gateway/{account}/{service}/{version}"
    assert described == {
        ("GET", base),
        ("POST", base),
        ("GET", f"{base}/{{id}}"),
        ("GET", f"{base}/{{id}}/result"),
        ("GET", f"{base}/{{id}}/result/{{file}}"),
        ("GET", f"{base}/{{id}}/interim-results"),
        ("GET", f"{base}/{{id}}/log"),
        ("PUT", f"{base}/{{id}}/cancel"),
    }
    for methods in document["paths"].values():
        for operation in methods.values():
            assert {"401", "404", "500", "503"} <= operation["responses"].keys()
            for status in {"429", "503"} & operation["responses"].keys():
                assert "Retry-After" in operation["responses"][status]["headers"]
    # A full queue, and too many live logs.
    assert "429" in document["paths"][base]["post"]["responses"]
    assert "429" in document["paths"][f"{base}/{{id}}/log"]["get"]["responses"]
    assert "Retry-After" in document["paths"][f"{base}/{{id}}/result"]["get"]["responses"]["404"]["headers"]
    assert document["components"]["securitySchemes"]["applicationCredentials"]["type"] == "oauth2"


def test_it_knows_the_words_that_are_said():
    assert set(schema.STATUSES) == {SHOWN[status] for status in Status}


def test_the_template_shows_links_as_they_are_made(caller):
    schemas = yaml.safe_load(contracts.template())["components"]["schemas"]
    example = schemas["ResultResponse"]["properties"]["_links"]["example"]
    job = caller.ended(b"1")
    made = json.dumps(caller.get(f"/{job.pk}/result").json()["_links"])
    assert json.loads(made.replace(f"{caller.url}/{job.pk}", example["status"]["href"])) == example
