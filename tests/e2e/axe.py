"""Accessibility of a page in the browser, by axe-core."""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SOURCE = Path(__file__).parent / "vendor" / "axe.min.js"


def assert_accessible(page: Page) -> None:
    """Fail with what axe-core finds on ``page`` as it is now: rule, what it is about, and where."""
    found = violations(page)
    assert not found, f"{page.url}:\n" + "\n".join(found)


def violations(page: Page) -> list[str]:
    """A line for each element that breaks a rule."""
    page.evaluate(_source())  # through the debugger, which the page's Content-Security-Policy does not hold
    # Colours are measured at rest: an animation that runs gives a colour that no token has.
    page.evaluate("() => document.getAnimations().forEach(one => { try { one.finish() } catch { one.cancel() } })")
    # Preloading copies style sheets into the page, which its Content-Security-Policy reports.
    results: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations'], preload: false})")
    return [
        f"{rule['id']}: {rule['help']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in results["violations"]
        for node in rule["nodes"]
    ]


@cache
def _source() -> str:
    return SOURCE.read_text()
