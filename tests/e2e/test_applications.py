"""A consumer and their client, in a real browser: create, copy, subscribe, a second secret, revoke."""

import base64
import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Error, Page, expect

from tests.e2e.axe import assert_accessible
from tests.live_stack import LiveStack

NewContext = Callable[..., BrowserContext]
SECRET = re.compile(r"mcs_[0-9a-f]{64}")
numbers = itertools.count(1)


@pytest.fixture
def open_page(new_context: NewContext, session: Any, live_stack: LiveStack) -> Callable[..., Page]:
    """A page of the consumer's browser, which may read the clipboard."""

    def open_page(path: str = "/applications/", **options: Any) -> Page:
        context = new_context(storage_state=session, base_url=live_stack.url, **options)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.goto(path)
        return page

    return open_page


def create(page: Page) -> str:
    """Create an application by the form; its name. The page shows its secret."""
    name = f"Report {next(numbers)}"
    page.goto("/applications/new/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create and show the secret").click()
    expect(page.get_by_role("heading", name=f"{name} is ready")).to_be_visible()
    return name


def copied(page: Page) -> str:
    return page.evaluate("() => navigator.clipboard.readText()")


def test_a_secret_is_copied_once_followed_by_a_second_and_revoked(open_page, live_stack):
    page = open_page()
    page.get_by_role("link", name="New application").click()
    name = create(page)
    assert page.url.endswith("/applications/new/")
    assert_accessible(page)
    text = SECRET.search(page.content())[0]
    key = page.locator(".copy-field__value").first.inner_text()

    page.get_by_role("button", name="Copy text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    command = copied(page)
    assert command.startswith(f'curl -X POST {live_stack.url}/token -d "grant_type=client_credentials" -H')
    pair = re.search(r"Basic ([\w+/=]+)", command)[1]
    assert base64.b64decode(pair).decode() == f"{key}:{text}"

    page.get_by_role("link", name="subscribe to a service").click()
    expect(page.get_by_role("heading", name=f"Subscribe {name}")).to_be_visible()
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name="Credentials")).to_be_visible()
    assert text not in page.content()
    page.go_back()
    with pytest.raises(Error, match="ERR_CACHE_MISS"):  # the browser kept no copy, and sends no form again unasked
        page.go_back()

    page = page.context.new_page()
    page.goto("/applications/")
    page.get_by_role("link", name=name).click()
    page.get_by_role("link", name="Add a second secret").click()
    page.get_by_role("button", name="Add and show it").click()
    expect(page.get_by_role("heading", name="Copy the secret now")).to_be_visible()
    second = SECRET.search(page.content())[0]
    assert second != text
    page.get_by_role("link", name="I have copied it").click()
    rows = page.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(page.get_by_role("link", name="Add a second secret")).to_have_count(0)

    page.get_by_role("button", name=f"Revoke …{text[-4:]}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"What uses the other one, which ends in {second[-4:]}, goes on")
    assert_accessible(page)
    dialog.get_by_role("button", name="Revoke").click()
    expect(rows.filter(has_text=text[-4:])).to_contain_text("Revoked")
    expect(rows.filter(has_text=second[-4:])).to_contain_text("Live")
    expect(page.get_by_role("link", name="Add a second secret")).to_be_visible()


def test_a_double_click_makes_one_application(open_page):
    page = open_page("/applications/new/")
    page.get_by_label("Name").fill("Clicked twice")
    page.get_by_role("button", name="Create and show the secret").dblclick()
    expect(page.get_by_role("heading", name="Clicked twice is ready")).to_be_visible()


def test_its_pages_are_accessible(open_page):
    page = open_page("/applications/new/", color_scheme="dark")
    assert_accessible(page)
    create(page)
    assert_accessible(page)
    page.get_by_role("link", name="To the application").click()
    page.wait_for_url("**/applications/*-*/")
    application = page.url
    for path in ("", "settings/", "secrets/new/", "subscribe/"):
        page.goto(application + path)
        assert_accessible(page)
