"""The pages that belong to no app or show a list: once per theme, without a violation, an error or a report."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.axe import assert_accessible
from tests.live_stack import LiveStack

THEMES = ["light", "dark"]


@pytest.fixture
def open_page(new_context: Callable[..., Any], live_stack: LiveStack) -> Callable[..., Page]:
    """Opens a path and checks that the answer is ``status``."""

    def open_it(path: str, *, status: int = 200, **options: Any) -> Page:
        page: Page = new_context(**options).new_page()
        assert page.goto(live_stack.url + path).status == status
        return page

    return open_it


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", ["/", "/docs/", "/docs/operator/", "/docs/settings/", "/docs/contributing/"])
def test_a_page_for_everybody(open_page, path, theme):
    assert_accessible(open_page(path, color_scheme=theme))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    "path", ["/dashboard/", "/jobs/", "/account/limits/", "/applications/", "/docs/", "/styleguide/"]
)
def test_a_page_for_who_is_signed_in(open_page, session, path, theme):
    assert_accessible(open_page(path, storage_state=session, color_scheme=theme))


@pytest.mark.parametrize("theme", THEMES)
def test_a_page_that_is_not_there(open_page, theme):
    page = open_page("/nowhere/", status=404, color_scheme=theme)
    assert_accessible(page)
