"""The manners of the scripts in a real browser: palette, menus, drawer, theme, dialog, editor, tree, upload, times.

Most of it happens on the styleguide, which shows every component and needs no data.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Response, expect

from tests.e2e.test_journey import run_job, upload
from tests.live_stack import LiveStack

STYLEGUIDE = "/styleguide/"
PHONE = {"width": 360, "height": 780}
SCRIPTS_MAX_BYTES = 60 * 1024
UPLOAD_BYTES = 400_000
UPLOAD_BYTES_PER_SECOND = 160_000  # slow enough that one sees it travel
MAY_COPY = ["clipboard-read", "clipboard-write"]
BUSY = """
import time

def run(data, params):
    print("line", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def live_job(browser: Browser, live_stack: LiveStack, session: Any) -> Iterator[str]:
    """The path of a job that runs for as long as the tests of this module: pages that show it poll."""
    context = browser.new_context(storage_state=session)
    page = context.new_page()
    job = run_job(page, upload(page, live_stack, name="Busy", code=BUSY))
    yield job.removeprefix(live_stack.url)
    page.goto(job)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#job-header")).to_contain_text("It was cancelled")
    context.close()


@pytest.fixture
def open_page(new_context: Callable[..., BrowserContext], session: Any, live_stack: LiveStack) -> Callable[..., Page]:
    """A page of somebody signed in; the options are those of a browser context."""

    def open_page(path: str = STYLEGUIDE, **options: Any) -> Page:
        page = new_context(storage_state=session, base_url=live_stack.url, **options).new_page()
        page.goto(path)
        return page

    return open_page


def palette(page: Page) -> Locator:
    """The dialog, opened by its keys from where the focus is, with its first answers."""
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Find pages, services and jobs")
    expect(dialog.get_by_role("option").first).to_be_visible()
    return dialog


def copied(page: Page) -> str:
    return page.evaluate("navigator.clipboard.readText()")


def user_menu(page: Page) -> Locator:
    return page.locator("details.sidebar__user")


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# The palette


def test_the_palette_is_used_by_keys_alone(open_page):
    page = open_page("/dashboard/")
    options = palette(page).get_by_role("option")
    field = page.get_by_role("combobox", name="Find pages, services and jobs")
    expect(field).to_be_focused()
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", options.nth(1).get_attribute("id"))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")  # it goes round
    page.keyboard.type("monte")
    expect(options.first).to_contain_text("Monte")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/services/[0-9a-f-]{36}/$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Monte")


def test_the_palette_answers_what_was_typed_last_however_fast(open_page):
    page = open_page("/dashboard/")
    palette(page)
    page.keyboard.type("operators of sessions")
    page.keyboard.press("Control+a")
    page.keyboard.type("sessions")
    page.keyboard.press("Enter")  # long before the answer is here
    expect(page).to_have_url(re.compile("/accounts/sessions/$"))


def test_the_palette_gives_the_focus_back(open_page):
    page = open_page("/dashboard/")
    link = page.get_by_role("link", name="Docs", exact=True)
    link.focus()
    dialog = palette(page)
    page.keyboard.type("zzz")
    expect(dialog).to_contain_text("Nothing in this account or on the marketplace is called “zzz”")
    page.keyboard.press("Enter")  # nothing to go to
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    expect(page).to_have_url(re.compile("/dashboard/$"))


# The frame


def test_a_menu_opens_walks_and_closes(open_page):
    page = open_page("/dashboard/")
    menu = user_menu(page)
    summary = menu.locator("summary")
    summary.click()
    page.keyboard.press("ArrowDown")
    expect(menu.get_by_role("link", name="Profile")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(menu.get_by_role("button", name="Log out")).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu.get_by_role("link", name="Profile")).to_be_hidden()
    expect(summary).to_be_focused()
    summary.click()
    expect(menu.get_by_role("link", name="Profile")).to_be_visible()
    page.get_by_role("heading", name="Dashboard").click()  # elsewhere
    expect(menu.get_by_role("link", name="Profile")).to_be_hidden()


def test_the_theme_stays_and_reaches_the_other_tabs(open_page):
    page = open_page("/dashboard/", color_scheme="light")
    other = page.context.new_page()
    other.goto("/docs/")
    light = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    user_menu(page).locator("summary").click()
    user_menu(page).get_by_title("Dark").click()
    for each in (page, other):
        expect(each.locator("body")).not_to_have_css("background-color", light)
    page.reload()
    expect(page.locator("body")).not_to_have_css("background-color", light)
    user_menu(page).locator("summary").click()
    expect(user_menu(page).get_by_role("radio", name="Dark")).to_be_checked()
    user_menu(page).get_by_title("As the system").click()
    for each in (page, other):
        expect(each.locator("body")).to_have_css("background-color", light)


def test_the_drawer_keeps_the_focus_and_gives_it_back(open_page):
    page = open_page("/dashboard/", viewport=PHONE)
    opener, drawer = page.get_by_role("button", name="Open navigation"), page.locator("#sidebar")
    expect(drawer).to_be_hidden()
    opener.click()
    expect(drawer.get_by_role("button", name="Close navigation")).to_be_focused()
    for _ in range(20):
        page.keyboard.press("Tab")
        # Past the last of it comes the browser's own bar, which reads as the body.
        assert page.evaluate("document.activeElement.matches('body, #sidebar *')")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(opener).to_be_focused()

    opener.click()
    drawer.get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    expect(drawer).to_be_hidden()

    opener.click()
    expect(drawer).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 780})  # the phone is turned: the sidebar stands beside the page
    page.get_by_role("main").get_by_role("link", name="New job").first.click()
    page.wait_for_url("**/jobs/new/**")


def test_a_dialog_asks_before_something_is_lost(open_page):
    page = open_page()
    opener, dialog = page.get_by_role("button", name="Delete service…"), page.get_by_role("dialog", name="Delete Monte")
    for leave in (
        lambda: page.keyboard.press("Escape"),
        lambda: dialog.get_by_role("button", name="Keep it").click(),
        lambda: page.mouse.click(5, 5),  # beside it
    ):
        opener.press(" ")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()  # Enter loses nothing
        leave()
        expect(dialog).to_be_hidden()
        expect(opener).to_be_focused()
    expect(page).to_have_url(re.compile(f"{STYLEGUIDE}$"))


def test_good_news_leaves_and_bad_news_stays(open_page):
    page = open_page("/docs/")
    page.clock.install()
    page.goto(f"{STYLEGUIDE}?toast")
    messages = page.get_by_label("Messages").locator(".toast")
    expect(messages).to_have_count(4)
    page.clock.fast_forward("00:08")
    page.clock.fast_forward("00:01")
    expect(messages).to_have_count(2)
    page.get_by_role("button", name="Dismiss").first.click()
    page.clock.fast_forward("00:01")
    expect(messages).to_have_count(1)
    expect(messages).to_contain_text("of the kind error")


def test_times_go_on_while_one_looks(open_page):
    page = open_page("/docs/")
    page.clock.install()
    page.goto(STYLEGUIDE)
    moments = page.locator("section", has=page.locator("#s-status")).locator("time")
    elapsed = page.locator("#s-status").locator("xpath=ancestor::section").get_by_role("timer")
    expect(moments.nth(0)).to_have_text("just now")
    expect(moments.nth(1)).to_have_text("1 minute ago")
    expect(elapsed).to_have_text(re.compile(r"^1 min \d+ s$"))
    page.clock.fast_forward("05:00")
    expect(moments.nth(0)).to_have_text("5 minutes ago")
    expect(moments.nth(1)).to_have_text("6 minutes ago")
    expect(elapsed).to_have_text(re.compile(r"^6 min \d+ s$"))


# Parts


def test_a_copy_button_copies_and_says_so(open_page):
    page = open_page(permissions=MAY_COPY)
    code = page.locator("figure.code")
    code.locator(".copy").click()
    expect(code.get_by_role("button", name="Copied")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Copied").last).to_be_attached()
    assert copied(page) == code.locator("code").inner_text()
    expect(code.get_by_role("button", name="Copy", exact=True)).to_be_visible()  # ready for the next time


def test_the_editor_says_where_the_mistake_is(open_page):
    page = open_page()
    editor = page.locator("[data-json-editor]").first
    area, state = editor.get_by_role("textbox", name="Data"), editor.get_by_role("status")
    expect(state).to_have_text("Valid JSON")
    for text, told in {
        '{"a": [1, 2,, 3]}': "Line 1, column 13: a value is missing before this.",
        "{'a': 1}": "Line 1, column 2: texts stand in double quotes, not single ones.",
        '{"a": True}': "Line 1, column 7: JSON has no True: write true, false or null.",
        '{"a": 1,}': "Line 1, column 9: nothing follows the last comma.",
        '{"a": 1 // one\n}': "Line 1, column 9: JSON has no comments.",
        "[1,\n 2": "Line 2, column 3: [ is never closed.",
    }.items():
        area.fill(text)
        expect(state).to_have_text(told)
        expect(editor.get_by_role("button", name="Format")).to_be_disabled()
    area.fill('{\n  "a": nope\n}')
    state.get_by_role("button", name="Line 2, column 8").click()
    expect(area).to_be_focused()
    assert area.evaluate("area => area.value.slice(area.selectionStart).split('\\n')[0]") == "nope"


def test_the_editor_formats_every_digit_and_lets_one_out(open_page):
    page = open_page()
    editor = page.locator("[data-json-editor]").first
    area = editor.get_by_role("textbox", name="Data")
    area.fill('{"big":12345678901234567890,"x":[1.50,{"e":{} ,"f":[]}]}')
    editor.get_by_role("button", name="Format").click()
    tidy = '{\n  "big": 12345678901234567890,\n  "x": [\n    1.50,\n    {\n      "e": {},\n      "f": []\n    }\n  ]\n}'
    expect(area).to_have_value(tidy)
    page.keyboard.press("Control+z")
    expect(area).to_have_value('{"big":12345678901234567890,"x":[1.50,{"e":{} ,"f":[]}]}')
    area.fill("[")
    page.keyboard.press("Enter")
    page.keyboard.type("1")
    expect(area).to_have_value("[\n  1")
    page.keyboard.press("Tab")
    expect(area).to_have_value("[\n  1  ")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(area).not_to_be_focused()


def test_a_tree_is_walked_by_keys_and_copies_what_is_chosen(open_page):
    page = open_page(permissions=MAY_COPY)
    tree = page.locator(".json-tree").first
    tree.get_by_role("treeitem").first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    expect(tree.locator("output")).to_have_text("$.exact")
    tree.get_by_role("button", name="Copy path").click()
    expect(tree.get_by_role("button", name="Copied")).to_be_visible()
    assert copied(page) == "$.exact"
    tree.get_by_role("button", name="Copy value").dispatch_event("click")  # as a screen reader presses it
    expect(tree.get_by_role("button", name="Copied")).to_have_count(2)
    assert copied(page) == "12345678901234567890"

    rounds = tree.get_by_role("treeitem").filter(has_text="3.1421").last.locator("xpath=../..")
    rounds.focus()
    inner = rounds.get_by_text("3.1421", exact=True)
    page.keyboard.press("ArrowLeft")
    expect(inner).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(inner).to_be_visible()
    source = tree.locator("pre")
    expect(source).to_be_hidden()
    tree.get_by_role("button", name="Raw").click()
    expect(source).to_contain_text('"samples": 1000000')
    expect(tree.get_by_role("tree")).to_be_hidden()


def test_a_long_list_opens_in_ranges(open_page):
    page = open_page()
    page.evaluate(
        """() => {
            const host = document.createElement("div");
            host.className = "json-tree";
            Object.assign(host.dataset, { jsonTree: "", name: "long" });
            const source = document.createElement("pre");
            source.className = "json-tree__source";
            source.textContent = JSON.stringify({ list: Array.from({ length: 100000 }, (_, place) => place) });
            host.append(source);
            document.querySelector("main").append(host);
            htmx.trigger(host, "htmx:load", { elt: host });
        }"""
    )
    tree = page.get_by_role("tree", name="long")
    tree.get_by_text("100,000 items").click()
    for label in ("90,000 … 99,999", "99,900 … 99,999"):
        tree.get_by_text(label, exact=True).click()
    tree.get_by_text("99999", exact=True).last.click()
    expect(page.locator(".json-tree output").last).to_have_text("$.list[99999]")
    assert tree.get_by_role("treeitem").count() < 500


def test_an_upload_shows_how_far_it_is_and_what_was_wrong(open_page):
    page = open_page("/services/new/")
    area = page.locator("[data-upload]").first
    broken = b"PK\x03\x04" + bytes(UPLOAD_BYTES)
    page.get_by_label("Zip of your project").set_input_files(
        {"name": "my.zip", "mimeType": "application/zip", "buffer": broken}
    )
    state = area.get_by_role("status")
    expect(state).to_have_text("my.zip, 391 KiB")
    page.get_by_label("Name").fill("Never made")
    devtools = page.context.new_cdp_session(page)
    devtools.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": UPLOAD_BYTES_PER_SECOND,
        },
    )
    page.get_by_role("button", name="Create and build").click()
    expect(state).to_have_text(re.compile(r"^my\.zip: [\d.]+ KiB of [\d.]+ KiB sent$"))
    bar = area.get_by_role("progressbar", name="Upload")
    expect(bar).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was created yet")
    expect(bar).to_be_hidden()
    expect(state).to_have_text("my.zip, 391 KiB")  # still chosen


# What polls


def test_a_page_that_polls_leaves_the_focus_where_it_is(open_page, live_job):
    page = open_page("/dashboard/")
    link = page.locator(f'a[href="{live_job}"]')
    link.focus()
    page.locator("#board").evaluate("board => { board.dataset.before = '' }")
    expect(page.locator("#board:not([data-before])")).to_be_attached()  # polled
    expect(link).to_be_focused()
    page.get_by_role("row").filter(has=link).locator("time").first.click()  # a row is its link, all of it
    page.wait_for_url(f"**{live_job}")


def test_a_page_that_polls_asks_to_log_in_again(open_page, live_job):
    page = open_page("/dashboard/")
    expect(page.locator(f'a[href="{live_job}"]')).to_be_visible()
    page.context.clear_cookies()
    page.wait_for_url("**/accounts/login/?next=/dashboard/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


# Without script, on a small screen, and by weight


def test_without_script_everything_is_in_reach(open_page):
    page = open_page("/dashboard/", java_script_enabled=False, viewport=PHONE)
    page.get_by_role("button", name="Open navigation").click()
    sidebar = page.locator("#sidebar")
    expect(sidebar.get_by_role("navigation", name="Main")).to_be_visible()
    expect(sidebar.locator("[data-theme-choice]")).to_be_hidden()  # it could not keep its word
    sidebar.get_by_role("link", name="Find…").click()
    page.get_by_role("searchbox", name="Find pages, services and jobs").fill("monte")
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.get_by_role("main").get_by_role("link", name="Monte")).to_be_visible()

    page.goto(STYLEGUIDE)
    expect(page.locator(".json-tree pre").first).to_contain_text("12345678901234567890")
    page.get_by_role("link", name="Delete service…").click()
    dialog = page.locator("#sample-dialog")
    expect(dialog.get_by_role("button", name="Delete service")).to_be_visible()
    dialog.get_by_role("link", name="Keep it").click()
    expect(dialog).to_be_hidden()


def test_no_page_scrolls_sideways_on_a_phone(open_page, live_job):
    page = open_page(viewport=PHONE)
    paths = ("/dashboard/", "/services/", "/jobs/", live_job, STYLEGUIDE, "/docs/", "/docs/settings/")
    wide = [path for path in paths if page.goto(path) and not fits(page)]
    assert wide == []


def test_a_long_name_widens_no_page_and_hides_no_column(open_page):
    page = open_page("/applications/new/", viewport=PHONE)
    page.get_by_label("Name").fill("W" * 100)
    page.get_by_role("button", name="Create and show the secret").click()
    expect(page.get_by_text("Copy the secret now")).to_be_visible()
    assert fits(page)
    page.get_by_role("link", name="To the application").click()
    expect(page.get_by_role("heading", name="W" * 100)).to_be_visible()
    assert fits(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto("/applications/")
    expect(page.get_by_role("columnheader", name="Created")).to_be_in_viewport(ratio=1)


def test_the_open_tab_is_in_sight_on_a_phone(open_page):
    page = open_page("/services/", viewport=PHONE)
    page.locator(".row-link__target").first.click()
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(page.locator(".tabs [aria-current=page]")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("path", ["/dashboard/", "/services/", "/docs/"])
def test_the_scripts_of_a_page_are_light(open_page, path):
    page = open_page("/healthz")
    scripts: list[Response] = []
    page.on("response", lambda each: each.request.resource_type == "script" and scripts.append(each))
    page.goto(path)
    sent = sum(each.request.sizes()["responseBodySize"] for each in scripts)
    assert len(scripts) > 5
    assert 0 < sent <= SCRIPTS_MAX_BYTES
