"""What run() returned made into what JSON has, place by place, or the place that JSON cannot hold.

It imports none of the packages whose objects it knows: they are recognised by what they can do.
"""

from __future__ import annotations

import _collections_abc
import sys

from . import jsons
from .results import InvalidResult

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any

DEPTH_MAX = 500
HINTS = {
    "DataFrame": "call .to_dict(orient='records')",
    "bytes": "decode it, or write it to a file in the output folder",
    "bytearray": "decode it, or write it to a file in the output folder",
    "memoryview": "decode it, or write it to a file in the output folder",
    "coroutine": "await it before you return it",
    "generator": "make it a list",
    "async_generator": "collect it in a list",
}
MISSING = {"NaTType": "NaT", "NAType": "NA"}  # of pandas
IN_WORDS = ("decimal.Decimal", "uuid.UUID", "pathlib.PurePath", "ipaddress._IPAddressBase", "fractions.Fraction")


def plain(value: Any, path: str = "result", above: tuple[int, ...] = ()) -> Any:
    """``value`` as dict, list, str, int, float, bool and None only. Raises InvalidResult."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if isinstance(value, (int, float)) and not hasattr(value, "_value_"):
        return _number(value, path)
    if id(value) in above:
        raise InvalidResult(f"{path} contains itself, which JSON cannot express. Return a copy without the circle.")
    if len(above) > DEPTH_MAX:
        raise InvalidResult(f"{path[:200]}… is nested too deeply for JSON. Return it flatter.")
    inside = (*above, id(value))
    if isinstance(value, dict):
        return {_key(key, path): plain(item, path + _member(key), inside) for key, item in value.items()}
    if kind is list or kind is tuple:
        return _items(value, path, inside)
    return _object(value, path, inside)


def _object(value: Any, path: str, above: tuple[int, ...]) -> Any:
    if isinstance(value, type) or type(value).__name__ in HINTS:
        raise _refusal(value, path)
    if _is_a(value, "enum.Enum"):
        return plain(value.value, path, above)
    if type(value).__name__ in MISSING:
        raise _missing(MISSING[type(value).__name__], path)
    if hasattr(value, "total_seconds"):  # a timedelta, and what pandas has of it
        return plain(value.total_seconds(), path, above)
    text = _text(value)
    if text is not None:
        return text
    if hasattr(value, "tolist"):
        return _array(value, path, above)
    return _structure(value, path, above)


def _structure(value: Any, path: str, above: tuple[int, ...]) -> Any:
    kind = type(value)
    if hasattr(kind, "model_dump") or (hasattr(kind, "__fields__") and hasattr(kind, "parse_obj")):
        return plain(_dumped(value, path), path, above)
    fields = _fields(value)
    if fields is not None:
        return {str(key): plain(item, path + _member(key), above) for key, item in fields.items()}
    if isinstance(value, (set, frozenset)):
        return _items(_in_order(value), path, above)
    if isinstance(value, _collections_abc.Mapping):
        return plain(dict(value), path, above)
    if isinstance(value, (_collections_abc.Sequence, _collections_abc.Set, _collections_abc.ValuesView)):
        return _items(list(value), path, above)
    raise _refusal(value, path)


def _text(value: Any) -> str | None:
    """What is one text in JSON; None for what is none."""
    kind = type(value)
    if kind.__name__ == "SecretValue" and kind.__module__.startswith(("planqk.commons", "qhub.commons")):
        return "[redacted]"
    if hasattr(value, "isoformat"):  # date, time, datetime, and what pandas has of them
        return str(value.isoformat())
    if isinstance(value, (str, complex)) or any(_is_a(value, words) for words in IN_WORDS):
        return str(value)
    return None


def _items(values: Any, path: str, above: tuple[int, ...]) -> list[Any]:
    return [plain(item, f"{path}[{index}]", above) for index, item in enumerate(values)]


def _array(value: Any, path: str, above: tuple[int, ...]) -> Any:
    """Arrays and scalars of numpy, and whatever else has `tolist`."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind == "m":  # tolist() makes times of some, and of others numbers without their unit
        try:
            return plain((value / value.dtype.type(1, "s")).tolist(), path, above)
        except TypeError:  # months and years have no length in seconds
            return plain(value.astype(str).tolist(), path, above)
    if kind == "M":
        made = value.astype(str).tolist()
        _refuse_missing_times(made, path)
        return made
    made = value.tolist()
    if type(made) is type(value):  # longer than the floats of Python
        made = complex(made) if kind == "c" else float(made)
    return plain(made, path, above)


def _refuse_missing_times(made: Any, path: str) -> None:
    if made == "NaT" or made != made:
        raise _missing("NaT", path)
    for index, item in enumerate(made if isinstance(made, list) else ()):
        _refuse_missing_times(item, f"{path}[{index}]")


def _missing(name: str, path: str) -> InvalidResult:
    return InvalidResult(f"{path} is {name}, which JSON does not have. Return None or a text in its place.")


def _dumped(value: Any, path: str) -> Any:
    """What a model of pydantic, of either version, says it is."""
    try:
        made = value.model_dump(mode="json") if hasattr(value, "model_dump") else jsons.loads(value.json())
    except Exception:  # it holds what pydantic has no JSON for, and perhaps this module does
        return value.model_dump() if hasattr(value, "model_dump") else value.dict()
    if hasattr(value, "model_dump") and "ser_json_inf_nan" not in type(value).model_config:
        _refuse_nulls(made, value.model_dump(), path)
    return made


def _refuse_nulls(made: Any, meant: Any, path: str) -> None:
    """In a field that may be anything pydantic makes null of NaN, unless it is told what to make of it."""
    if made is None and isinstance(meant, float):
        _number(meant, path)
    elif isinstance(made, dict) and isinstance(meant, dict) and len(made) == len(meant):
        for (key, inner), other in zip(made.items(), meant.values()):  # noqa: B905 (Python 3.8 knows no strict)
            _refuse_nulls(inner, other, path + _member(key))
    elif isinstance(made, list) and isinstance(meant, (list, tuple)):
        for index, (inner, other) in enumerate(zip(made, meant)):  # noqa: B905 (likewise)
            _refuse_nulls(inner, other, f"{path}[{index}]")


def _fields(value: Any) -> dict[str, Any] | None:
    """Names and values of a dataclass, or of any object with attributes; None for what has none."""
    kind = type(value)
    if hasattr(kind, "__dataclass_fields__"):
        names = [name for name, field in kind.__dataclass_fields__.items() if field._field_type.name == "_FIELD"]
        return {name: getattr(value, name) for name in names}
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    if callable(value) or isinstance(value, (BaseException, _collections_abc.Iterable)):
        return None
    found = getattr(value, "__dict__", None)
    if not found:
        return None
    return {name: item for name, item in found.items() if not name.startswith("_")}


def _in_order(values: Any) -> list[Any]:
    """A set in an order that is the same each time, where its members have one."""
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _number(value: Any, path: str) -> Any:
    if isinstance(value, float):
        if value != value:
            raise InvalidResult(f"{path} is NaN, a number that JSON does not have. Return None or a text in its place.")
        if value in (float("inf"), float("-inf")):
            raise InvalidResult(
                f"{path} is infinite, a number that JSON does not have. Return None or a text in its place."
            )
        return float(value)
    try:
        int.__repr__(value)
    except ValueError:
        raise InvalidResult(f"{path} is an integer of too many digits. Return it as a text.") from None
    return int(value)


def _key(key: Any, path: str) -> Any:
    if _is_a(key, "enum.Enum"):
        key = key.value
    if key is None or isinstance(key, (str, bool)):
        return key
    if isinstance(key, (int, float)):
        return _number(key, f"a key of {path}")
    if hasattr(key, "tolist") and not hasattr(key, "__len__"):  # a number of numpy
        return _key(key.tolist(), path)
    if hasattr(key, "isoformat"):
        return key.isoformat()
    if any(_is_a(key, words) for words in IN_WORDS):
        return str(key)
    raise InvalidResult(f"{path} has a key of type {_type(key)}, and JSON has only text as keys. Make it a str.")


def _refusal(value: Any, path: str) -> InvalidResult:
    hint = HINTS.get(type(value).__name__, "return dict, list, str, int, float, bool or None")
    return InvalidResult(f"{path} is of type {_type(value)}, which JSON cannot hold: {hint}.")


def _is_a(value: Any, words: str) -> bool:
    """Whether ``value`` is of that class; nobody has an object of a module that was never imported."""
    module, _, name = words.partition(".")
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def _member(key: Any) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r:.80}]"


def _type(value: Any) -> str:
    kind = type(value)
    return str(kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}")
