"""Every page that needs no work done first: once per theme, without a violation, an error or a report."""

import pytest

from tests.e2e.axe import assert_accessible

THEMES = ["light", "dark"]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/docs/"])
def test_a_public_page(new_page, path, theme):
    page = new_page(color_scheme=theme)
    assert page.goto(path).status == 200
    assert_accessible(page)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", ["/dashboard/", "/services/", "/services/new/", "/jobs/", "/account/profile/"])
def test_a_page_of_a_signed_in_person(signed_in, path, theme):
    page = signed_in(color_scheme=theme)
    assert page.goto(path).status == 200
    assert_accessible(page)


@pytest.mark.expects_status(404)
def test_a_page_that_is_not_there(page):
    assert page.goto("/nowhere/").status == 404
    assert_accessible(page)
