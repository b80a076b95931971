"""A real Chromium for the tests of this folder, and a witness who fails a test for what a user would not see."""

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.live_stack import LiveStack

FLAGS = [
    "--no-sandbox",  # the tests run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

addresses = itertools.count(1)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The Chromium that $CHROMIUM names, or of the system, else Playwright's own.

    It ends with this folder: while Playwright runs, Django believes that this thread runs an event loop.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browsers that share no cookie, as on two devices. Each page of them must stay free of errors of scripts,
    of reports of the content security policy, and of console errors but those of a 4xx answer.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def make(**options: Any) -> BrowserContext:
        contexts.append(_watched_context(browser, complaints, **options))
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def _seen(browser: Browser) -> Iterator[tuple[dict[str, Page], list[str]]]:
    pages: dict[str, Page] = {}
    yield pages, []
    for page in pages.values():
        page.context.close()


@pytest.fixture
def look_at(
    browser: Browser, live_stack: LiveStack, _seen: tuple[dict[str, Page], list[str]]
) -> Iterator[Callable[..., Page]]:
    """Opens a path, which must answer with ``status``, in a page that the tests of a file share, one for each set of
    options: for tests that only look. A new context costs a second, most of it for what it has not cached.
    """
    pages, complaints = _seen
    complaints.clear()

    def look_at(path: str, *, status: int = 200, **options: Any) -> Page:
        key = json.dumps(options, sort_keys=True)
        if key not in pages:
            pages[key] = _watched_context(browser, complaints, **options).new_page()
        assert pages[key].goto(live_stack.url + path).status == status
        return pages[key]

    yield look_at
    for page in pages.values():
        page.goto("about:blank")  # what polls stops, and says nothing in the next test
    assert complaints == []


@pytest.fixture(scope="module")
def session(browser: Browser, live_stack: LiveStack) -> Any:
    """The cookies of the demo's first person, a provider, who logs in once a file."""
    return _cookies_of("user", browser, live_stack)


@pytest.fixture(scope="module")
def consumer_session(browser: Browser, live_stack: LiveStack) -> Any:
    """The cookies of the demo's second person, a consumer."""
    return _cookies_of("second_user", browser, live_stack)


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    return new_context().new_page()


def _watched_context(browser: Browser, complaints: list[str], **options: Any) -> BrowserContext:
    # Each from an address of its own: the rate limits of the instance are for one person, not for a test run.
    options.setdefault("extra_http_headers", {"X-Forwarded-For": f"10.0.0.{next(addresses) % 256}"})
    context = browser.new_context(**options)
    context.set_default_timeout(20_000)
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error('CSP: ' + e.violatedDirective + ' ' +"
        " e.blockedURI))"
    )
    context.on("weberror", lambda error: complaints.append(f"{error.page and error.page.url}: {error.error}"))
    context.on("console", lambda message: _is_complaint(message) and complaints.append(message.text))
    return context


def _cookies_of(person: str, browser: Browser, live_stack: LiveStack) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{live_stack.url}/accounts/login/")
    page.get_by_label("E-mail address").fill(live_stack.bootstrap[person]["email"])
    page.get_by_label("Password", exact=True).fill(live_stack.bootstrap[person]["password"])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/dashboard/")
    cookies = context.storage_state()
    context.close()
    return cookies


def _is_complaint(message: ConsoleMessage) -> bool:
    is_answer = "the server responded with a status of 4" in message.text
    # The browser's own error page, which has no origin, may ask for the icon of the page before it, and is refused.
    is_of_icon = "/static/favicon." in message.text + message.location["url"]
    return message.type in ("error", "warning") and not is_answer and not is_of_icon
