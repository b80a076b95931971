"""Times and durations in words, and the bar of a timeline."""

from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.urls import resolve, reverse
from django.utils import timezone

from portal.templatetags import mercato

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0404, "40 ms"),
        (3.24, "3.2 s"),
        (48.9, "48 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
        (100_000, "1 d 3 h"),
        (None, "–"),
    ],
)
def test_durations(seconds, words):
    assert mercato.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "just now"),
        (-3, "just now"),
        (61, "1 minute ago"),
        (7300, "2 hours ago"),
        (200_000, "2 days ago"),
        (-130, "in 2 minutes"),
    ],
)
def test_moments(seconds, words):
    assert mercato.ago(timezone.now() - seconds * SECOND) == words


def test_what_is_long_ago_has_a_date():
    assert mercato.ago(datetime(2024, 3, 9, 12, tzinfo=UTC)) == "9 Mar 2024"


def test_a_moment_for_machines_and_for_the_tooltip():
    at = datetime(2026, 11, 21, 9, 5, 7, 123456, tzinfo=UTC)
    assert mercato.iso(at) == "2026-11-21T09:05:07.123Z"
    assert mercato.exact(at) == "21 November 2026, 09:05:07 UTC"


def test_the_parts_of_a_timeline_fill_the_bar_and_none_is_too_thin_to_see():
    at = timezone.now() - 100 * SECOND
    steps = [
        {"label": "Waiting", "status": "QUEUED", "at": at, "ended_at": at + SECOND / 1000},
        {"label": "Running", "status": "RUNNING", "at": at + SECOND / 1000, "ended_at": at + 90 * SECOND},
        {"label": "Succeeded", "status": "SUCCEEDED", "at": at + 90 * SECOND, "is_point": True},
    ]
    waiting, running, end = mercato.shares(steps)
    assert waiting["width"] >= mercato.PART_WIDTH_MIN
    assert running["x"] == waiting["width"]
    assert waiting["width"] + running["width"] == pytest.approx(mercato.BAR_WIDTH, abs=0.5)
    assert "width" not in end
    assert not running["is_live"]


def test_a_step_that_lasts_is_live_and_one_that_is_ahead_is_not():
    running, result = mercato.shares(
        [
            {"label": "Running", "status": "RUNNING", "at": timezone.now() - SECOND, "ended_at": None},
            {"label": "Result", "status": "QUEUED", "at": None, "is_point": True},
        ]
    )
    assert running["is_live"]
    assert not result["is_live"]


@pytest.mark.parametrize(
    ("page", "place", "is_current"),
    [
        ("jobs:list", "jobs", True),
        ("jobs:list", "services", False),
        ("dashboard", "dashboard", True),
        ("docs", "docs", True),
    ],
)
def test_the_navigation_knows_where_one_is(page, place, is_current):
    request = RequestFactory().get(reverse(page))
    request.resolver_match = resolve(request.path)
    html = Template("{% load mercato %}<a {% current place %}>").render(Context({"request": request, "place": place}))
    assert ("aria-current" in html) is is_current


def test_an_error_page_has_no_place():
    assert Template("{% load mercato %}{% current 'jobs' %}").render(Context({})) == ""


@pytest.mark.parametrize(
    ("fraction", "took", "ago", "words"),
    [
        (0.5, 64, 0, "about 1 min 10 s left"),
        (0.5, 179, 0, "about 3 min left"),
        (0.5, 200, 0, "about 4 min left"),
        (0.5, 30, 0, "about 30 s left"),
        (0.5, 30, 24, "a few seconds left"),
        (0.5, 30, 60, ""),  # it takes longer than it looked
        (0.01, 60, 0, "about 1 h 40 min left"),
        (0.01, 6000, 0, "about 6 d 21 h left"),
        (0.9, 0.5, 0, ""),  # too early to say
        (0, 100, 0, ""),
        (1, 100, 0, ""),
        (None, 100, 0, ""),
    ],
)
def test_what_is_left(fraction, took, ago, words):
    at = timezone.now() - ago * SECOND
    assert mercato.remaining(fraction, at - took * SECOND, at) == words
    assert mercato.remaining(fraction, None, at) == ""


def test_a_share_of_the_whole():
    assert [mercato.share(each) for each in (None, 0.0, 0.429, 1.0)] == ["", "0 %", "42 %", "100 %"]
