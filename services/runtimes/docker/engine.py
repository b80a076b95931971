"""The container engine of this host, Docker or Podman: its client, whether it serves, and what it can do."""

import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.utils
import requests.exceptions
from django.conf import settings

from services.runtimes.base import PlatformError

DEFAULT_HOST = "unix:///var/run/docker.sock"
ASK_SECONDS = 3  # an engine that takes longer to say that it is there is not there
ANSWER_SECONDS = 60  # for what it does at once; a build or a pull has no such end
KNOWN_SECONDS = 10.0  # how long what it said of itself is believed
OFF = "The operator of this instance has switched containers off (CONTAINERS=off)."
Failure = (docker.errors.DockerException, requests.exceptions.RequestException)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an engine says of itself."""

    name: str  # Docker or Podman, with its version
    cgroup_driver: str
    log_driver: str  # one that keeps every byte as it was, if it has one
    has_user_namespaces: bool
    root: str  # where it keeps its images
    problem: str  # why it cannot be used all the same; empty where it can


_lock = threading.Lock()
_clients = threading.local()
_known: tuple[float, Facts | None, str] = (0.0, None, "")


def address() -> str:
    """Where the engine listens."""
    return settings.DOCKER_HOST or DEFAULT_HOST


def client() -> docker.APIClient:
    """The client of this thread: its connections are not to be shared. Raises PlatformError where no engine answers."""
    found: docker.APIClient | None = getattr(_clients, "client", None)
    if found is None or getattr(_clients, "address", "") != address():
        try:
            _knock()
            found = docker.APIClient(**options(), version="auto", timeout=ANSWER_SECONDS)
        except (*Failure, OSError) as error:
            raise PlatformError(_silent(error)) from error
        _clients.client, _clients.address = found, address()
    return found


def problem() -> str:
    """Why containers cannot run on this host; empty if they can."""
    return _ask()[1]


def name() -> str:
    """What the engine is, such as Docker 28.2."""
    return facts().name


def facts() -> Facts:
    """What the engine says of itself. Raises PlatformError where none answers."""
    found, reason = _ask()
    if found is None:
        raise PlatformError(reason)
    return found


def forget() -> None:
    """Ask again next time, and connect anew."""
    global _known
    with _lock:
        _known = (0.0, None, "")
    _clients.client = None


def _ask() -> tuple[Facts | None, str]:
    global _known
    if settings.CONTAINERS == "off":
        return None, OFF
    with _lock:
        asked_at, found, reason = _known
        if not asked_at or time.monotonic() - asked_at > KNOWN_SECONDS:
            found, reason = _look()
            _known = (time.monotonic(), found, reason)
    return found, reason


def _look() -> tuple[Facts | None, str]:
    try:
        _knock()
        asked = docker.APIClient(**options(), version="auto", timeout=ASK_SECONDS)
        try:
            found = _facts(asked.info(), asked.version())
        finally:
            asked.close()
    except (*Failure, OSError) as error:
        return None, _silent(error)
    return found, found.problem


def _knock() -> None:
    """See whether somebody listens at all: most hosts have no engine, and are asked again and again."""
    scheme, _, path = address().partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(ASK_SECONDS)
            door.connect(path)


def _facts(info: dict[str, Any], version: dict[str, Any]) -> Facts:
    parts = {part.get("Name", "") for part in version.get("Components") or []}
    is_podman = any("podman" in part.lower() for part in parts)
    security = " ".join(info.get("SecurityOptions") or [])
    loggers = set((info.get("Plugins") or {}).get("Log") or [])
    reason = ""
    if "rootless" in security:
        reason = (
            "The container engine runs without root, so it cannot give each job a user of its own. "
            "Let DOCKER_HOST name an engine that runs as root."
        )
    elif info.get("OSType", "linux") != "linux":
        reason = f"The container engine runs {info['OSType']} containers, and only linux ones run here."
    return Facts(
        name=f"{'Podman' if is_podman else 'Docker'} {version.get('Version', '')}".strip(),
        cgroup_driver=info.get("CgroupDriver") or "",
        log_driver="local" if "local" in loggers else "k8s-file" if is_podman else "json-file",
        has_user_namespaces="name=userns" in security,
        root=info.get("DockerRootDir") or "",
        problem=reason,
    )


def options() -> dict[str, Any]:
    """How to reach the engine: DOCKER_HOST is ours, TLS is told as to Docker's own command."""
    found: dict[str, Any] = docker.utils.kwargs_from_env()
    return found | {"base_url": address()}


def certificates() -> str:
    """The folder of the certificates by which an engine at a TCP address knows us; empty without TLS."""
    if not os.environ.get("DOCKER_TLS_VERIFY"):
        return ""
    return os.environ.get("DOCKER_CERT_PATH") or str(Path.home() / ".docker")


def _silent(error: Exception) -> str:
    words = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0][:300]
    return (
        f"No container engine answers ({words.rstrip('.')}). Install and start Docker or Podman on this host, or name "
        "its socket in DOCKER_HOST."
    )
