"""The clients that people have, unchanged, against a live instance: docs of both are the specification here."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import wait_for

SUM = {"data": {"do": "sum", "values": [100, 50, 200]}, "params": {"round_off": True}}
DO = {"params": {}}


def test_an_execution_from_start_to_result(client):
    execution = client.run(request=SUM)
    assert execution.status in ("PENDING", "RUNNING")
    assert finished(execution).status == "SUCCEEDED"
    result = execution.result()
    assert (result.sum, result.rounded) == (350, True)
    assert result.embedded.status.id == execution.id
    assert execution.result_files() == ["output.json"]
    assert execution.created_at <= execution.started_at <= execution.ended_at


def test_it_is_found_again(client):
    execution = finished(client.run(request=SUM))
    assert client.get_service_execution(execution.id).status == "SUCCEEDED"
    assert client.get_service_executions()[0].id == execution.id


def test_files_of_every_kind_of_name(client, tmp_path):
    execution = finished(client.run(request=DO | {"data": {"do": "files"}}))
    assert set(execution.result_files()) == {"bytes.bin", "a b.txt", "sub/folder/ü.txt", "output.json"}
    execution.download_result_file("bytes.bin", str(tmp_path))
    assert Path(tmp_path / "bytes.bin").read_bytes() == bytes(range(256)) * 1000
    assert b"".join(execution.result_file_stream("a b.txt")) == b"with a space"
    assert b"".join(execution.result_file_stream("sub/folder/ü.txt")) == b"in a folder"


def test_the_log_line_by_line(client):
    execution = finished(client.run(request=SUM))
    entries = execution.logs()
    assert "asked for sum" in [entry.message for entry in entries]
    assert sorted(entry.timestamp for entry in entries) == [entry.timestamp for entry in entries]


def test_a_result_that_is_no_object(client):
    execution = finished(client.run(request=DO | {"data": {"do": "list"}}))
    assert execution.result().result == [1, 2, 3]


def test_a_failure_says_why(client):
    execution = finished(client.run(request=DO | {"data": {"do": "fail"}}))
    assert execution.status == "FAILED"
    result = execution.result()
    assert result.code == "error"
    assert "ZeroDivisionError" in result.detail


def test_cancelling_what_runs_and_what_has_ended(client):
    execution = client.run(request=DO | {"data": {"do": "sleep"}})
    execution.cancel()
    assert finished(execution).status == "CANCELLED"
    execution.cancel()
    assert execution.result().code == "cancelled"
    assert isinstance(execution.logs(), list)


def test_what_an_execution_tells_before_its_end_disturbs_no_client(client, access):
    execution = client.run(request=DO | {"data": {"do": "tell"}})
    headers = {"Authorization": f"Bearer {client._auth.get_token()}"}
    url = f"{access.endpoint.rstrip('/')}/{execution.id}"
    shown = wait_for(lambda: httpx.get(url, headers=headers).json().get("progress"), what="the progress")
    assert (shown["fraction"], shown["message"]) == (0.4, "so far")
    interims = wait_for(lambda: httpx.get(f"{url}/interim-results", headers=headers).json(), what="the interim result")
    assert [each["result"] for each in interims] == [{"best": 7013}]
    assert client.get_service_execution(execution.id).status == "RUNNING"
    assert execution.id in [each.id for each in client.get_service_executions()]
    execution.cancel()
    assert finished(execution).status == "CANCELLED"


def test_eight_at_once(client):
    with ThreadPoolExecutor(8) as pool:
        executions = list(pool.map(lambda _: finished(client.run(request=SUM)), range(8)))
    assert {execution.status for execution in executions} == {"SUCCEEDED"}
    assert len({execution.id for execution in executions}) == 8


def test_both_forms_of_the_endpoint(connect, access):
    for endpoint in (access.endpoint.rstrip("/"), access.endpoint.rstrip("/") + "/"):
        client = connect(endpoint=endpoint)
        assert client.get_service_execution(client.run(request=SUM).id).id


@pytest.mark.parametrize("connect", ["qhub"], indirect=True)
def test_tags_and_secrets(client):
    execution = client.run(
        request=DO | {"data": {"do": "secret"}}, secrets={"apiKey": "sesame"}, tags=["nightly", "übung"]
    )
    assert finished(execution).result().digest == hashlib.sha256(b"sesame").hexdigest()
    assert client.api.get_status(id=execution.id).tags == ["nightly", "übung"]


def test_an_unknown_key_and_a_wrong_secret(connect):
    for credentials in ({"key": "mck_unknown"}, {"secret": "mcs_wrong"}):
        with pytest.raises(Exception, match="invalid_client"):
            connect(**credentials).run(request=SUM)


def test_a_service_that_is_not_subscribed(connect, access):
    with pytest.raises(Exception) as refused:  # noqa: PT011 (each client has an ApiError of its own)
        connect(endpoint=access.endpoint.replace("/for-clients/", "/nothing-here/")).run(request=SUM)
    assert refused.value.status_code == 404
    assert refused.value.body["code"] == "not_found"


def test_a_token_that_was_revoked(client, access):
    client.run(request=SUM)
    token = client._auth.get_token()
    answer = httpx.post(
        access.token_endpoint.replace("/token", "/oauth/revoke"),
        data={"token": token},
        auth=(access.key, access.secret),
    )
    assert answer.status_code == 200
    refuses(client)


def test_a_token_that_has_expired(client, live_stack):
    client.run(request=SUM)
    digest = hashlib.sha256(client._auth.get_token().encode()).hexdigest()
    live_stack.manage(
        "shell",
        "--command",
        "from django.utils import timezone; from portal.accounts.models import AccessToken; "
        f"assert AccessToken.objects.filter(digest={digest!r}).update(expires_at=timezone.now())",
    )
    refuses(client)


def refuses(client: Any) -> None:
    with pytest.raises(Exception) as refused:  # noqa: PT011 (each client has an ApiError of its own)
        client.run(request=SUM)
    assert refused.value.status_code == 401
    assert refused.value.body["code"] == "invalid_token"


def finished(execution: Any) -> Any:
    """``execution`` in its final state, polled as its SDK polls."""
    execution.wait_for_final_state(timeout=60, wait=0.1)
    return execution
