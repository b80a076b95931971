"""Starts the site."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

from tests import children
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """The web server with one worker process, as `up` starts it."""

    def __init__(self, *, redis_url: str, streams_max: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.streaming.settings",
            "REDIS_URL": redis_url,
            "LIVE_STREAMS_MAX": str(streams_max),
        }
        self.command = [
            *(sys.executable, "-m", "granian", "--interface=wsgi", f"--port={self.port}", "--blocking-threads=40"),
            *("--log-level=error", "--backpressure=60", "tests.streaming.site:application"),
        ]
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        self.process = children.start(self.command, cwd=ROOT, env=self.environment)
        wait_for(lambda: self.taken() is not None, what="the web server")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)

    def taken(self) -> int | None:
        """How many streams are open; None where nobody answers."""
        with suppress(OSError), urlopen(f"{self.url}/taken", timeout=5) as answer:
            return int(json.load(answer)["taken"])
        return None


@contextmanager
def running(*, redis_url: str, streams_max: int = 20) -> Iterator[Server]:
    """The site, until the end of the block."""
    server = Server(redis_url=redis_url, streams_max=streams_max)
    yield server
    server.process.kill()
    server.process.wait()
