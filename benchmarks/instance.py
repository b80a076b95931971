"""A whole instance to measure, and a client that is signed in there."""

import http.cookiejar
import json
import os
import re
import statistics
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live_stack import LiveStack

# Tells of an instance for all: JSON with home, port and bootstrap. For tests, which measure nothing.
RUNNING = "BENCHMARK_INSTANCE"


class Client:
    """A browser without a screen: keeps cookies, sends the CSRF token with each form."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> str:
        """The text of a page."""
        with self.opener.open(urllib.parse.urljoin(self.url, path), timeout=30) as response:
            return response.read().decode()

    def post(self, path: str, **fields: str) -> str:
        """Send a form; the address that the answer leads to."""
        address = urllib.parse.urljoin(self.url, path)
        token = next(cookie.value for cookie in self.cookies if cookie.name.startswith("mercato_csrf"))
        body = urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": token or ""}).encode()
        with self.opener.open(urllib.request.Request(address, data=body), timeout=30) as response:
            return response.geturl()

    def cookie_header(self) -> str:
        """The cookies as a request header, for clients of another kind."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)


@contextmanager
def running(**environment: str) -> Iterator[LiveStack]:
    """An instance of its own that runs, or the one for all."""
    if RUNNING in os.environ:
        found = json.loads(os.environ[RUNNING])
        stack = LiveStack(Path(found["home"]), port=found["port"], **environment)
        stack.bootstrap = found["bootstrap"]
        yield stack
    else:
        stack = LiveStack(**environment)
        try:
            yield stack.start()
        finally:
            stack.remove()


@contextmanager
def instance(**environment: str) -> Iterator[tuple[LiveStack, Client]]:
    """A running instance with its demo built, and the demo's provider signed in."""
    with running(**environment) as stack:
        user = stack.bootstrap["user"]
        client = Client(stack.url)
        client.get("/accounts/login/")
        client.post("/accounts/login/", login=user["email"], password=user["password"])
        deadline = time.monotonic() + 120
        while "/jobs/new/?service=" not in client.get(stack.bootstrap["service"]["page"]):
            if time.monotonic() > deadline:
                raise SystemExit(f"The demo service was not built in time:\n{stack.log}")
            time.sleep(0.5)
        yield stack, client


def import_program(stack: LiveStack, name: str, code: str, *flags: str, requirements: str = "") -> str:
    """Load a program as a service of the demo account; its id. ``flags`` are those of import_service."""
    folder = stack.home / "programs" / name
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "program.py").write_text(code)
    (folder / "requirements.txt").write_text(requirements)
    account = stack.bootstrap["account"]
    answer = json.loads(stack.manage("import_service", str(folder), "--account", account, "--json", *flags))
    return str(answer["id"])


def job_id(address: str) -> str:
    """The id in the address of a job's page."""
    found = re.search(r"/jobs/([0-9a-f-]{36})/", address)
    if found is None:
        raise SystemExit(f"No job was started; the form led to {address}.")
    return found[1]


def milliseconds(act: Callable[[], object], times: int) -> list[float]:
    """How long ``act`` takes, again and again."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def percentile(values: list[float], percent: int) -> float:
    """The value that ``percent`` of ``values`` do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]
