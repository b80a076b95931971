"""What a version may use and how its build goes, in words; and foreign Markdown as safe HTML."""

from django import template
from django.utils.safestring import SafeString

from portal.lib import markdown, sizes
from services.forms import TIME_UNITS, in_vcpus, in_words
from services.models import BuildStatus

register = template.Library()


@register.filter
def vcpus(millis: int, unit: str = " vCPU") -> str:
    """Thousandths of a vCPU: `0.5 vCPU`; with an empty ``unit`` the number alone."""
    return f"{in_vcpus(millis)}{unit}"


@register.filter
def memory(mebibytes: int) -> str:
    """MiB: `512 MiB`, `1.5 GiB`."""
    return sizes.limit_in_words(mebibytes << 20)


@register.filter
def time_limit(seconds: int) -> str:
    """Seconds: `90 minutes`."""
    return in_words(seconds, TIME_UNITS)


@register.filter
def rendered(text: str) -> SafeString:
    """Markdown of somebody as HTML that is safe to show."""
    return markdown.render(text)


@register.filter
def build_label(status: str) -> str:
    """The word for a build's status, where a query brought the status alone."""
    return BuildStatus(status).label


@register.filter
def is_building(status: str | None) -> bool:
    """Whether a build with this status goes on."""
    return status in BuildStatus.live()
