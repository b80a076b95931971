"""The id of a request."""

import logging

import pytest
from django.test import Client

from portal.lib.requests import RequestIdFilter, request_id


def test_each_request_has_an_id_of_its_own(db):
    ids = {Client().get("/gateway/x")["X-Request-ID"] for _ in range(2)}
    assert len(ids) == 2
    assert request_id() == "-"


@pytest.mark.parametrize(
    ("given", "is_taken"), [("a-B_1.2", True), ("a" * 64, True), ("a" * 65, False), ("", False), ("a b", False)]
)
def test_a_proxy_may_choose_it(db, given, is_taken):
    taken = Client().get("/gateway/x", headers={"X-Request-ID": given})["X-Request-ID"]
    assert (taken == given) is is_taken


def test_every_line_of_the_log_has_it():
    record = logging.makeLogRecord({})
    assert RequestIdFilter().filter(record)
    assert record.request_id == "-"


@pytest.mark.parametrize("path", ["/gateway/x", "/gateway/a/b/1", "/nowhere"])
def test_the_line_about_a_refusal_has_the_id_of_its_answer(db, caplog, path):
    caplog.handler.addFilter(known := RequestIdFilter())
    try:
        answer = Client().get(path)
    finally:
        caplog.handler.removeFilter(known)
    (record,) = [record for record in caplog.records if record.name == "django.request"]
    assert record.request_id == answer["X-Request-ID"]
    assert request_id() == "-"
