"""The tab Runtime in a browser: variables come and go without a reload, and no secret stays on the page."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import assert_accessible
from tests.live_stack import LiveStack


@pytest.fixture
def page(new_context, session, live_stack: LiveStack) -> Page:
    """The runtime of the demo's service, on a small screen in the dark."""
    page: Page = new_context(
        storage_state=session, viewport={"width": 360, "height": 800}, color_scheme="dark"
    ).new_page()
    page.goto(f"{live_stack.bootstrap['service']['page']}runtime/")
    return page


def test_variables_are_added_changed_and_removed(page: Page):
    page.evaluate("window.stays = true")
    adding = page.locator("#variables form").filter(has=page.get_by_role("heading", name="Add a variable"))
    adding.get_by_label("Name").fill("PATH")
    adding.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_text("PATH cannot be set")).to_be_visible()

    adding.get_by_label("Name").fill("E2E_TOKEN")
    adding.get_by_label("Value").fill("canary")
    adding.get_by_label("Secret").check()
    adding.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status").filter(has_text="E2E_TOKEN is set")).to_be_focused()
    assert "canary" not in page.content()

    page.get_by_text("Change E2E_TOKEN").click()
    changing = page.get_by_role("listitem").filter(has_text="E2E_TOKEN")
    changing.get_by_label("Secret").uncheck()
    changing.get_by_role("button", name="Save").click()
    expect(page.get_by_text("shown to nobody.")).to_be_visible()
    changing.get_by_label("Value").fill("open")
    changing.get_by_role("button", name="Save").click()
    expect(page.locator("pre", has_text="open")).to_be_visible()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("window.stays")

    page.get_by_role("button", name="Remove E2E_TOKEN").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove variable").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
