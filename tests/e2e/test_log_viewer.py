"""The log viewer in a real browser, fed by a real writer through the real web server."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from portal.lib import logstream
from portal.lib.logstream import LogWriter
from tests.e2e.axe import assert_accessible
from tests.streaming.server import Server, running
from tests.waiting import wait_for

DOM_LINES_MAX = 2_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(redis_url=settings.REDIS_URL) as server:
        yield server


@pytest.fixture
def writer() -> Iterator[LogWriter]:
    writer = LogWriter("job", str(uuid4()), 1)
    yield writer
    writer.close()


class Viewer:
    """The page with the log of ``writer``."""

    def __init__(self, page: Page, server: Server, writer: LogWriter) -> None:
        self.page = page
        self.url = f"{server.url}/log/{writer._name.id}"
        self.view = page.locator("[data-view]")
        self.state = page.locator("[data-state]")
        self.lines = page.locator("[data-list] .log__line")

    def open(self, suffix: str = "", state: str | re.Pattern[str] = "Live") -> "Viewer":
        self.page.goto(self.url + suffix)
        expect(self.state).to_have_text(state)
        return self

    def line(self, number: int) -> Any:
        """The row of line ``number``, if it is in the page."""
        return self.lines.filter(has=self.page.locator(f".log__number:text-is('{number}')"))

    def text(self, number: int) -> Any:
        return self.line(number).locator(".log__text")

    def is_at_end(self) -> bool:
        return bool(self.view.evaluate("view => view.scrollTop + view.clientHeight >= view.scrollHeight - 2"))

    def scroll(self, to: float) -> None:
        """As a reader does it: the wheel, to a part of the whole."""
        self.view.hover()
        now, whole = self.view.evaluate("view => [view.scrollTop, view.scrollHeight]")
        self.page.mouse.wheel(0, to * whole - now)
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.fixture
def viewer(page: Page, server: Server, writer: LogWriter) -> Viewer:
    return Viewer(page, server, writer)


def write_lines(writer: LogWriter, count: int, *, begin: int = 1) -> None:
    for some in range(begin, begin + count, 1000):
        lines = range(some, min(some + 1000, begin + count))
        writer.write("out", b"".join(b"line %d of the log\n" % number for number in lines))


def test_lines_arrive_while_they_are_written(viewer: Viewer, writer: LogWriter) -> None:
    viewer.open()
    expect(viewer.page.get_by_text("No output yet")).to_be_visible()
    writer.write("out", b"first\n")
    expect(viewer.text(1)).to_have_text("first")
    expect(viewer.page.get_by_text("No output yet")).to_be_hidden()
    writer.write("err", b"a warning\n")
    expect(viewer.line(2)).to_contain_text("err")
    writer.write("system", b"from the platform\n")
    expect(viewer.line(3)).to_contain_text("info")
    writer.close()
    expect(viewer.state).to_have_text("Ended")
    expect(viewer.page.locator("[data-count]")).to_have_text("3 lines")


def test_a_status_is_an_event_of_the_page(viewer: Viewer, writer: LogWriter) -> None:
    viewer.page.add_init_script(
        "window.told = []; addEventListener('mercato:status', (event) => told.push(event.detail.status))"
    )
    viewer.open()
    writer.event("status", status="RUNNING")
    wait_for(lambda: "RUNNING" in viewer.page.evaluate("told"), what="the event")
    writer.event("status", status="SUCCEEDED")
    wait_for(lambda: "SUCCEEDED" in viewer.page.evaluate("told"), what="the second event")


def test_two_hundred_thousand_lines_do_not_freeze_the_page(viewer: Viewer, writer: LogWriter) -> None:
    write_lines(writer, 200_000)
    writer.close()
    viewer.open(state="Ended")
    page = viewer.page
    expect(page.locator("[data-count]")).to_have_text("200,000 lines")
    expect(viewer.text(200_000)).to_be_visible()
    assert viewer.is_at_end()
    for part in (0.0, 0.31, 0.77, 0.5, 1.0):
        viewer.scroll(part)
        numbers = [int(number) for number in page.locator("[data-list] .log__number").all_inner_texts()]
        assert len(numbers) <= DOM_LINES_MAX
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        middle = viewer.page.evaluate(
            "document.elementFromPoint(innerWidth / 2, innerHeight / 2).closest('[data-row]').dataset.row"
        )
        assert abs(int(middle) - part * 200_000) < 100
    viewer.view.focus()
    page.keyboard.press("Home")
    expect(viewer.text(1)).to_be_in_viewport()
    page.keyboard.press("End")
    expect(viewer.text(200_000)).to_be_in_viewport()


def test_a_reader_who_scrolls_up_is_left_in_peace(viewer: Viewer, writer: LogWriter) -> None:
    write_lines(writer, 500)
    viewer.open()
    expect(viewer.text(500)).to_be_in_viewport()
    latest = viewer.page.get_by_role("button", name="Jump to latest")
    expect(latest).to_be_hidden()

    viewer.scroll(0.5)
    before = viewer.view.evaluate("view => view.scrollTop")
    write_lines(writer, 300, begin=501)
    expect(viewer.page.locator("[data-count]")).to_have_text("800 lines")
    assert viewer.view.evaluate("view => view.scrollTop") == before

    latest.click()
    expect(viewer.text(800)).to_be_in_viewport()
    write_lines(writer, 100, begin=801)
    expect(viewer.text(900)).to_be_in_viewport()  # it follows again
    expect(latest).to_be_hidden()

    viewer.scroll(0.5)
    viewer.scroll(1.0)  # back at the end by hand
    write_lines(writer, 100, begin=901)
    expect(viewer.text(1000)).to_be_in_viewport()


def test_ansi_becomes_colours_and_nothing_of_it_stays(viewer: Viewer, writer: LogWriter) -> None:
    writer.write("out", b"\x1b[1;31mred\x1b[0m plain \x1b[4mline\x1b[24m \x1b[92mbright\x1b[m\n")
    writer.write("out", b"\x1b[38;5;208mindexed\x1b[0m \x1b[48;2;10;20;30mground\x1b[0m\n")
    writer.write("out", b"\x1b[33myellow goes on\nin the next line\x1b[0m and ends\n")
    writer.write("out", b"\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x07 \x1b[2K\x1b[1Aupwards\x00\n")
    viewer.open()
    expect(viewer.text(1)).to_have_text("red plain line bright")
    red = viewer.text(1).locator("span", has_text="red")
    expect(red).to_have_class("ansi-bold ansi-fg ansi-fg-1")
    plain = viewer.text(1).evaluate("text => getComputedStyle(text).color")
    assert red.evaluate("span => getComputedStyle(span).color") != plain
    expect(viewer.text(1).locator("span", has_text="bright")).to_have_class("ansi-fg ansi-fg-10")
    expect(viewer.text(1).locator("span", has_text="line")).to_have_css("text-decoration-line", "underline")
    assert viewer.text(2).locator("span", has_text="indexed").evaluate("span => getComputedStyle(span).color") != plain
    expect(viewer.text(2).locator("span", has_text="ground")).to_have_css("background-color", "rgb(10, 20, 30)")
    expect(viewer.text(4).locator("span", has_text="in the next line")).to_have_class("ansi-fg ansi-fg-3")
    expect(viewer.text(4).locator("span", has_text="and ends")).to_have_count(0)
    expect(viewer.text(5)).to_have_text("link upwards")


def test_a_carriage_return_writes_over_its_line(viewer: Viewer, writer: LogWriter) -> None:
    viewer.open()
    for percent in (10, 50, 90):
        writer.write("out", b"\r%d %%" % percent)
        expect(viewer.text(1)).to_have_text(f"{percent} %")
    writer.write("err", b"meanwhile\r\n")
    writer.write("out", b"\rdone\nnext\n")
    expect(viewer.text(3)).to_have_text("next")
    assert viewer.lines.locator(".log__text").all_inner_texts() == ["done", "meanwhile", "next"]


def test_characters_and_lines_in_pieces(viewer: Viewer, writer: LogWriter) -> None:
    viewer.open()
    data = "Grüße \N{GRINNING FACE}\n".encode()
    for begin in range(len(data)):
        writer.write("out", data[begin : begin + 1])
    expect(viewer.text(1)).to_have_text("Grüße \N{GRINNING FACE}")
    expect(viewer.lines).to_have_count(1)


def test_markup_in_a_log_stays_text(viewer: Viewer, writer: LogWriter) -> None:
    writer.write("out", b"<img src=x onerror=alert(1)> <b>&amp;</b>\n")
    viewer.open()
    expect(viewer.text(1)).to_have_text("<img src=x onerror=alert(1)> <b>&amp;</b>")


def test_search_counts_and_steps_through_lines(viewer: Viewer, writer: LogWriter) -> None:
    write_lines(writer, 5_000)
    viewer.open()
    found = viewer.page.locator("[data-found]")
    viewer.view.focus()
    viewer.page.keyboard.press("/")
    viewer.page.keyboard.type("LINE 77")
    expect(found).to_have_text("1 of 11 lines")
    expect(viewer.text(77)).to_be_in_viewport()
    expect(viewer.line(77)).to_have_class(re.compile("log__line--hit"))
    viewer.page.keyboard.press("Enter")
    expect(found).to_have_text("2 of 11 lines")
    expect(viewer.text(770)).to_be_in_viewport()
    viewer.page.keyboard.press("Shift+Enter")
    viewer.page.get_by_role("button", name="Previous match").click()
    expect(found).to_have_text("11 of 11 lines")
    expect(viewer.text(779)).to_be_in_viewport()
    assert viewer.page.evaluate("CSS.highlights.get('log-hit').size") > 0

    write_lines(writer, 1, begin=77_000)  # what arrives is searched too
    expect(found).to_have_text("11 of 12 lines")
    viewer.page.locator("[data-query]").fill("no such thing")
    expect(found).to_have_text("No line")
    viewer.page.locator("[data-query]").press("Escape")
    expect(found).to_have_text("")
    expect(viewer.view).to_be_focused()


def test_a_line_has_an_address(viewer: Viewer, writer: LogWriter) -> None:
    write_lines(writer, 20_000)
    viewer.open("#L12345")
    expect(viewer.text(12_345)).to_be_in_viewport()
    expect(viewer.line(12_345)).to_have_class(re.compile("log__line--marked"))
    write_lines(writer, 1000, begin=20_001)
    expect(viewer.page.locator("[data-count]")).to_have_text("21,000 lines")
    expect(viewer.text(12_345)).to_be_in_viewport()

    viewer.line(12_347).locator("a").click()
    expect(viewer.page).to_have_url(re.compile("#L12347$"))
    viewer.line(12_350).locator("a").click(modifiers=["Shift"])
    expect(viewer.page).to_have_url(re.compile("#L12347-L12350$"))
    expect(viewer.page.locator(".log__line--marked")).to_have_count(4)

    viewer.page.evaluate("location.hash = '#L5'")
    expect(viewer.text(5)).to_be_in_viewport()
    expect(viewer.page.locator(".log__line--marked")).to_have_count(1)


def test_an_address_of_a_line_that_is_still_to_come(viewer: Viewer, writer: LogWriter) -> None:
    write_lines(writer, 100)
    viewer.open("#L300")
    expect(viewer.page.locator("[data-count]")).to_have_text("100 lines")
    write_lines(writer, 900, begin=101)
    expect(viewer.text(300)).to_be_in_viewport()


def test_times_and_wrapping_are_kept_for_the_next_page(viewer: Viewer, writer: LogWriter) -> None:
    writer.write("out", b"short\n" + b"long " * 500 + b"\nshort\n")
    viewer.open()
    page = viewer.page
    height = viewer.line(2).bounding_box()
    page.get_by_role("button", name="Wrap long lines").click()
    wrapped = viewer.line(2).bounding_box()
    assert height is not None
    assert wrapped is not None
    assert wrapped["height"] > 3 * height["height"]
    page.get_by_role("button", name="Show times").click()
    expect(viewer.line(1).locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    page.reload()
    expect(viewer.line(1).locator("time")).to_be_visible()
    expect(page.get_by_role("button", name="Wrap long lines")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("wrap", [False, True])
def test_lines_of_all_lengths_lie_one_below_the_other(
    new_context: Callable[..., Any], server: Server, writer: LogWriter, wrap: bool
) -> None:
    page = new_context(viewport={"width": 400, "height": 700}).new_page()
    viewer = Viewer(page, server, writer)
    for number in range(3000):
        writer.write("out", b"%d %s\n" % (number, "\N{GRINNING FACE}wide 漢字 ".encode() * (number % 37)))
    page.add_init_script(f"localStorage.setItem('log.wrap', '{str(wrap).lower()}')")
    viewer.open()
    expect(viewer.text(3000)).to_be_in_viewport()
    for part in (0.2, 0.9, 0.4, 0.41, 0.0, 1.0):
        viewer.scroll(part)
        boxes = page.evaluate(
            "[...document.querySelectorAll('[data-list] .log__line')].map(line => line.getBoundingClientRect())"
            ".map(({top, bottom}) => [top, bottom])"
        )
        assert all(abs(above[1] - below[0]) < 1 for above, below in pairwise(boxes))
        seen = viewer.view.bounding_box()
        assert seen is not None
        assert boxes[0][0] <= seen["y"] + 10
        assert boxes[-1][1] >= seen["y"] + seen["height"] - 10
    assert viewer.is_at_end()


def test_copying_gives_the_text_and_only_that(viewer: Viewer, writer: LogWriter) -> None:
    writer.write("out", b"\x1b[31mred\x1b[0m one\n\n  two\t.\n")
    writer.write("err", b"three\n")
    write_lines(writer, 3_000, begin=5)
    page = viewer.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    viewer.open("#L1")
    expect(viewer.text(1)).to_be_in_viewport()

    def copied() -> str:
        page.keyboard.press("Control+c")
        return str(page.evaluate("navigator.clipboard.readText()"))

    page.evaluate(
        """() => {
            const text = (line) => document.querySelectorAll('[data-list] .log__text')[line - 1];
            getSelection().setBaseAndExtent(text(1).firstChild.firstChild, 1, text(4).firstChild, 3);
        }"""
    )
    assert copied() == "ed one\n\n  two\t.\nthr"

    page.evaluate("getSelection().removeAllRanges()")
    viewer.line(3).locator("a").click()
    viewer.line(5).locator("a").click(modifiers=["Shift"])
    viewer.view.focus()
    assert copied() == "  two\t.\nthree\nline 5 of the log"

    page.keyboard.press("Control+a")
    assert copied().splitlines() == [
        "red one",
        "",
        "  two\t.",
        "three",
        *(f"line {number} of the log" for number in range(5, 3_005)),
    ]


def test_a_selection_survives_new_lines(viewer: Viewer, writer: LogWriter) -> None:
    write_lines(writer, 200)
    viewer.open()
    expect(viewer.text(200)).to_be_in_viewport()
    viewer.text(195).dblclick(position={"x": 5, "y": 8})
    selected = viewer.page.evaluate("getSelection().toString()")
    assert selected == "line"
    write_lines(writer, 3_000, begin=201)
    expect(viewer.page.locator("[data-count]")).to_have_text("3,200 lines")
    assert viewer.page.evaluate("getSelection().toString()") == selected
    expect(viewer.text(195)).to_be_in_viewport()


def test_a_gap_is_shown_where_it_is(viewer: Viewer, writer: LogWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LOG_MAX_BYTES", 200_000)
    write_lines(writer, 50_000)
    writer.close()
    viewer.open(state="Ended, a part was left out")
    expect(viewer.text(50_000)).to_be_in_viewport()
    viewer.page.evaluate("location.hash = '#L25000'")
    gap = viewer.page.locator(".log__line--gap")
    expect(gap).to_contain_text(re.compile(r"Lines [\d,]+ to [\d,]+ \([\d.,]+ [KM]iB\) were left out"))
    expect(gap).to_be_in_viewport()


def test_a_restarted_server_costs_no_line_and_doubles_none(browser: Browser, server: Server, writer: LogWriter) -> None:
    context = browser.new_context()  # one whose console may say that the server was away
    page = context.new_page()
    viewer = Viewer(page, server, writer)
    write_lines(writer, 1000)
    viewer.open()
    expect(page.locator("[data-count]")).to_have_text("1,000 lines")
    server.stop()
    expect(viewer.state).to_have_text("Reconnecting…")
    write_lines(writer, 1000, begin=1001)
    server.start()
    expect(viewer.state).to_have_text("Live", timeout=20_000)
    write_lines(writer, 1000, begin=2001)
    writer.close()
    expect(viewer.state).to_have_text("Ended")
    expect(viewer.text(3000)).to_be_visible()
    texts = page.evaluate("document.querySelector('[data-stream]').viewer.text")
    assert texts == [f"line {number} of the log" for number in range(1, 3001)]
    context.close()


def test_a_hidden_page_holds_no_stream_and_goes_on_when_it_is_seen(
    viewer: Viewer, server: Server, writer: LogWriter
) -> None:
    write_lines(writer, 10)
    viewer.open()
    expect(viewer.text(10)).to_be_visible()
    hide = """hidden => {
        Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    viewer.page.evaluate(hide, True)
    write_lines(writer, 10, begin=11)  # what is written shows the server that the page has gone
    wait_for(lambda: server.taken() == 0, what="a free place")
    viewer.page.evaluate(hide, False)
    expect(viewer.text(20)).to_be_visible()
    expect(viewer.page.locator("[data-count]")).to_have_text("20 lines")
    assert viewer.page.evaluate("document.querySelector('[data-stream]').viewer.text.length") == 20


def test_without_a_free_place_the_page_asks_again_and_again(browser: Browser, writer: LogWriter) -> None:
    context = browser.new_context()  # one whose console may say 503
    page = context.new_page()
    with running(redis_url=settings.REDIS_URL, streams_max=0) as full:
        viewer = Viewer(page, full, writer)
        write_lines(writer, 10)
        viewer.open(state="Live, asking every few seconds")
        expect(viewer.text(10)).to_be_visible()
        write_lines(writer, 10, begin=11)
        expect(viewer.text(20)).to_be_visible()
        writer.close()
        expect(viewer.state).to_have_text("Ended", timeout=15_000)
        context.close()


def test_an_archived_log_looks_the_same(viewer: Viewer, writer: LogWriter) -> None:
    write_lines(writer, 2_000)
    logstream.archive(*writer._name)
    viewer.open("?ended", state="Ended")
    expect(viewer.text(2_000)).to_be_in_viewport()


def test_an_empty_log_says_so(viewer: Viewer, writer: LogWriter) -> None:
    writer.close()
    viewer.open("?ended", state="Ended")
    expect(viewer.page.get_by_text("Nothing was written to this log.")).to_be_visible()


def test_the_log_is_downloaded_as_text(viewer: Viewer, writer: LogWriter) -> None:
    write_lines(writer, 100)
    viewer.open()
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("link", name="Download the log").click()
    path = download.value.path()
    assert path.read_text().splitlines() == [f"line {number} of the log" for number in range(1, 101)]
    assert download.value.suggested_filename.endswith(".log")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_it_is_accessible(
    new_context: Callable[..., Any], server: Server, writer: LogWriter, theme: str, width: int
) -> None:
    page = new_context(viewport={"width": width, "height": 800}, color_scheme=theme).new_page()
    writer.write("system", b"Environment ready\n")
    colours = [*range(30, 38), *range(90, 98)]
    writer.write("out", b"".join(b"\x1b[%dm colour %d \x1b[0m" % (code, code) for code in colours) + b"\n")
    writer.write("out", b"".join(b"\x1b[%dm ground %d \x1b[0m" % (code + 10, code) for code in colours) + b"\n")
    writer.write("out", b"".join(b"\x1b[38;5;%dm%d \x1b[0m" % (code, code) for code in range(16, 256)) + b"\n")
    writer.write("out", b"".join(b"\x1b[48;5;%dm%d \x1b[0m" % (code, code) for code in range(16, 256)) + b"\n")
    writer.write("out", b"\x1b[2mdim\x1b[0m \x1b[1mbold\x1b[0m \x1b[7minverse\x1b[0m\n")
    writer.write("err", b"Traceback (most recent call last):\n  ...\n")
    write_lines(writer, 200, begin=8)
    viewer = Viewer(page, server, writer).open("#L7")
    expect(viewer.text(7)).to_be_in_viewport()
    page.get_by_role("button", name="Show times").click()
    page.locator("[data-query]").fill("trace")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
