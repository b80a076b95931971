"""Problems, and their documentation."""

import orjson
import pytest
from django.test import RequestFactory

from jobs.models import Reason
from portal import documentation
from portal.lib.errors import CODES, Problem

ANCHORS = {entry.anchor for entry in documentation.document("errors").contents}


@pytest.mark.parametrize("code", [*CODES, *(reason.value for reason in Reason)])
def test_every_code_is_documented_at_its_anchor(code):
    assert code in ANCHORS


def test_nothing_is_documented_that_is_not_said():
    assert {anchor for anchor in ANCHORS if "_" in anchor} <= {*CODES, *Reason.values}


def test_a_problem():
    problem = Problem("input_too_large", "It has 2 bytes.", headers={"Retry-After": "1"}, limit=1)
    answer = problem.response(RequestFactory().get("/räume/a b"))
    assert (answer.status_code, answer["Content-Type"]) == (413, "application/problem+json")
    assert (answer["Retry-After"], answer["Cache-Control"]) == ("1", "no-store")
    assert orjson.loads(answer.content) == {
        "type": "/docs/errors/#input_too_large",
        "title": "The input is too large",
        "status": 413,
        "detail": "It has 2 bytes.",
        "instance": "/r%C3%A4ume/a%20b",
        "code": "input_too_large",
        "request_id": "-",
        "limit": 1,
    }
