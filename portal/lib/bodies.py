"""The bytes of a request: also where they come in chunks, and to their end where nobody wants them."""

from contextlib import suppress
from typing import IO, cast

from django.http import HttpRequest

from portal.lib import sse

CHUNK_BYTES = 256 * 1024
UNWANTED_MAX_BYTES = 4 * 1024 * 1024  # a body that is larger has no call behind it that was meant


def stream(request: HttpRequest) -> IO[bytes]:
    """The body, to be read once. Django takes one without a length for an empty one."""
    return cast("IO[bytes]", request.environ["wsgi.input"] if _is_chunked(request) else request)  # type: ignore[attr-defined]


def drain(request: HttpRequest, *, max_bytes: int = UNWANTED_MAX_BYTES) -> None:
    """Read what is left of the body of a refused call.

    Otherwise the server closes the connection behind the answer: a client that still sends would not see it, and the
    next call of one that keeps its connection would break off.
    """
    if not (_is_chunked(request) or request.META.get("CONTENT_LENGTH", "0").strip("0")):
        return
    sse.release_pooled_database()  # a slow client takes its time
    body, drained = stream(request), 0
    with suppress(OSError):  # it went away
        while drained < max_bytes and (chunk := body.read(CHUNK_BYTES)):
            drained += len(chunk)


def _is_chunked(request: HttpRequest) -> bool:
    return "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
