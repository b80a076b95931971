"""Nothing that a description refers to is fetched."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from services import contracts
from tests.services.contracts.conftest import document, refusal


class Recorder(http.server.BaseHTTPRequestHandler):
    """Writes down who asked."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        server.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_no_address_in_a_description_is_asked(recorder):
    address = f"http://127.0.0.1:{recorder.server_port}/schema.json"
    for key in ("$ref", "$dynamicRef", "$recursiveRef"):
        for version in ("3.0.3", "3.1.0"):
            assert "outside this file" in refusal(document({"A": {key: address}}, version=version))
    contracts.parse(document({"A": {"$schema": address, "$id": address}}, version="3.1.0"))
    assert recorder.asked == []


@pytest.mark.parametrize("reference", ["file:///etc/passwd", "other.yml#/A", "//host/a", "#A", "#", "/etc/passwd", ""])
def test_a_reference_that_is_not_local_is_refused(reference):
    message = refusal(document({"A": {"$ref": reference}}))
    assert "components.schemas.A.$ref" in message
    assert "root:" not in message


def test_a_path_item_may_not_refer_outside_either():
    assert "outside this file" in refusal(document(**{"/a": {"$ref": "https://example.org/a"}}))


def test_a_property_that_is_called_ref_is_no_reference():
    assert contracts.parse(document({"A": {"type": "object", "properties": {"$ref": {"type": "string"}}}}))
