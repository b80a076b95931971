"""A provider at work, in a real browser against a whole instance: from a zip to a built service, and what can fail."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.axe import assert_accessible
from tests.live_stack import LiveStack
from tests.programs import zipped

NewContext = Callable[..., BrowserContext]
GOOD = "def run(data, params):\n    return data\n"
BUILD_MILLISECONDS = 120_000
numbers = itertools.count(1)


def project(name: str = "max-cut.zip", *, requirements: str = "", code: str = GOOD) -> dict[str, Any]:
    """A zip as a file input takes it."""
    files = {"src/program.py": code, "requirements.txt": requirements}
    return {"name": name, "mimeType": "application/zip", "buffer": zipped(files)}


CONFLICT = "idna<3\nidna>3.1\n"  # uv sees it without asking an index


@pytest.fixture
def open_page(new_context: NewContext, session: Any, live_stack: LiveStack) -> Callable[..., Page]:
    """A page of the provider's browser; the options are those of a browser context."""

    def open_page(path: str = "/services/", **options: Any) -> Page:
        page = new_context(storage_state=session, base_url=live_stack.url, **options).new_page()
        page.goto(path)
        return page

    return open_page


def new_name() -> str:
    return f"Cutter {next(numbers)}"


def create(page: Page, *, name: str = "", **given: Any) -> str:
    """Create a service by the form; its address. The page shows its first build."""
    page.goto("/services/new/")
    page.get_by_label("Zip of your project").set_input_files(project(**given))
    page.get_by_label("Name").fill(name or new_name())
    page.get_by_role("button", name="Create and build").click()
    page.wait_for_url("**/builds/*/")
    return page.url.partition("/builds/")[0] + "/"


def head(page: Page) -> Any:
    return page.locator("#build-head")


def test_from_a_zip_to_a_built_service(open_page):
    page = open_page()
    page.get_by_role("link", name="New service").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download template").click()
    assert download.value.suggested_filename == "mercato-template.zip"

    page.get_by_label("Zip of your project").set_input_files(project("max-cut_solver-1.2.zip"))
    expect(page.get_by_label("Name")).to_have_value("Max cut solver")  # taken from the file
    name = new_name()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Summary").fill("Cuts graphs")
    page.get_by_role("textbox", name="Description").fill("# Cuts\n\nA **good** cut.")
    page.get_by_role("button", name="Preview").click()
    preview = page.get_by_role("region", name="Preview of the description")
    expect(preview.get_by_role("heading", name="Cuts")).to_be_visible()
    page.get_by_role("button", name="Write").click()
    expect(preview).to_be_hidden()
    page.get_by_role("button", name="Create and build").click()

    page.wait_for_url("**/builds/*/")
    expect(head(page).get_by_text("Built", exact=True)).to_be_visible(timeout=BUILD_MILLISECONDS)
    expect(page.get_by_role("log")).to_contain_text("Built")
    expect(page.get_by_role("link", name="Run as job")).to_be_visible()  # it came with the news, without a reload

    page.get_by_label("Breadcrumb").get_by_role("link", name=name).click()
    expect(page.get_by_text("A good cut.")).to_be_visible()
    page.get_by_role("link", name="Run as job").click()
    expect(page).to_have_url(re.compile(r"/jobs/new/\?service="))


def test_a_refusal_loses_nothing_not_even_the_chosen_file(open_page):
    page = open_page("/services/new/")
    upload = page.get_by_label("Zip of your project")
    upload.set_input_files(project(code="def run(data, params):\n    return data +\n"))
    name = new_name()
    page.get_by_label("Name").fill(name)
    page.get_by_role("textbox", name="Description").fill("Long words")
    page.get_by_label("Memory", exact=True).fill("0.5")
    page.get_by_role("button", name="Create and build").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Nothing was created yet")
    expect(alert).to_be_focused()
    expect(page.locator(".field__excerpt")).to_have_text(re.compile(r"return data \+\n\s+\^"))
    expect(upload).to_have_attribute("aria-invalid", "true")
    assert upload.evaluate("input => [...input.files].map(file => file.name)") == ["max-cut.zip"]
    expect(page.locator("[data-state]").first).to_contain_text("max-cut.zip")
    expect(page.get_by_label("Name")).to_have_value(name)
    expect(page.get_by_role("textbox", name="Description")).to_have_value("Long words")
    expect(page.get_by_label("Memory", exact=True)).to_have_value("0.5")
    assert_accessible(page)

    alert.get_by_role("link", name="Zip of your project").click()  # leads to the field
    expect(upload).to_be_focused()
    upload.set_input_files(project())
    page.get_by_role("button", name="Create and build").click()
    page.wait_for_url("**/builds/*/")


def test_a_file_that_is_too_large_is_not_even_sent(open_page):
    page = open_page("/services/new/")
    page.locator("[data-upload]").first.evaluate("area => { area.dataset.maxBytes = 10 }")
    page.get_by_label("Zip of your project").set_input_files(project())
    expect(page.locator("[data-state]").first).to_contain_text("at most 10 bytes are accepted")
    page.get_by_label("Name").fill(new_name())
    page.get_by_role("button", name="Create and build").click()
    expect(page).to_have_url(re.compile("/services/new/$"))


def test_a_dropped_zip_is_a_chosen_zip(open_page):
    page = open_page("/services/new/")
    transfer = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.zip', { type: 'application/zip' }));
            return transfer;
        }""",
        list(project()["buffer"]),
    )
    page.locator(".upload__area").first.dispatch_event("drop", {"dataTransfer": transfer})
    expect(page.get_by_label("Name")).to_have_value("Dropped")
    page.get_by_label("Name").fill(new_name())
    page.get_by_role("button", name="Create and build").click()
    page.wait_for_url("**/builds/*/")


def test_a_failing_build_shows_the_words_of_uv_and_a_new_version_mends_it(open_page):
    page = open_page()
    service = create(page, requirements=CONFLICT)
    expect(head(page).get_by_text("Failed", exact=True)).to_be_visible(timeout=BUILD_MILLISECONDS)
    expect(page.get_by_role("heading", name="Why it failed")).to_be_visible()
    expect(page.locator(".build-failure__words")).to_contain_text("your requirements are unsatisfiable")
    expect(page.get_by_role("log")).to_contain_text("unsatisfiable")
    assert_accessible(page)

    page.goto(service)
    expect(page.get_by_text("Nothing runs yet")).to_be_visible()
    expect(page.get_by_role("link", name="Run as job")).to_have_count(0)

    page.get_by_role("link", name="New version").click()
    expect(page.get_by_label("Version")).to_have_value("1.1.0")
    page.get_by_label("Zip of your project").set_input_files(project("mended.zip"))
    page.get_by_role("button", name="Add and build").click()
    page.wait_for_url("**/builds/*/")
    expect(head(page).get_by_text("Built", exact=True)).to_be_visible(timeout=BUILD_MILLISECONDS)

    page.goto(f"{service}versions/")
    rows = page.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("1.1.0")
    expect(rows.nth(1)).to_contain_text("jobs run this")
    expect(rows.nth(2)).to_contain_text("Failed")


def test_a_rebuild_is_a_new_build_and_the_list_follows_it(open_page):
    page = open_page()
    name = new_name()
    service = create(page, name=name)
    expect(head(page).get_by_text("Built", exact=True)).to_be_visible(timeout=BUILD_MILLISECONDS)
    first = page.url
    page.get_by_role("button", name="Rebuild").click()
    page.wait_for_url(lambda url: "/builds/" in url and url != first)

    row = (watching := open_page()).get_by_role("row", name=name)
    expect(row.get_by_text("Built")).to_be_visible(timeout=BUILD_MILLISECONDS)  # without a reload
    expect(head(page).get_by_text("Built", exact=True)).to_be_visible(timeout=BUILD_MILLISECONDS)
    watching.goto(f"{service}builds/")
    expect(watching.get_by_role("row")).to_have_count(3)
    expect(watching.get_by_role("row").nth(1)).to_contain_text("Built")


def test_after_the_build_the_service_is_published_and_retired(open_page):
    page = open_page()
    service = create(page)
    expect(head(page).get_by_text("Built", exact=True)).to_be_visible(timeout=BUILD_MILLISECONDS)
    page.get_by_role("link", name="Publish", exact=True).click()
    page.get_by_role("button", name="Publish internally: 1.0.0").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Internal")
    expect(page.get_by_role("row").nth(1)).to_contain_text(re.compile(r"/gateway/.*/1\.0\.0"))
    page.get_by_label("Account or person").fill("nobody-here")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_text("nobody-here is no account here")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Retire 1.0.0").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Retired")
    page.goto(f"{service}usage/")
    expect(page.get_by_role("heading", name="Nothing ran in this time")).to_be_visible()
    assert_accessible(page)


def test_deleting_asks_once_and_names_what_is_lost(open_page):
    page = open_page()
    name = new_name()
    service = create(page, name=name)
    page.goto(f"{service}settings/")
    page.get_by_role("button", name="Delete service").click()
    dialog = page.get_by_role("dialog", name=f"Delete {name}?")
    expect(dialog).to_contain_text("Its 1 version and 1 build")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Delete service").click()
    dialog.get_by_role("button", name="Delete service").click()
    expect(page.get_by_text(f"{name} is deleted.")).to_be_visible()
    expect(page.get_by_role("link", name=name)).to_have_count(0)
    assert page.goto(service).status == 404


def test_without_a_mouse(open_page):
    """From the list to a built service, its settings and its end, by keyboard alone."""
    page = open_page()

    def go_to(name: str, role: str = "link") -> None:
        """Tab until the named thing has the focus."""
        wanted = page.get_by_role(role, name=name, exact=True).first
        for _ in range(60):
            page.keyboard.press("Tab")
            if wanted.evaluate("each => each === document.activeElement"):
                return
        raise AssertionError(f"{name} is not reached by Tab")

    go_to("New service")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new/")
    page.get_by_label("Zip of your project").set_input_files(project())  # the dialog of the system is not ours
    name = new_name()
    go_to("Name", "textbox")
    page.keyboard.press("Control+a")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url("**/builds/*/")
    expect(head(page).get_by_text("Built", exact=True)).to_be_visible(timeout=BUILD_MILLISECONDS)
    go_to(name)
    page.keyboard.press("Enter")
    go_to("Settings")
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/")
    go_to("Delete service", "button")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/services/")


def test_settings_are_saved_and_search_finds_them(open_page):
    page = open_page()
    service = create(page)
    page.goto(f"{service}settings/")
    name = f"Renamed {next(numbers)}"
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    page.goto("/services/")
    page.get_by_role("searchbox", name="Search services").fill(name)
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?q=Renamed"))
    page.get_by_role("searchbox", name="Search services").fill("zzz")
    expect(page.get_by_role("heading", name="No service matches")).to_be_visible()


def test_a_service_of_somebody_else_is_not_there(open_page, new_context, live_stack):
    service = create(open_page())
    user = live_stack.bootstrap["second_user"]
    page = new_context(base_url=live_stack.url).new_page()
    page.goto("/accounts/login/")
    page.get_by_label("E-mail address").fill(user["email"])
    page.get_by_label("Password", exact=True).fill(user["password"])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/dashboard/")
    assert page.goto(service).status == 404
    page.goto("/services/")
    expect(page.get_by_role("heading", name="Your first service")).to_be_visible()
    assert_accessible(page)


@pytest.fixture(scope="module")
def built(browser: Browser, session: Any, live_stack: LiveStack) -> str:
    """The address of a service with a built version."""
    context = browser.new_context(storage_state=session, base_url=live_stack.url)
    page = context.new_page()
    service = create(page, name="Everything")
    expect(head(page).get_by_text("Built", exact=True)).to_be_visible(timeout=BUILD_MILLISECONDS)
    context.close()
    return service


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_every_page_is_accessible_and_fits(open_page, built, theme, width):
    page = open_page(built, color_scheme=theme, viewport={"width": width, "height": 900})
    build = page.locator("#service-build").get_attribute("href")
    for path in (
        "/services/",
        "/services/new/",
        built,
        build,
        *(f"{built}{tab}/" for tab in ("versions", "versions/new", "builds", "api", "settings")),
    ):
        page.goto(path)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} scrolls sideways"
