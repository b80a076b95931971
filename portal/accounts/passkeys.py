"""Where passkeys work: browsers bind them to a name, and refuse them on a numeric address and without https."""

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest


def work_at(url: str) -> bool:
    """Whether a browser lets a page at ``url`` make and use passkeys."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return parts.scheme == "https" and not _is_address(host)


def page_for(request: HttpRequest) -> str:
    """The page of ``request`` at PUBLIC_URL; empty where that cannot have passkeys either."""
    return settings.PUBLIC_URL + request.get_full_path() if work_at(settings.PUBLIC_URL) else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
