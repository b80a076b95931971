"""Reading the body of a call: how large it may be, and of which type. What is in it, jobs.inputs reads."""

from typing import IO, cast

from django.conf import settings
from django.http import HttpRequest

from portal.lib.errors import Problem

DRAINED_MAX_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


def read_json(request: HttpRequest) -> bytes:
    """The body. Raises Problem where it is too large, or says that it is something else than JSON."""
    kind = (request.content_type or "").lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise Problem(
            "unsupported_media_type",
            f"The body says that it is {kind[:100]}, and a service takes JSON. Send it with the header "
            "`Content-Type: application/json`.",
        )
    limit, stream = settings.BODY_MAX_BYTES, _stream(request)
    announced = int(request.META.get("CONTENT_LENGTH") or 0)
    body = b"" if announced > limit else stream.read(limit + 1)
    if announced > limit or len(body) > limit:
        _drain(stream)
        size = f"{announced:,}" if announced else f"more than {limit:,}"
        raise Problem(
            "input_too_large",
            f"The body has {size} bytes, and {limit:,} are allowed. Send less: leave out what the service does not "
            "need, use a denser form, or split the work over several executions.",
            limit=limit,
        )
    if len(body) < announced:
        raise Problem(
            "invalid_request", f"Of {announced:,} bytes came {len(body):,}: the body broke off. Send it again."
        )
    return body


def _stream(request: HttpRequest) -> IO[bytes]:
    # Django takes a body without a length for an empty one.
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    return cast("IO[bytes]", request.environ["wsgi.input"] if chunked else request)  # type: ignore[attr-defined]


def _drain(stream: IO[bytes]) -> None:
    """Read on: a client that still sends would see a broken connection instead of the answer."""
    drained = 0
    while drained < DRAINED_MAX_BYTES and (chunk := stream.read(CHUNK_BYTES)):
        drained += len(chunk)
