"""JSON without `import json`: that pulls in `re` and `enum`, 5 ms that each job would pay and most never need.

The C half of the json module does the work in the usual case. Where it fails, or is not what it was, json itself
decides, so values and messages are always its own.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any, NoReturn


def loads(text: str) -> Any:
    """What json.loads makes of ``text``."""
    try:
        return _scan(text)
    except Exception:
        import json  # noqa: PLC0415 (see above)

        return json.loads(text)


def dumps(value: Any, *, ascii_only: bool = False) -> str:
    """What json.dumps makes of ``value``, without NaN and infinity."""
    try:
        return _encode(value, ascii_only)
    except Exception:
        import json  # noqa: PLC0415 (see above)

        return json.dumps(value, allow_nan=False, ensure_ascii=ascii_only)


class _Scanner:
    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


def _scan(text: str) -> Any:
    from _json import make_scanner  # noqa: PLC0415 (may be missing: then json decides)

    text = text.strip(" \t\n\r")
    value, end = make_scanner(_Scanner)(text, 0)  # type: ignore[arg-type]  # all it asks for is there
    if end != len(text):
        raise ValueError(text[end:])
    return value


def _encode(value: Any, ascii_only: bool) -> str:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder  # noqa: PLC0415 (likewise)

    text = encode_basestring_ascii if ascii_only else encode_basestring
    encoder = make_encoder({}, _refuse, text, None, ": ", ", ", False, False, False)
    return "".join(encoder(value, 0))


def _refuse(value: object) -> NoReturn:
    raise TypeError(value)
