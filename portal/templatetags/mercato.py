"""Times, durations and places in words, for the components. static/js/time.js says the same words as they tick."""

import math
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django import template
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from portal.lib import sizes

register = template.Library()

MINUTE, HOUR, DAY = 60, 3600, 86_400
UNITS = ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s"))
BAR_WIDTH = 1000
PART_WIDTH_MIN = 6  # a step of a millisecond is still seen


@register.filter
def iso(at: datetime) -> str:
    """A moment for machines."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@register.filter
def exact(at: datetime) -> str:
    """A moment for a tooltip; script rewrites it in the reader's own time zone."""
    return at.astimezone(UTC).strftime("%-d %B %Y, %H:%M:%S UTC")


@register.filter
def ago(at: datetime) -> str:
    """A moment seen from now: "just now", "5 minutes ago", "3 days ago", and the date when it is long ago."""
    seconds = (timezone.now() - at).total_seconds()
    if abs(seconds) < 10:
        return "just now"
    if abs(seconds) >= 30 * DAY:
        return at.strftime("%-d %b %Y")
    for size, unit in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second")):
        if abs(seconds) >= size:
            count = int(abs(seconds) // size)
            words = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now"


@register.filter
def lasted(since: datetime, until: datetime | None) -> float:
    """Seconds from ``since`` to ``until``, or to now."""
    return max(0.0, ((until or timezone.now()) - since).total_seconds())


@register.filter
def first_line(text: str) -> str:
    """The sentence of a message that brings a piece of code along."""
    return text.partition("\n")[0]


@register.filter
def lines_below(text: str) -> str:
    """The piece of code that a message brings along, below its first line."""
    return textwrap.dedent(text.partition("\n")[2])


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds in words: "40 ms", "3.2 s", "48 s", "3 min 20 s", "2 h 5 min", "1 d 4 h"."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    for size, unit, part_size, part_unit in UNITS:
        if whole >= size:
            part = whole % size // part_size
            return f"{whole // size} {unit}" + (f" {part} {part_unit}" if part else "")
    raise AssertionError(seconds)


@register.filter
def size(count: int) -> str:
    """Bytes that were measured: "11.7 KiB"."""
    return sizes.in_words(count)


@register.filter
def size_limit(count: int) -> str:
    """Bytes that are allowed, exactly: "20 GiB"."""
    return sizes.limit_in_words(count)


@register.filter
def share(fraction: float | None) -> str:
    """A part of a whole: "40 %"."""
    return "" if fraction is None else f"{int(fraction * 100)} %"


@register.simple_tag
def remaining(fraction: float | None, since: datetime | None, at: datetime | None) -> str:
    """How long it takes yet, if the rest goes as fast as what was done from ``since`` to ``at``; empty if unknown."""
    if fraction is None or since is None or at is None or not 0 < fraction < 1:
        return ""
    took = (at - since).total_seconds()
    left = took * (1 - fraction) / fraction - lasted(at, None)
    if took < 1 or left <= 0:
        return ""
    if left < 10:
        return "a few seconds left"
    if left < MINUTE:
        return f"about {math.ceil(left / 5) * 5} s left"
    step = 10 if left < 3 * MINUTE else MINUTE if left < HOUR else 5 * MINUTE if left < DAY else HOUR
    return f"about {duration(math.ceil(left / step) * step)} left"


@register.filter
def shares(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps of a timeline with the place of each in the bar: x and width of BAR_WIDTH, never too thin to see."""
    shown = [dict(step, ended_at=step.get("ended_at"), is_point=step.get("is_point", False)) for step in steps]
    for step in shown:
        step["is_live"] = bool(step["at"]) and not step["ended_at"] and not step["is_point"]
        step["seconds"] = lasted(step["at"], step["ended_at"]) if step["at"] and not step["is_point"] else None
    timed = [step for step in shown if step["seconds"] is not None]
    total = sum(step["seconds"] for step in timed) or 1.0
    room = BAR_WIDTH - PART_WIDTH_MIN * len(timed)
    x = 0.0
    for step in timed:
        step["x"] = round(x, 1)
        step["width"] = round(PART_WIDTH_MIN + room * step["seconds"] / total, 1)
        x += step["width"]
    return shown


@register.simple_tag(takes_context=True)
def current(context: template.Context, place: str) -> SafeString:
    """`aria-current` for a link of the navigation: ``place`` is an app's namespace or the name of a page."""
    request: HttpRequest | None = context.get("request")
    match = request.resolver_match if request else None
    if match is None or place not in (match.app_name, match.url_name, (match.url_name or "").partition("_")[0]):
        return mark_safe("")
    return mark_safe('aria-current="page"')
