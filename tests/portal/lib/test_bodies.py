"""The bytes of a request, wanted or not."""

from io import BytesIO

import pytest
from django.http import HttpRequest
from django.test import Client, RequestFactory

from portal.lib import bodies

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}


def sent(content: bytes, **environ: object) -> tuple[HttpRequest, BytesIO]:
    came = BytesIO(content)
    return RequestFactory().generic("POST", "/", **{"wsgi.input": came, **environ}), came


@pytest.mark.parametrize("environ", [{"CONTENT_LENGTH": "5"}, CHUNKED])
def test_a_body_is_read_with_a_length_and_in_chunks(environ):
    request, _ = sent(b"hello", **environ)
    assert bodies.stream(request).read(100) == b"hello"


@pytest.mark.parametrize("environ", [{"CONTENT_LENGTH": "5"}, CHUNKED])
def test_what_nobody_wants_is_read_to_its_end(environ):
    request, came = sent(b"hello", **environ)
    bodies.stream(request).read(2)
    bodies.drain(request)
    assert came.tell() == 5


def test_what_has_no_end_is_not_read_for_ever():
    request, came = sent(b"x" * bodies.CHUNK_BYTES * 3, **CHUNKED)
    bodies.drain(request, max_bytes=bodies.CHUNK_BYTES)
    assert came.tell() == bodies.CHUNK_BYTES


def test_without_a_body_nothing_is_waited_for():
    request, came = sent(b"of the next request", CONTENT_LENGTH="0")
    bodies.drain(request)
    assert came.tell() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/gateway/a/b/1", 401),
        ("POST", "/gateway/nowhere", 404),
        ("POST", "/gateway/openapi.json", 405),
        ("PUT", "/token", 405),
        ("POST", "/token?in=the+address", 400),
    ],
)
def test_the_body_of_a_refused_call_is_read_to_its_end(method, path, status):
    """Left in the connection, it would end it: the next call of a client with a pool would break off."""
    came = BytesIO(b"hello")
    answer = Client().generic(method, path, **{"wsgi.input": came, "CONTENT_LENGTH": "5"})
    assert (answer.status_code, came.tell()) == (status, 5)
