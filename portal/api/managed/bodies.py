"""Reading the body of a call: how large it may be, and of which type. What is in it, jobs.inputs reads."""

from django.conf import settings
from django.http import HttpRequest

from portal.lib import bodies
from portal.lib.errors import Problem

DRAINED_MAX_BYTES = 64 * 1024 * 1024


def read_json(request: HttpRequest) -> bytes:
    """The body. Raises Problem where there is none, it is too large, or says that it is something else than JSON."""
    kind = (request.content_type or "").lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise Problem(
            "unsupported_media_type",
            f"The body says that it is {kind[:100]}, and a service takes JSON. Send it with the header "
            "`Content-Type: application/json`.",
        )
    coding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if coding not in ("", "identity"):
        raise Problem(
            "unsupported_media_type",
            f"The body says that it is compressed ({coding[:100]}), and a service takes plain JSON. Send it as it is, "
            "without the header Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )
    limit, stream = settings.BODY_MAX_BYTES, bodies.stream(request)
    announced = int(request.META.get("CONTENT_LENGTH") or 0)
    body = b"" if announced > limit else stream.read(limit + 1)
    if announced > limit or len(body) > limit:
        bodies.drain(request, max_bytes=DRAINED_MAX_BYTES)
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
    if not body:
        raise Problem(
            "invalid_json",
            'The call has no body, and a service takes a JSON object, such as {"data": {…}, "params": {…}}. Send one; '
            "{} where the service needs no input.",
            line=1,
            column=1,
        )
    return body
