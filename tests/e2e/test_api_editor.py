"""The editor of API descriptions in a real browser: mistakes at their lines, the preview, saving, the keyboard."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.axe import assert_accessible
from tests.live_stack import LiveStack
from tests.programs import zipped


@pytest.fixture(scope="module")
def api_page(browser: Browser, live_stack: LiveStack, session: Any) -> str:
    """The page of the API of a service that only this file knows."""
    context = browser.new_context(storage_state=session)
    page = context.new_page()
    page.goto(f"{live_stack.url}/services/new/")
    project = {"src/program.py": "def run(data: dict, params: dict):\n    return data\n", "requirements.txt": ""}
    upload = {"name": "sum.zip", "mimeType": "application/zip", "buffer": zipped(project)}
    page.get_by_label("Zip of your project").set_input_files(upload)
    page.get_by_label("Name").fill("Written in the browser")
    page.get_by_label("Summary").fill("Adds up")
    page.get_by_role("button", name="Create and build").click()
    page.wait_for_url("**/builds/*/")
    service = page.url.partition("/builds/")[0]
    context.close()
    return f"{service}/api/"


@pytest.fixture
def open_editor(new_context: Callable[..., Any], session: Any, api_page: str) -> Callable[..., Page]:
    """The editor of its only version, which was never published."""

    def open_editor(**options: Any) -> Page:
        page: Page = new_context(storage_state=session, **options).new_page()
        page.goto(api_page)
        page.get_by_role("link", name="Edit", exact=True).click()
        return page

    return open_editor


def text_box(page: Page) -> Any:
    editor = page.locator(".cm-content")  # and not the text area of before, which a script takes the place of
    return page.get_by_role("textbox", name="OpenAPI description").and_(editor)


def write_below(page: Page, line: str, text: str) -> None:
    """Type ``text`` as a line of its own below the first line that reads ``line``."""
    page.locator(".cm-line", has_text=re.compile(f"^{re.escape(line)}$")).first.click()
    page.keyboard.press("End")
    page.keyboard.type(f"\n{text}")


def test_a_mistake_is_shown_at_its_line_and_mended(open_editor):
    page = open_editor()
    preview = page.get_by_role("region", name="Preview")
    write_below(page, "info:", "  contact: 5")
    problems = page.get_by_role("region", name="One thing to mend")
    expect(problems).to_contain_text("info.contact")
    expect(page.locator(".cm-lint-marker-error")).to_be_visible()
    expect(page.get_by_text("The text has mistakes")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="One thing to mend")).to_have_count(1)
    assert_accessible(page)
    page.keyboard.press("Control+Home")
    problems.get_by_role("link", name=re.compile("Line 3")).click()
    page.keyboard.type("  description: A **bold** <img src=x onerror=alert(1)> word")
    page.locator(".cm-line", has_text=re.compile("^  description: Adds")).click()
    page.keyboard.press("Home")
    page.keyboard.press("Control+Shift+k")  # delete the line of before
    expect(preview.locator("strong", has_text="bold")).to_be_visible()
    expect(preview).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("[data-problem]")).to_have_count(0)
    expect(page.locator(".cm-lint-marker-error")).to_have_count(0)
    assert_accessible(page)


def test_what_is_written_is_saved(open_editor):
    page = open_editor()
    page.locator(".cm-line", has_text=re.compile("^  title: ")).click()
    page.keyboard.press("End")
    page.keyboard.type(" of numbers")
    preview = page.get_by_role("region", name="Preview")
    expect(preview.get_by_role("heading", name="of numbers")).to_be_visible()
    text_box(page).press("Control+s")
    page.wait_for_url("**/api/?version=1.0.0")
    expect(page.get_by_role("heading", name="of numbers")).to_be_visible()
    expect(page.get_by_text("edited here")).to_be_visible()


def test_the_keyboard_leaves_and_a_file_is_opened(open_editor, tmp_path):
    page = open_editor(color_scheme="dark", viewport={"width": 360, "height": 740})
    text_box(page).focus()
    page.keyboard.press("Tab")
    expect(text_box(page)).to_be_focused()  # it indents
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(text_box(page)).not_to_be_focused()
    mine = tmp_path / "mine.json"
    mine.write_text('{"openapi": "3.0.3", "info": {"title": "Opened", "version": "1"}, "paths": {}}')
    page.get_by_label("Open a file").set_input_files(mine)
    expect(text_box(page)).to_contain_text('"Opened"')
    expect(page.locator("#api-checked")).to_contain_text("PUT /{id}/cancel")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert_accessible(page)


def test_without_script_it_is_a_text_area(open_editor):
    page = open_editor(java_script_enabled=False)
    expect(page.locator(".cm-editor")).to_have_count(0)
    field = page.get_by_label("OpenAPI description")
    field.fill("openapi: 3.0.3\ninfo: {title: A}\npaths: {}\n")
    page.get_by_role("button", name="Check and preview").click()
    expect(page.get_by_text("is a required property")).to_be_visible()
    expect(field).to_have_value(re.compile("title: A"))
