"""The form of a new job in a real browser: two views of one value, by keys alone, errors at the field, no script.

Each kind of control is on the styleguide; the journey is that of the demo's delivery tour.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.axe import assert_accessible
from tests.live_stack import LiveStack

PHONE = {"width": 360, "height": 780}
JOB = re.compile(r"/jobs/[0-9a-f-]{36}/$")


@pytest.fixture
def open_page(new_context: Callable[..., BrowserContext], session: Any, live_stack: LiveStack) -> Callable[..., Page]:
    def open_page(path: str, **options: Any) -> Page:
        page = new_context(storage_state=session, base_url=live_stack.url, **options).new_page()
        page.goto(path)
        return page

    return open_page


@pytest.fixture
def sample(open_page: Callable[..., Page]) -> Page:
    """The styleguide, whose form has a control of each kind."""
    return open_page("/styleguide/")


@pytest.fixture
def new_tour(open_page: Callable[..., Page]) -> Callable[..., Page]:
    """The form of a job of the delivery tour, whose version is built."""

    def open_it(**options: Any) -> Page:
        page = open_page("/jobs/new/", **options)
        page.get_by_role("combobox", name="Service", exact=True).select_option(label="Delivery tour")
        if options.get("java_script_enabled") is False:
            page.get_by_role("button", name="Choose").click()
        expect(page.get_by_role("button", name="Run job")).to_be_visible()
        return page

    return open_it


def form(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name=f"{name} as a form")


def editor(page: Page, name: str) -> Locator:
    return page.get_by_role("textbox", name=f"{name} as JSON")


def value(page: Page, name: str) -> Any:
    return json.loads(editor(page, name).input_value())


def test_the_form_writes_the_json_and_keeps_what_it_does_not_know(sample):
    settings = form(sample, "Settings")
    settings.get_by_label("name", exact=True).fill("Star")
    text = editor(sample, "Settings").input_value()
    assert "[0.5, 1.50, 12345678901234567890]" in text  # every digit
    assert json.loads(text)["unknown"] == {"kept": True}
    settings.get_by_label("shots").fill("12")
    settings.get_by_role("radio", name="star").check()
    settings.get_by_label("backend").select_option("far")
    settings.get_by_label("verbose").check()
    settings.get_by_label("day").fill("2026-03-14")
    settings.get_by_role("checkbox", name="routing").check()
    settings.get_by_label("text", exact=True).fill("one\ntwo")
    settings.get_by_role("spinbutton", name="x").fill("1e3")
    settings.get_by_label("more").fill('{"any": [1]}')
    got = value(sample, "Settings")
    del got["weights"], got["unknown"], got["labels"], got["options"], got["stop"]
    assert got == {
        "name": "Star",
        "shots": 12,
        "shape": "star",
        "seed": None,
        "backend": "far",
        "verbose": True,
        "day": "2026-03-14",
        "passes": ["routing"],
        "text": "one\ntwo",
        "start": {"x": 1000, "y": 2},
        "more": {"any": [1]},
    }
    for emptied in ("shots", "day"):
        settings.get_by_label(emptied).fill("")
    settings.get_by_label("backend").select_option(label="Not sent (default: local)")
    assert not value(sample, "Settings").keys() & {"shots", "day", "backend"}


def test_null_is_a_value(sample):
    seed = form(sample, "Settings").get_by_label("seed")
    expect(seed).to_be_disabled()
    form(sample, "Settings").get_by_label("null").uncheck()
    expect(seed).to_be_focused()
    sample.keyboard.type("7")
    assert value(sample, "Settings")["seed"] == 7
    form(sample, "Settings").get_by_label("null").check()
    assert value(sample, "Settings")["seed"] is None


def test_the_json_draws_the_form(sample):
    settings, area = form(sample, "Settings"), editor(sample, "Settings")
    area.fill('{"name": "Knot", "labels": ["only"], "stop": "never"}')
    expect(settings.get_by_label("name", exact=True)).to_have_value("Knot")
    expect(settings.get_by_label("labels 1", exact=True)).to_have_value("only")
    expect(settings.get_by_label("Kind of stop")).to_have_value("1")
    area.fill('{"name": "Knot", ')
    expect(settings.get_by_label("name", exact=True)).to_be_disabled()
    expect(sample.get_by_text("The JSON has a mistake, so the form waits")).to_be_visible()
    expect(settings.get_by_label("name", exact=True)).to_have_value("Knot")
    assert area.input_value() == '{"name": "Knot", '
    area.fill('{"name": 5, "labels": {}}')  # what the form cannot show stays until somebody replaces it
    expect(settings.get_by_text("The JSON has a number here")).to_be_visible()
    assert_accessible(sample)
    settings.get_by_role("button", name="Replace it").first.click()
    assert value(sample, "Settings") == {"name": "", "labels": {}}


def test_a_large_value_is_json_alone_and_freezes_nothing(sample):
    settings, area = form(sample, "Settings"), editor(sample, "Settings")
    area.evaluate("(area, text) => { area.value = text }", json.dumps({"name": "x", "weights": [0.123456] * 100_000}))
    milliseconds = area.evaluate(
        "area => { const begun = performance.now(); area.dispatchEvent(new Event('input')); "
        "return performance.now() - begun }"
    )
    expect(sample.get_by_text("This is more than a form can show")).to_be_visible()
    expect(settings.get_by_label("name", exact=True)).to_be_disabled()
    assert milliseconds < 1_000
    area.fill("{}")
    expect(settings.get_by_label("name", exact=True)).to_be_enabled()


def test_a_list_of_numbers_takes_a_column_of_a_table(sample):
    settings = form(sample, "Settings")
    line = settings.get_by_label("weights: numbers")
    line.fill("1.5\t2\n3, [4]; 0.10")
    assert value(sample, "Settings")["weights"] == [1.5, 2, 3, 4, 0.1]
    assert "0.10" in editor(sample, "Settings").input_value()
    line.fill("1, two, 3")
    expect(settings.get_by_text('"two" is not a number')).to_be_visible()
    assert value(sample, "Settings")["weights"] == [1.5, 2, 3, 4, 0.1]
    line.fill("5, -6")
    expect(settings.get_by_text("Number 2, -6: At least 0.")).to_be_visible()
    settings.get_by_role("button", name="In rows").click()
    expect(settings.get_by_role("spinbutton", name="weights 1")).to_have_value("5")


def test_a_list_is_edited_by_keys_alone(sample):
    settings = form(sample, "Settings")
    settings.get_by_label("labels 1", exact=True).focus()
    sample.keyboard.press("Enter")
    expect(settings.get_by_label("labels 2", exact=True)).to_be_focused()
    sample.keyboard.type("new")
    assert value(sample, "Settings")["labels"] == ["a", "new", "b"]
    sample.keyboard.press("Alt+ArrowDown")
    expect(settings.get_by_label("labels 3", exact=True)).to_be_focused()
    assert value(sample, "Settings")["labels"] == ["a", "b", "new"]
    sample.keyboard.press("Tab")  # to "up"; "down" is out of use at the end
    sample.keyboard.press("Tab")
    expect(settings.get_by_role("button", name="Remove labels 3")).to_be_focused()
    sample.keyboard.press("Enter")
    expect(settings.get_by_label("labels 2", exact=True)).to_be_focused()
    assert value(sample, "Settings")["labels"] == ["a", "b"]


def test_names_and_values_and_one_of_several_forms(sample):
    settings = form(sample, "Settings")
    settings.get_by_role("button", name="Add to options").click()
    sample.keyboard.type("beta")  # the new name is selected
    sample.keyboard.press("Tab")
    expect(settings.get_by_label("Value of beta")).to_be_focused()
    sample.keyboard.press("Control+a")
    sample.keyboard.type("2.5")
    assert value(sample, "Settings")["options"] == {"alpha": 1, "beta": 2.5}
    settings.get_by_role("button", name="Remove alpha").click()
    assert value(sample, "Settings")["options"] == {"beta": 2.5}
    settings.get_by_label("Kind of stop").select_option(label="Never")
    assert value(sample, "Settings")["stop"] == "never"
    settings.get_by_label("Kind of stop").select_option(label="After rounds")
    assert value(sample, "Settings")["stop"] == {"rounds": 10}
    settings.get_by_role("button", name="Leave out stop").click()
    assert "stop" not in value(sample, "Settings")
    settings.get_by_role("button", name="After rounds").click()
    assert value(sample, "Settings")["stop"] == {"rounds": 10}


def test_hints_come_as_one_types_and_errors_of_the_server_stay_until_it_is_changed(sample):
    settings = form(sample, "Settings")
    name, weights = settings.get_by_label("name", exact=True), settings.get_by_role("group", name="weights")
    expect(weights.get_by_text("must be at least 1.")).to_be_visible()
    name.fill("x")
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(settings.get_by_text("2 characters at least; 1 now.")).to_be_visible()
    assert "characters at least" in name.evaluate(
        "name => name.getAttribute('aria-describedby').split(' ').map(id => document.getElementById(id).textContent)"
        ".join(' ')"
    )
    name.fill("xy")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    settings.get_by_label("weights: numbers").fill("2")
    expect(weights.get_by_text("must be at least 1.")).to_be_hidden()


def test_a_tour_is_planned_by_keys_alone(new_tour):
    page = new_tour()
    depot = form(page, "Data").get_by_role("group", name="depot")
    depot.get_by_label("name").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("Hall")
    page.keyboard.press("Enter")  # does not send
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("1.5")
    stops = form(page, "Data").get_by_role("button", name="Add to stops")
    stops.focus()
    page.keyboard.press("Enter")
    page.keyboard.type("Station")
    for number in ("4", "-2"):
        page.keyboard.press("Tab")
        page.keyboard.type(number)
    sent = value(page, "Data")
    assert sent["depot"] == {"name": "Hall", "position": {"east": 1.5, "north": 0}}
    assert sent["stops"][3] == {"name": "Station", "position": {"east": 4, "north": -2}}
    page.keyboard.press("Control+Enter")
    page.wait_for_url(JOB)
    expect(page.locator("#job-header")).to_contain_text("Succeeded", timeout=60_000)
    page.reload()
    page.get_by_role("link", name="Run again").first.click()
    expect(form(page, "Data").get_by_role("group", name="stops 4", exact=True).get_by_label("name")).to_have_value(
        "Station"
    )


def test_an_error_leads_to_its_field(new_tour):
    page = new_tour()
    last = form(page, "Data").get_by_role("group", name="stops 3", exact=True)
    last.get_by_label("parcels").fill("0")
    form(page, "Params").get_by_role("spinbutton", name="rounds").fill("1.5")
    page.get_by_role("button", name="Run job").click()
    summary = page.get_by_role("alert").filter(has_text="The job was not started")
    expect(summary).to_contain_text("2 places of the input do not fit")
    assert_accessible(page)
    summary.get_by_role("link", name="data/stops/2/parcels").click()
    parcels = last.get_by_label("parcels")
    expect(parcels).to_be_focused()
    expect(parcels).to_have_attribute("aria-invalid", "true")
    expect(parcels).to_have_value("0")
    page.keyboard.press("Control+a")
    page.keyboard.type("2")
    expect(parcels).not_to_have_attribute("aria-invalid", "true")


def test_without_script_there_is_the_json_alone(new_tour):
    page = new_tour(java_script_enabled=False)
    expect(form(page, "Data")).to_have_count(0)
    expect(page.get_by_role("button", name="JSON")).to_have_count(0)
    editor(page, "Params").fill('{"method": "walk"}')
    page.get_by_role("button", name="Run job").click()
    expect(page.get_by_role("alert").get_by_role("link", name="params/method")).to_have_attribute("href", "#id_params")
    editor(page, "Params").fill('{"method": "nearest"}')
    page.get_by_role("button", name="Run job").click()
    page.wait_for_url(JOB)


@pytest.mark.parametrize(("viewport", "theme"), [(PHONE, "light"), (None, "dark")], ids=["phone", "dark"])
def test_the_page_is_accessible_and_fits(new_tour, viewport, theme):
    page = new_tour(color_scheme=theme, **({"viewport": viewport} if viewport else {}))
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if viewport:
        expect(editor(page, "Data")).to_be_hidden()
        page.get_by_role("group", name="Data: view").get_by_role("button", name="JSON").click()
        expect(editor(page, "Data")).to_be_visible()
        expect(form(page, "Data")).to_be_hidden()


def test_secrets_get_rows(new_tour):
    page = new_tour()
    page.get_by_text("Secrets", exact=False).first.click()
    page.get_by_label("Name", exact=True).first.fill("token")
    page.get_by_role("button", name="Add a secret").click()
    expect(page.get_by_label("Name", exact=True)).to_have_count(2)
    expect(page.get_by_label("Name", exact=True).last).to_be_focused()
    expect(page.get_by_label("Name", exact=True).last).to_have_value("")
