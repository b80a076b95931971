"""The description of the gateway."""

import json

import pytest
import yaml
from django.core.management import call_command
from django.test import Client

from jobs.models import Status
from portal.api.managed import schema
from portal.api.managed.executions import SHOWN


def test_it_is_valid_and_says_no_word_of_warning(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "openapi.yml"))


@pytest.mark.parametrize("slash", ["", "/"])
def test_anybody_may_read_it(slash):
    answer = Client().get(f"/gateway/openapi.json{slash}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    as_yaml = Client().get(f"/gateway/openapi.yaml{slash}")
    assert (as_yaml.status_code, as_yaml["Content-Type"]) == (200, "application/yaml")
    assert json.loads(answer.content) == yaml.safe_load(as_yaml.content)


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
            assert {"401", "404", "500"} <= operation["responses"].keys()
    assert document["components"]["securitySchemes"]["applicationCredentials"]["type"] == "oauth2"


def test_it_knows_the_words_that_are_said():
    assert set(schema.STATUSES) == {SHOWN[status] for status in Status}
