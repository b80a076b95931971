"""The pages that belong to no app or show a list: once per theme, without a violation, an error or a report."""

import pytest

from tests.e2e.axe import assert_accessible

THEMES = ["light", "dark"]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", ["/", "/docs/", "/docs/operator/", "/docs/settings/", "/docs/contributing/"])
def test_a_page_for_everybody(look_at, path, theme):
    assert_accessible(look_at(path, color_scheme=theme))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    "path", ["/dashboard/", "/jobs/", "/account/limits/", "/applications/", "/docs/", "/styleguide/"]
)
def test_a_page_for_who_is_signed_in(look_at, session, path, theme):
    assert_accessible(look_at(path, storage_state=session, color_scheme=theme))


@pytest.mark.parametrize("theme", THEMES)
def test_a_page_that_is_not_there(look_at, theme):
    page = look_at("/nowhere/", status=404, color_scheme=theme)
    assert_accessible(page)


@pytest.mark.parametrize("path", ["/services/", "/jobs/", "/applications/", "/services/new/"])
def test_one_thing_is_to_be_done_next(look_at, consumer_session, path):
    page = look_at(path, storage_state=consumer_session)  # who has nothing yet, and reads where to begin
    looks = "all => all.filter(one => one.checkVisibility() && getComputedStyle(one).boxShadow !== 'none').length"
    assert page.locator("main .button--primary").evaluate_all(looks) == 1
