"""What kinds of values and annotations there are: how they are told apart, and what they are called in words.

Values that are a single one in JSON, a text or a number, are made here too.
"""

from __future__ import annotations

import sys

from . import jsons

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any, Callable

REFUSED: Any = object()  # what does not fit; the problem is noted
ANY: Any = object()  # whatever was sent
VALUE_SHOWN = 40
CHOICES_SHOWN = 20
COMMONS = ("planqk.commons", "qhub.commons")
STRIPPED = ("Final", "ClassVar", "Required", "NotRequired", "ReadOnly")
LISTS = ("list", "Sequence", "MutableSequence", "Iterable", "Collection", "Reversible", "Container", "Iterator")
DICTS = ("dict", "Mapping", "MutableMapping")
WORDS = {
    int: "an integer",
    float: "a number",
    complex: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    tuple: "a list",
    set: "a list",
    frozenset: "a list",
    dict: "an object",
    type(None): "null",
}


def special_of(kind: Any) -> str | None:
    """`SecretValue` or `DataPool` if ``kind`` is one of either package, whichever copy of it."""
    for base in getattr(kind, "__mro__", ()):
        if base.__name__ in ("SecretValue", "DataPool") and ".".join(base.__module__.split(".")[:2]) in COMMONS:
            return str(base.__name__)
    return None


def missing_special(special: str, name: str) -> str:
    if special == "SecretValue":
        return f'is a secret, and it is missing. Send it as `$secrets`: {{"{name}": "…"}}, not as an input of its own'
    return (
        "is a data pool, and none is mounted under that name. Data pools come later: until then the service runs only "
        f"if its code does without, as with `{name}: DataPool | None = None`"
    )


def members_of(kind: Any) -> list[Any]:
    """The members of a union; of anything else itself."""
    origin = getattr(kind, "__origin__", None)
    if name_of(origin) == "Union" or type(kind).__name__ in ("UnionType", "Union"):
        return list(kind.__args__)
    return [kind]


def has_none(members: list[Any]) -> bool:
    return type(None) in members


def says_not_required(hint: Any) -> bool:
    if isinstance(hint, str):
        return hint.rpartition(".")[2].startswith("NotRequired[") or hint.startswith("NotRequired[")
    text = getattr(hint, "__forward_arg__", None)
    if text is not None:
        return says_not_required(text)
    return name_of(getattr(hint, "__origin__", None)) == "NotRequired"


def name_of(thing: Any) -> str:
    """The name of a class or of a special form of typing, in every version of Python."""
    if thing is None:
        return ""
    return getattr(thing, "_name", None) or getattr(thing, "__name__", None) or ""


def is_a(kind: Any, module: str, name: str) -> bool:
    """Whether ``kind`` is that class; nobody has one of a module that was never imported."""
    base = getattr(sys.modules.get(module), name, None)
    return base is not None and isinstance(kind, type) and issubclass(kind, base)


def is_pydantic(kind: Any) -> bool:
    if hasattr(kind, "__pydantic_validator__") or hasattr(kind, "__pydantic_model__"):
        return True
    return hasattr(kind, "parse_obj") and hasattr(kind, "__fields__")


def has_schema(kind: Any) -> bool:
    return hasattr(kind, "__get_pydantic_core_schema__") or hasattr(kind, "__get_validators__")


def json_of(value: Any) -> str | None:
    try:
        return jsons.dumps(value, ascii_only=True)
    except (ValueError, RecursionError):  # NaN, or a number of too many digits: let the model see it as it is
        return None


# Words


def words_of(kind: Any) -> str:
    if kind is ANY:
        return "anything"
    if isinstance(kind, type) and kind in WORDS:
        return WORDS[kind]
    origin = getattr(kind, "__origin__", None)
    if isinstance(origin, type) and name_of(origin) not in ("Literal", "Union"):
        return words_of(origin)
    for module, name, words, _make in TEXTS:
        if is_a(kind, module, name):
            return words
    if isinstance(kind, type):
        if kind.__module__ == "collections.abc" and kind.__name__ in DICTS:
            return "an object"
        if kind.__module__ == "collections.abc" and kind.__name__ in (*LISTS, "Set", "MutableSet"):
            return "a list"
        return kind.__name__
    return str(kind).replace("typing.", "")


def but(value: Any) -> str:
    return f"and is {shown(value)}"


def shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (int, float)):
        try:
            return f"{value!r:.{VALUE_SHOWN}}"
        except ValueError:
            return "an integer of too many digits"
    text = str(value)
    return f'the text "{text}"' if len(text) <= VALUE_SHOWN else f'the text "{text[:VALUE_SHOWN]}…"'


def either(words: list[str]) -> str:
    if len(words) > CHOICES_SHOWN:
        words = [*words[:CHOICES_SHOWN], f"one of {len(words) - CHOICES_SHOWN} more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


# Values that are one JSON value


def _integer(value: Any) -> Any:
    """An integer, or a number without a fraction: JSON makes no difference between 3 and 3.0."""
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    return REFUSED


def _number(value: Any) -> Any:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return REFUSED
    return REFUSED


def _complex(value: Any) -> Any:
    number = _number(value)
    return number if number is REFUSED else complex(number)


def _exactly(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if type(value) is kind else REFUSED


SIMPLE: dict[Any, Callable[[Any], Any]] = {
    int: _integer,
    float: _number,
    complex: _complex,
    str: _exactly(str),
    bool: _exactly(bool),
    type(None): _exactly(type(None)),
}


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(value)
    return value


def _datetime(kind: Any, value: Any) -> Any:
    text = _text(value)
    return kind.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)


def _date(kind: Any, value: Any) -> Any:
    text = _text(value)
    if len(text) != 10:  # newer Pythons also take 20240131 and 2024-W05-3, which nobody means
        raise ValueError(text)
    return kind.fromisoformat(text)


def _decimal(kind: Any, value: Any) -> Any:
    if type(value) not in (str, int, float):
        raise ValueError(value)
    return kind(repr(value) if type(value) is float else value)  # 0.1 is meant, not what its bits are


def _seconds(kind: Any, value: Any) -> Any:
    if type(value) not in (int, float):
        raise ValueError(value)
    return kind(seconds=value)


# Module, class, words, and how a value becomes one. A datetime is a date, so it comes first.
TEXTS: tuple[tuple[str, str, str, Callable[[Any, Any], Any]], ...] = (
    ("datetime", "datetime", "a date and time such as 2024-01-31T12:00:00Z", _datetime),
    ("datetime", "date", "a date such as 2024-01-31", _date),
    ("datetime", "time", "a time such as 12:30:00", lambda kind, value: kind.fromisoformat(_text(value))),
    ("datetime", "timedelta", "a number of seconds", _seconds),
    ("decimal", "Decimal", 'a number, or a text such as "0.10"', _decimal),
    ("fractions", "Fraction", 'a number, or a text such as "1/3"', _decimal),
    ("uuid", "UUID", "a UUID such as 0190d5b2-8c1e-7a3f-9d4b-2f6e8a1c5d70", lambda kind, value: kind(_text(value))),
    ("pathlib", "PurePath", "a text with a path", lambda kind, value: kind(_text(value))),
    ("ipaddress", "_IPAddressBase", "an IP address", lambda kind, value: kind(_text(value))),
)
