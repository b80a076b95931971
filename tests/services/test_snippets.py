"""Texts to copy: complete, without a secret, and proof against what a description says."""

import base64
import json
import shlex
import subprocess

import pytest
from planqk.service.client import PlanqkServiceClient
from qhub.service.client import HubServiceClient

from services import contracts, snippets
from services.subscriptions import endpoint
from tests.factories import ApplicationFactory, ServiceVersionFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db
NASTY = {"text": 'It\'s "quoted" $(id) `id` \\ {endpoint} é', "flag": True, "none": None, "values": [1, 2.5]}


@pytest.fixture
def make(settings):
    settings.PUBLIC_URL = "https://mercato.example"

    def make(data: object):
        """A subscription to a version whose description gives ``data`` as the example."""
        schema = {"type": "object", "properties": {"data": {}, "params": {}}}
        body = {"application/json": {"schema": schema, "example": {"data": data, "params": {}}}}
        document = {
            "openapi": "3.1.0",
            "info": {"title": "Test", "version": "1.0.0"},
            "paths": {"/": {"post": {"requestBody": {"content": body}}}},
        }
        version = ServiceVersionFactory(openapi=json.dumps(document), publication="marketplace")
        assert json.loads(contracts.example_input(contracts.load(version.openapi))[0]) == data
        return SubscriptionFactory(version=version)

    return make


def test_the_token_command_has_key_and_secret_as_one_basic_credential(settings):
    settings.PUBLIC_URL = "https://mercato.example"
    application = ApplicationFactory()
    words = shlex.split(snippets.token_curl(application, "mcs_secret"))
    assert words[:5] == ["curl", "-X", "POST", "https://mercato.example/token", "-d"]
    assert words[5] == "grant_type=client_credentials"
    scheme, _, pair = words[7].removeprefix("Authorization: ").partition(" ")
    assert (scheme, base64.b64decode(pair).decode()) == ("Basic", f"{application.access_key_id}:mcs_secret")


def test_the_shell_reads_curl_as_it_is_meant(make, tmp_path):
    """Run by a real shell with a curl that notes its arguments: tokens and ids go from answer to call."""
    subscription = make(NASTY)
    fake = tmp_path / "curl"
    fake.write_text(
        '#!/bin/sh\nprintf "%s\\0" "$@" >> calls\nprintf "\\n" >> calls\n'
        'echo \'{"access_token": "T1","id":"E1","serviceId":"S"}\'\n'
    )
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SECRET_ACCESS_KEY": "mcs_secret"}
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input=snippets.curl(subscription),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    calls = [call.split("\0") for call in (tmp_path / "calls").read_text().split("\0\n")[:-1]]
    base = endpoint(subscription.version)
    assert [next(word for word in call if word.startswith("https:")) for call in calls] == [
        "https://mercato.example/token",
        f"{base}/",
        f"{base}/E1",
        f"{base}/E1/result",
    ]
    assert f"{subscription.application.access_key_id}:mcs_secret" in calls[0]
    assert all("Authorization: Bearer T1" in call for call in calls[1:])
    assert all("\\n" in call for call in calls[2:])  # status and result stand on lines of their own
    assert json.loads(calls[1][calls[1].index("-d") + 1]) == {"data": NASTY, "params": {}}


def test_curl_shows_why_the_start_was_refused_and_asks_for_nothing_more(make, tmp_path):
    fake = tmp_path / "curl"
    fake.write_text('#!/bin/sh\necho called >> calls\necho \'{"code": "not_published", "request_id": "R1"}\'\n')
    fake.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh"],
        input=snippets.curl(make({})),
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SECRET_ACCESS_KEY": "mcs_secret"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "not_published" in done.stdout
    assert "the start was refused" in done.stderr
    assert (tmp_path / "calls").read_text().split() == ["called"] * 2


@pytest.mark.parametrize("language", ["qhub", "planqk"])
def test_python_calls_the_sdk_as_it_is_meant(make, monkeypatch, language):
    """Run with the real package, but for what would go through the network."""
    subscription = make(NASTY)
    client = {"qhub": HubServiceClient, "planqk": PlanqkServiceClient}[language]
    calls = []

    class Execution:
        status = "SUCCEEDED"

        def wait_for_final_state(self):
            calls.append("wait")

        def result(self):
            return {}

    def run(self, request):
        calls.append(request)
        return Execution()

    monkeypatch.setattr(client, "run", run)
    monkeypatch.setenv("SECRET_ACCESS_KEY", "mcs_secret")
    exec(snippets.LANGUAGES[language][2](subscription), {})
    assert calls == [{"data": NASTY, "params": {}}, "wait"]


@pytest.mark.parametrize("language", snippets.LANGUAGES)
def test_it_names_endpoint_and_key_and_reads_a_long_input_from_a_file(make, language):
    subscription = make({"values": list(range(1_000))})
    text = snippets.LANGUAGES[language][2](subscription)
    assert endpoint(subscription.version) in text
    assert "https://mercato.example/token" in text
    assert subscription.application.access_key_id in text
    assert "SECRET_ACCESS_KEY" in text
    assert "input.json" in text
    assert "999" not in text


@pytest.mark.parametrize("language", snippets.LANGUAGES)
def test_every_input_of_the_service_is_in_it(make, language):
    subscription = make({})
    version = subscription.version
    document = json.loads(version.openapi)
    body = document["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]
    body["schema"]["properties"] |= {"matrix": {"type": "array", "items": {"type": "integer"}}, "shots": {"default": 7}}
    version.openapi = json.dumps(document)
    text = snippets.LANGUAGES[language][2](subscription)
    assert '"matrix": [' in text
    assert '"shots": 7' in text
