"""The result as JSON in the output folder. What is not plain JSON already is rendering.py's business."""

from __future__ import annotations

import os
import sys

from . import jsons

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any


class InvalidResult(Exception):
    """What run() returned cannot be written as JSON. The text names the place."""


def refusal(result: Any) -> tuple[str, str] | None:
    """Code and detail of an ErrorResponse, as the templates of 2022 return one; None for any other result."""
    if type(result).__name__ != "ErrorResponse" or not (hasattr(result, "code") or hasattr(result, "detail")):
        return None
    code, detail = getattr(result, "code", None), getattr(result, "detail", None)
    return str("ErrorResponse" if code in (None, "") else code), str("" if detail is None else detail)


def write(result: Any, folder: str) -> None:
    """Write ``result`` to output.json in ``folder``; None writes nothing."""
    if result is None:
        return
    content = encode(result)
    path = os.path.join(folder, "output.json")
    try:
        with open(path, "wb") as file:
            file.write(content)
    except OSError:
        try:
            os.unlink(path)  # half a result is none
        except OSError:
            pass
        raise


def encode(result: Any) -> bytes:
    """``result`` as JSON in UTF-8. Raises InvalidResult."""
    try:
        text = jsons.dumps(result)
    except (TypeError, ValueError, OverflowError, RecursionError):
        text = _rendered(result)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8, but an escape
        return _escaped(text)


def _rendered(result: Any) -> str:
    from .rendering import DEPTH_MAX, plain  # noqa: PLC0415 (plain JSON does not wait for it)

    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10 * DEPTH_MAX))  # each level takes several calls
    try:
        return jsons.dumps(plain(result))
    except RecursionError:
        raise InvalidResult("The result is nested too deeply for JSON. Return it flatter.") from None


def _escaped(text: str) -> bytes:
    """JSON text with each half of a surrogate pair as an escape; outside of texts JSON has no such character."""
    return text.encode("utf-8", "backslashreplace")
