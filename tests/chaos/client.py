"""A caller of the gateway who does what a caller should: the same Idempotency-Key again until there is an answer."""

import base64
import http.client
import json
import time
from typing import Any
from urllib.parse import urlencode

RETRY_SECONDS = 0.1
PATIENCE_SECONDS = 60.0  # a long cut is among the faults
AGAIN = {429, 500, 502, 503, 504}
JSON = {"Content-Type": "application/json"}


class GaveUp(Exception):
    """No answer for too long."""


class Caller:
    """One application. Safe for threads: each call is a connection of its own."""

    def __init__(self, port: int, key: str, secret: str) -> None:
        self.port = port
        basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
        form = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"grant_type": "client_credentials"}).encode()
        answer = json.loads(self.call("POST", "/token", body, form))
        self.headers = {"Authorization": f"Bearer {answer['access_token']}"}
        self.refused: list[int] = []  # statuses that it was put off with

    def post(self, path: str, body: dict[str, Any], key: str) -> str:
        """Start an execution; its id."""
        sent = json.dumps(body).encode()
        return str(json.loads(self.call("POST", path, sent, self.headers | JSON | {"Idempotency-Key": key}))["id"])

    def get(self, path: str) -> bytes:
        """What is at ``path``."""
        return self.call("GET", path, b"", self.headers)

    def call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """The body of a 2xx answer, however often it takes."""
        deadline, problem = time.monotonic() + PATIENCE_SECONDS, ""
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                if 200 <= answer.status < 300:
                    return content
                problem = f"{answer.status} {content[:300]!r}"
                if answer.status not in AGAIN:
                    raise GaveUp(f"{method} {path}: {problem}")
                self.refused.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            finally:
                connection.close()
            time.sleep(RETRY_SECONDS)
        raise GaveUp(f"{method} {path}: no answer for {PATIENCE_SECONDS:g} s, at last {problem}")
