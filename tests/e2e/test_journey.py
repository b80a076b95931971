"""The whole journey in a real browser against a whole instance: sign up, upload, build, run, follow, download."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.axe import assert_accessible
from tests.e2e.test_identity import new_address, sign_up
from tests.live_stack import LiveStack
from tests.programs import zipped
from tests.waiting import wait_for

NewContext = Callable[..., BrowserContext]
SLOWLY_MILLISECONDS = 60_000
PROGRAM = """
import time
from pathlib import Path

import mercato

def run(data, params):
    for number in range(params.get("lines", 0)):
        print("line", number, flush=True)
        time.sleep(params.get("pause", 0))
        if params.get("tells"):
            mercato.progress((number + 1) / params["lines"] / 2, f"step {number}")
            mercato.interim({"step": number})
    if params.get("fail"):
        raise ValueError("no such city")
    folder = Path("/var/runtime/output/notes")
    folder.mkdir()
    (folder / "a b.txt").write_text("hello")
    return {"sum": sum(data.get("values", [])), "html": "<script>document.title = 'no'</script>"}
"""


def upload(page: Page, stack: LiveStack, *, name: str, code: str = PROGRAM) -> str:
    """Create a service with the form and wait for its build; its address."""
    page.goto(f"{stack.url}/services/new/")
    archive = zipped({"src/program.py": code, "requirements.txt": ""})
    page.get_by_label("Zip of your project").set_input_files(
        {"name": "journey.zip", "mimeType": "application/zip", "buffer": archive}
    )
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create and build").click()
    page.wait_for_url("**/builds/*/")
    expect(page.get_by_role("link", name="Run as job")).to_be_visible(timeout=SLOWLY_MILLISECONDS)
    return page.url.partition("/builds/")[0] + "/"


def run_job(page: Page, service: str, data: Any = None, **params: Any) -> str:
    """Run a job with the form; its address."""
    page.goto(service)
    page.get_by_role("link", name="Run as job").first.click()
    page.get_by_role("textbox", name=re.compile("^Data")).fill(json.dumps(data or {}))
    page.get_by_role("textbox", name=re.compile("^Params")).fill(json.dumps(params))
    page.get_by_role("button", name="Run job").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}/$"))
    return page.url


def lines(page: Page) -> Any:
    return page.get_by_role("log", name="Lines")


def head(page: Page) -> Any:
    return page.locator("#job-header")


@pytest.fixture(scope="module")
def provider(browser: Browser, live_stack: LiveStack) -> Any:
    """The cookies of somebody with a built service, and its address."""
    context = browser.new_context()
    page = context.new_page()
    sign_up(page, live_stack, new_address())
    service = upload(page, live_stack, name="Journey")
    state = context.storage_state()
    context.close()
    return state, service


@pytest.fixture
def service(provider: Any) -> str:
    return provider[1]


@pytest.fixture
def page(new_context: NewContext, provider: Any) -> Page:
    return new_context(storage_state=provider[0]).new_page()


def test_from_sign_up_to_a_downloaded_result(new_context, live_stack):
    page = new_context().new_page()
    sign_up(page, live_stack, new_address())
    service = upload(page, live_stack, name="First service")
    job = run_job(page, service, {"values": [1, 2, 3]}, lines=20, pause=0.25)
    expect(lines(page)).to_contain_text("line 3")
    assert head(page).get_by_text("Running", exact=True).first.is_visible()  # lines arrive before the job ends
    expect(head(page).get_by_text("Succeeded").first).to_be_visible(timeout=SLOWLY_MILLISECONDS)
    expect(lines(page)).to_contain_text("line 19")
    head(page).get_by_role("link", name="Show result").click()
    expect(page.locator(".json-tree")).to_contain_text("sum: 6")
    assert page.title() != "no"
    page.get_by_role("link", name="Files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="notes/a b.txt").click()
    assert download.value.suggested_filename == "a b.txt"
    assert download.value.path().read_text() == "hello"
    page.get_by_role("link", name="Input", exact=True).click()
    expect(page.locator(".json-tree").first).to_contain_text("values")
    page.goto(f"{live_stack.url}/jobs/")
    expect(page.get_by_role("link", name=job[-9:-1])).to_be_visible()


def test_a_failing_job_says_why_and_shows_its_own_lines(page, service):
    run_job(page, service, fail=True)
    expect(head(page)).to_contain_text("The code raised an error", timeout=SLOWLY_MILLISECONDS)
    expect(head(page)).to_contain_text("ValueError: no such city")
    expect(head(page)).to_contain_text(re.compile(r"src/program\.py:\d+ in run"))
    expect(lines(page)).to_contain_text("Traceback")


def test_a_running_job_is_cancelled_from_its_page(page, service):
    run_job(page, service, lines=10_000, pause=0.1)
    expect(lines(page)).to_contain_text("line 1")
    head(page).get_by_role("button", name="Cancel").click()
    expect(head(page).get_by_text("Cancelled").first).to_be_visible(timeout=SLOWLY_MILLISECONDS)
    expect(head(page)).to_contain_text("It was cancelled")


def test_a_job_shows_how_far_it_is_and_what_it_knows(page, service):
    run_job(page, service, lines=2000, pause=0.05, tells=True)  # longer than this takes; it is cancelled
    bar = head(page).get_by_role("progressbar", name="Progress")
    expect(bar).to_be_visible(timeout=SLOWLY_MILLISECONDS)
    seen = float(bar.get_attribute("value") or 0)
    expect(head(page).get_by_role("link", name=re.compile("interim result"))).to_be_visible()
    # The stream of the log moves it, without a new header.
    page.evaluate("document.querySelector('#job-header').removeAttribute('hx-trigger')")
    page.wait_for_function("(seen) => document.querySelector('[data-bar]').value > seen + 0.02", arg=seen)
    expect(head(page)).to_contain_text(re.compile(r"step \d+"))
    expect(head(page)).to_contain_text(re.compile("left"))
    assert_accessible(page)
    head(page).get_by_role("link", name=re.compile("interim result")).click()
    newest = page.locator("#interim-newest")
    number = int((newest.text_content() or "").split()[-1])
    page.wait_for_function(
        "(seen) => Number(document.querySelector('#interim-newest').textContent.trim().split(' ').pop()) > seen",
        arg=number,
    )
    expect(page.locator("#interims .json-tree")).to_contain_text("step:")
    expect(page.locator("#interims-earlier details")).to_have_count(19)  # with the newest, those that the server keeps
    assert_accessible(page)
    page.get_by_role("link", name="Jobs").first.click()
    expect(page.get_by_role("progressbar").first).to_be_visible()
    page.go_back()
    head(page).get_by_role("button", name="Cancel").click()
    expect(head(page)).to_contain_text("It was cancelled", timeout=SLOWLY_MILLISECONDS)
    expect(head(page).get_by_role("progressbar")).to_be_visible()


def test_bad_json_is_told_at_the_field_and_kept(page, service):
    page.goto(service)
    page.get_by_role("link", name="Run as job").first.click()
    page.get_by_role("textbox", name=re.compile("^Data")).fill('{"values": [1, 2,]}')
    page.get_by_role("button", name="Run job").click()
    expect(page.get_by_text("is not valid JSON").first).to_be_visible()
    data = page.get_by_role("textbox", name=re.compile("^Data"))
    expect(data).to_have_value('{"values": [1, 2,]}')
    expect(data).to_be_focused()  # the page begins at what is wrong, however long the form is


def test_running_again_starts_from_the_same_input(page, service):
    run_job(page, service, {"values": [4]}, lines=1)
    expect(head(page).get_by_text("Succeeded").first).to_be_visible(timeout=SLOWLY_MILLISECONDS)
    page.reload()
    page.get_by_role("link", name="Run again").click()
    expect(page.get_by_role("textbox", name=re.compile("^Data"))).to_have_value('{"values": [4]}')


def test_a_stranger_sees_nothing_of_it(new_context, live_stack, page, service):
    job = run_job(page, service, {"values": [4]})
    stranger = new_context().new_page()
    sign_up(stranger, live_stack, new_address())
    for address in (job, f"{job}log/", f"{job}log/stream", f"{job}files/output.json", service):
        assert stranger.goto(address).status == 404


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_of_a_job_are_accessible(new_context, provider, theme):
    page = new_context(storage_state=provider[0], color_scheme=theme).new_page()
    job = run_job(page, provider[1], {"values": [1]}, lines=3)
    expect(head(page).get_by_text("Succeeded").first).to_be_visible(timeout=SLOWLY_MILLISECONDS)
    assert_accessible(page)
    for tab in ("result", "files", "input"):
        page.goto(f"{job}{tab}/")
        assert_accessible(page)
    page.goto(f"{provider[1].partition('/services/')[0]}/jobs/new/?service={provider[1].split('/')[-2]}")
    assert_accessible(page)


def test_the_log_goes_on_where_a_dead_worker_left_it(page, service, live_stack):
    run_job(page, service, lines=60, pause=0.1)
    expect(lines(page)).to_contain_text("line 3")
    live_stack.kill("work")
    expect(head(page).get_by_text("Succeeded").first).to_be_visible(timeout=SLOWLY_MILLISECONDS)
    expect(page.locator("[data-count]")).to_have_text("60 lines")
    text = page.request.get(f"{page.url}log/download").text()
    assert text == "".join(f"line {number}\n" for number in range(60))


def test_a_job_survives_the_death_of_the_broker_before_its_start(page, service, live_stack):
    page.goto(service)
    page.get_by_role("link", name="Run as job").first.click()
    broker = live_stack.pid("valkey")
    live_stack.kill("valkey")
    page.get_by_role("button", name="Run job").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}/$"))
    wait_for(lambda: live_stack.has_started_again("valkey", since=broker), what="a new broker")
    expect(head(page).get_by_text("Succeeded").first).to_be_visible(timeout=SLOWLY_MILLISECONDS)
