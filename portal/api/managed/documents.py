"""The JSON text of a result and our own members in one object, without touching a digit of what the user's code wrote.

Ours are `_embedded` and `_links`; the user's keys of these names yield. What is no object becomes the member `result`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import orjson

# Above, a text is passed on as it streams: read whole, it would take ten times its size in memory.
PARSED_MAX_BYTES = 16 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n"
NAME = "result"


def merge(text: bytes, ours: Mapping[str, Any]) -> bytes:
    """``text`` and ``ours`` as one object. A text that is no JSON adds nothing: it is there as a file."""
    text = text.removeprefix(BOM).strip(BLANK)
    try:
        value = _loads(text)
    except (ValueError, RecursionError):
        return orjson.dumps(ours)
    if not isinstance(value, dict):
        return b"".join(_wrapped(iter((text,)), ours))
    if ours.keys() & value.keys():
        try:
            kept = {name: member for name, member in json.loads(text).items() if name not in ours}
            text = json.dumps(kept).encode()  # and not orjson, which makes floats of large integers
        except RecursionError:  # orjson goes a little deeper
            return orjson.dumps(ours)
        value = kept
    return b"".join((text[:-1], b"," if value else b"", orjson.dumps(ours)[1:]))


def wrap(text: bytes, ours: Mapping[str, Any]) -> bytes:
    """``ours``, and ``text`` as the member `result`; null where it is no JSON."""
    text = text.removeprefix(BOM).strip(BLANK)
    try:
        _loads(text)
    except (ValueError, RecursionError):
        text = b"null"
    return b"".join(_wrapped(iter((text,)), ours))


def merge_large(chunks: Iterator[bytes], ours: Mapping[str, Any]) -> Iterator[bytes]:
    """`merge` for a text that is not held in memory: ours come last, and readers take the last of equal names."""
    first = b""
    while not first and (chunk := next(chunks, b"")):
        first = chunk.removeprefix(BOM).lstrip(BLANK)
    if not first.startswith(b"{"):
        yield from _wrapped(_chain(first, chunks), ours)
        return
    yield b"{"
    held, is_empty = b"", True  # ours come before the last brace, and only at the end it is known to be the last
    for chunk in _chain(first[1:], chunks):
        known = held + chunk
        length = max(0, len(known.rstrip(BLANK)) - 1)
        held = known[length:]
        is_empty = is_empty and not known[:length].strip(BLANK)
        yield known[:length]
    yield (b"" if is_empty else b",") + orjson.dumps(ours)[1:]


def wrap_large(chunks: Iterator[bytes], ours: Mapping[str, Any]) -> Iterator[bytes]:
    """`wrap` for a text that is not held in memory."""
    return _wrapped(_chain(next(chunks, b"").removeprefix(BOM), chunks), ours)


def _wrapped(chunks: Iterator[bytes], ours: Mapping[str, Any]) -> Iterator[bytes]:
    yield b'{"' + NAME.encode() + b'":'
    yield from chunks
    yield b"," + orjson.dumps(ours)[1:]


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Python's own reader takes halves of surrogate pairs and deeper nesting, as other readers do.
        # Decoded here, because it would guess UTF-16 too, into which ours cannot be written.
        return json.loads(text.decode(), parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not part of JSON")
