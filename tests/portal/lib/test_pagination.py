"""Lists in pages by key."""

import pytest
from django.http import QueryDict

from portal.lib.pagination import newest_first
from services.models import Service
from tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(provider_account):
    return [ServiceFactory(account=provider_account) for _ in range(7)][::-1]


def page(link: str = ""):
    return newest_first(Service.objects.all(), query=QueryDict(link.removeprefix("?")), size=3)


def test_the_newest_come_first_and_there_is_nothing_newer(rows):
    first = page()
    assert first.rows == rows[:3]
    assert first.newer == ""
    assert first.is_first


def test_older_and_newer_lead_through_every_row_and_back(rows):
    second = page(page().older)
    assert second.rows == rows[3:6]
    last = page(second.older)
    assert last.rows == rows[6:]
    assert last.older == ""
    assert page(last.newer).rows == rows[3:6]


def test_the_first_page_is_full_also_when_reached_from_behind(rows):
    back = page(page(page().older).newer)
    assert back.rows == rows[:3]
    assert back.is_first


def test_rows_that_come_in_meanwhile_move_nothing(rows, provider_account):
    older = page().older
    ServiceFactory(account=provider_account)
    assert page(older).rows == rows[3:6]


def test_other_parameters_stay_in_the_links(rows):
    assert page("?q=a%26b&before=" + str(rows[0].pk)).older.startswith("?q=a%26b&before=")


def test_a_list_that_fits_has_no_links(db):
    assert (page().newer, page().older, page().rows) == ("", "", [])


def test_a_cursor_that_is_no_id_gives_the_first_page(rows):
    assert page("?before=yesterday").rows == rows[:3]
