"""The result as JSON, or the exact place in it that JSON cannot hold."""

from __future__ import annotations

import os

from . import jsons

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any

HINTS = {
    "ndarray": "call .tolist()",
    "DataFrame": "call .to_dict(orient='records')",
    "Series": "call .tolist()",
    "Tensor": "call .tolist()",
    "set": "make it a list",
    "frozenset": "make it a list",
    "bytes": "decode it, or write it to a file in the output folder",
    "datetime": "call .isoformat()",
    "date": "call .isoformat()",
    "Decimal": "make it a float or a string",
    "complex": "return its real and imaginary parts",
    "coroutine": "await it before you return it",
    "generator": "make it a list",
}


class InvalidResult(Exception):
    """What run() returned cannot be written as JSON. The text names the place."""


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
        return jsons.dumps(result).encode()
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8, but an escape
        return jsons.dumps(result, ascii_only=True).encode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidResult(explain(result) or f"run() returned a result that is no JSON: {error}") from None


def explain(result: Any) -> str:
    """The first place in ``result`` that JSON cannot hold, why, and what to do; empty if there is none."""
    waiting: list[tuple[str, Any, tuple[int, ...]]] = [("result", result, ())]
    while waiting:
        path, value, above = waiting.pop()
        if id(value) in above:
            return f"{path} contains itself, which JSON cannot express. Return a copy without the circle."
        if len(above) > 500:
            return f"{path[:200]}… is nested too deeply for JSON. Return it flatter."
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, (str, int, float, bool, type(None))):
                    return f"{path} has a key of type {_type(key)}, and JSON has only text as keys. Make it a str."
            inner = [(path + _member(key), value[key]) for key in value]
        elif isinstance(value, (list, tuple)):
            inner = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        else:
            problem = _problem(value)
            if problem:
                return f"{path} {problem}"
            continue
        waiting.extend((place, item, (*above, id(value))) for place, item in reversed(inner))
    return ""


def _problem(value: Any) -> str:
    if isinstance(value, float):
        if value != value:
            return "is NaN, a number that JSON does not have. Return None or a text in its place."
        if value in (float("inf"), float("-inf")):
            return "is infinite, a number that JSON does not have. Return None or a text in its place."
        return ""
    if value is None or isinstance(value, str):
        return ""
    if isinstance(value, int):
        try:
            int.__repr__(value)
        except ValueError:
            return "is an integer of too many digits. Return it as a text."
        return ""
    name = type(value).__name__
    hint = HINTS.get(name)
    if hint is None:
        hint = "call .item()" if hasattr(value, "item") else "return dict, list, str, int, float, bool or None"
    return f"is of type {_type(value)}, which JSON cannot hold: {hint}."


def _member(key: Any) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r:.80}]"


def _type(value: Any) -> str:
    kind = type(value)
    return str(kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}")
