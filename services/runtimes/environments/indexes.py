"""Where packages come from: what the operator told uv, with its passwords for the phases that have the network.

The phases without it need the addresses still, because uv files what it has cached under them.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

SYSTEM_CONFIG = "/etc/uv/uv.toml"
INDEX_VARIABLES = {
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY", "UV_FIND_LINKS",
    "UV_NO_INDEX",
}  # fmt: skip
ONLINE_VARIABLES = re.compile(
    r"UV_(INDEX_\w+|KEYRING_PROVIDER|INSECURE_HOST|HTTP_\w+|REQUEST_TIMEOUT|NATIVE_TLS|SYSTEM_CERTS|EXCLUDE_NEWER\w*"
    r"|CONCURRENT_DOWNLOADS|AZURE_ENDPOINT_URL|OFFLINE)|SSL_CERT_FILE|SSL_CERT_DIR|SSL_CLIENT_CERT|(ALL|HTTPS?|NO)_PROXY",
    re.IGNORECASE,
)
OF_PIP = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX"}
PASSWORD = re.compile(r"(?<=://)[^/@\s\"']*@")


def variables(*, online: bool, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables for uv. Offline they hold no password."""
    found = {name: environ[name] for name in INDEX_VARIABLES if environ.get(name)}
    if not found.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"}:
        found |= {ours: environ[name] for name, ours in OF_PIP.items() if environ.get(name)}
    if not online:
        return {name: without_password(value) for name, value in found.items()}
    return found | {name: value for name, value in environ.items() if ONLINE_VARIABLES.fullmatch(name)}


def config(*, online: bool, environ: Mapping[str, str] = os.environ) -> str:
    """The text of the operator's uv.toml; empty without one. Offline it holds no password."""
    file = Path(environ.get("UV_CONFIG_FILE") or SYSTEM_CONFIG)
    text = file.read_text() if file.is_file() else ""
    return text if online else without_password(text)


def without_password(text: str) -> str:
    """``text`` with no login in its addresses."""
    return PASSWORD.sub("", text)


def folders(*, environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Folders of wheels on this host that the operator named, as paths inside → outside."""
    places = re.split(r"[\s,]+", environ.get("UV_FIND_LINKS", ""))
    return {place: Path(place) for place in places if place.startswith("/") and Path(place).is_dir()}
