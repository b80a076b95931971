"""How large a body may be, and of which type."""

import gzip
from io import BytesIO

import pytest
from django.test import Client

from jobs.models import Job


def test_a_body_that_is_too_large(caller, settings):
    settings.BODY_MAX_BYTES = 1000
    answer = caller.post(body=b'{"data": "' + b"x" * 1000 + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "input_too_large")
    assert answer.json()["limit"] == 1000
    assert "1,012 bytes" in answer.json()["detail"]
    assert not Job.objects.exists()


def test_an_input_that_is_too_large_is_named(caller, settings):
    settings.INPUT_MAX_BYTES = 100
    answer = caller.post(body=b'{"data": {}, "params": "' + b"x" * 100 + b'"}')
    assert (answer.status_code, answer.json()["code"], answer.json()["name"]) == (413, "input_too_large", "params")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/hal+json", ""])
def test_json_by_its_names(caller, kind):
    assert caller.post(body="{}", Content_Type=kind).status_code == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "é"])
def test_other_types_are_refused(caller, kind):
    answer = caller.post(body="{}", Content_Type=kind)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
def test_a_compressed_body_is_refused_by_its_name(caller, coding):
    answer = caller.post(body=gzip.compress(b"{}"), Content_Encoding=coding)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer["Accept-Encoding"] == "identity"
    assert f"({coding})" in answer.json()["detail"]
    assert caller.post(body=b"{}", Content_Encoding="Identity").status_code == 201


def test_no_body_at_all_is_told_what_to_send(caller):
    answer = caller.post(body=b"", Content_Type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert "has no body" in answer.json()["detail"]
    assert (answer.json()["line"], answer.json()["column"]) == (1, 1)


def test_a_body_in_chunks_is_a_body(caller):
    came = {"wsgi.input": BytesIO(b'{"data": 7}'), "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = Client(headers={"Authorization": f"Bearer {caller.token}"}).generic("POST", caller.path, **came)
    assert answer.status_code == 201
    assert Job.objects.get().input.data == "7"


def test_a_body_that_broke_off_starts_nothing(caller):
    came = {"wsgi.input": BytesIO(b"{}"), "CONTENT_LENGTH": "9"}
    headers = {"Authorization": f"Bearer {caller.token}"}
    answer = Client(headers=headers).post(caller.path, "", content_type="application/json", **came)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert not Job.objects.exists()
