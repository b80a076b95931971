"""Lists in pages by key."""

from uuid import UUID

import pytest
from django.http import QueryDict

from portal.lib.pagination import Key, in_order, newest_first, read_int, read_text
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


# Other orders

BY_NAME = (Key(name="summary", read=read_text), Key(name="pk", read=UUID, is_descending=True))


def named_page(link: str = ""):
    return in_order(Service.objects.all(), BY_NAME, query=QueryDict(link.removeprefix("?")), size=2)


@pytest.fixture
def named(provider_account):
    """In the order of BY_NAME: of those that are called alike the newest first."""
    b1, a, b2, b3, e = (
        ServiceFactory(account=provider_account, summary=each) for each in ("b&=b", "a", "b&=b", "b&=b", "é")
    )
    return [a, b3, b2, b1, e]


def test_an_order_of_several_keys_leads_through_every_row_and_back(named):
    first = named_page()
    second = named_page(first.older)
    last = named_page(second.older)
    assert first.rows + second.rows + last.rows == named
    assert (first.newer, last.older) == ("", "")
    assert named_page(last.newer).rows == named[2:4]
    assert named_page(second.newer).rows == named[:2]
    assert named_page(second.newer).is_first


@pytest.mark.parametrize(
    "link",
    ["?before=b", "?before=b&before=no-id", "?after=a&after=b&after=c", "?before=%00&before=" + "0" * 32],
)
def test_a_cursor_of_another_order_gives_the_first_page(named, link):
    assert named_page(link).rows == named[:2]


@pytest.mark.parametrize("text", ["9" * 19, "-" + "9" * 19, "9" * 5000, "1.5", "", "x", "\0"])
def test_a_number_that_no_database_takes_is_none(text):
    with pytest.raises(ValueError, match=r".*"):
        read_int(text)
