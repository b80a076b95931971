"""The marketplace in a real browser: found without an account, tried and subscribed to by somebody else's."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.axe import assert_accessible
from tests.live_stack import LiveStack

THEMES = ["light", "dark"]
NewContext = Callable[..., BrowserContext]


@pytest.fixture
def open_page(new_context: NewContext, live_stack: LiveStack) -> Callable[..., Page]:
    """A page of a browser; the options are those of its context."""

    def open_page(path: str, **options: Any) -> Page:
        page = new_context(base_url=live_stack.url, **options).new_page()
        answer = page.goto(path)
        assert answer
        assert answer.status == 200
        return page

    return open_page


@pytest.fixture(scope="module")
def offer(live_stack: LiveStack) -> str:
    """The path of the page of the service that the demo offers to everybody."""
    _, _, path = live_stack.bootstrap["service_endpoint"].partition("/gateway/")
    return f"/marketplace/{path.rpartition('/')[0]}/"


@pytest.mark.parametrize("theme", THEMES)
def test_everybody_finds_a_service_by_typing(open_page, offer, theme):
    page = open_page("/marketplace/", color_scheme=theme)
    cards = page.locator("#market .offer")
    expect(page.locator(f"#market a[href='{offer}']")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    expect(cards).to_have_count(0)
    page.get_by_role("searchbox").fill("sum")
    expect(page.locator(f"#market a[href='{offer}']")).to_be_visible()
    assert "q=sum" in page.url
    expect(page.get_by_role("link", name="Best match")).to_have_attribute("aria-current", "true")


def test_it_works_without_script(open_page, offer):
    page = open_page("/marketplace/", java_script_enabled=False)
    page.get_by_role("searchbox").fill("sum")
    page.get_by_role("button", name="Search").click()
    page.locator(f"#market a[href='{offer}']").click()
    expect(page.get_by_role("heading", name="At a glance")).to_be_visible()
    page.get_by_role("link", name="Subscribe").click()
    page.wait_for_url("**/accounts/login/**")


@pytest.mark.parametrize(("theme", "is_signed_in"), [("light", True), ("dark", False)])
def test_the_page_of_a_service(open_page, consumer_session, offer, theme, is_signed_in):
    page = open_page(offer, color_scheme=theme, **({"storage_state": consumer_session} if is_signed_in else {}))
    expect(page.get_by_role("link", name="Try it")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="YAML").click()
    assert download.value.suggested_filename.endswith("-openapi.yaml")
    assert_accessible(page)


def test_a_consumer_makes_an_application_and_subscribes_it(open_page, consumer_session, offer):
    page = open_page(offer, storage_state=consumer_session, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Subscribe").click()
    page.get_by_role("link", name="Make an application").click()
    page.get_by_label("Name").fill("Weather")
    page.get_by_role("main").get_by_role("button").last.click()
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_label("Application")).to_have_value(page.url.partition("application=")[2])
    assert_accessible(page)
    page.get_by_role("button", name="Subscribe").click()
    subscribed = page.locator("#subscriptions")
    expect(subscribed.get_by_role("link", name="Weather")).to_be_visible()
    subscribed.get_by_role("button", name="Copy").click()
    assert "/gateway/" in page.evaluate("navigator.clipboard.readText()")
    subscribed.get_by_role("link", name="Weather").click()
    expect(page.get_by_role("heading", name="Weather")).to_be_visible()


def test_try_it_opens_the_job_form_of_the_service(open_page, consumer_session, offer):
    page = open_page(offer, storage_state=consumer_session)
    name = page.locator("h1").inner_text()
    page.get_by_role("link", name="Try it").click()
    page.wait_for_url("**/jobs/new/?service=*")
    expect(page.get_by_role("main")).to_contain_text(name)
