"""JSON texts of others, read as RFC 8259 and RFC 7493 mean them: what is refused is refused with line and column.

Python's own reader lets pass what no other program reads alike: NaN, a key twice in one object, half a surrogate pair,
a number beyond every float, nesting without end.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]  # the C half of json
from typing import Any, NoReturn

DEPTH_MAX = 200
BLANK = re.compile(r"[ \t\n\r]*")
TOKEN = re.compile(r'"(?:[^"\\]+|\\.)*+"(?=(\s*+:)?)|-?[0-9][0-9.eE+-]*+|[\[\]{}]')
HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
LARGE_NUMBER = re.compile(r"[eE]\+?[0-9]{3}")
DIGITS_MAX = 308  # of a whole number: more than that is beyond every float
LONG_NUMBER = re.compile(rf"[0-9]{{{DIGITS_MAX + 1}}}")


# Python's own words are cut short where they stand before a position.
WORDS = {
    "Invalid control character at": "a line break or another control character within a text; write it as \\n or \\u…",
    "Unterminated string starting at": "a text begins here and has no closing quote",
}


class JsonRefused(ValueError):
    """A text that is not taken. ``problem`` begins small and has no full stop; line and column count from 1."""

    def __init__(self, problem: str, text: str, at: int) -> None:
        self.problem = problem
        self.line = text.count("\n", 0, at) + 1
        self.column = at - text.rfind("\n", 0, at)
        super().__init__(f"{problem}, at line {self.line}, column {self.column}")


class NotAnObject(Exception):
    """The text is JSON, but no object."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A value of an object, and its text as it came."""

    value: Any
    text: str


class _Suspicious(ValueError):
    """Something that only a slow look finds the place of."""


def decode(content: bytes) -> str:
    """``content`` as text; a byte order mark is left out."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        raise JsonRefused("the text is not UTF-8; write it in this encoding", before, len(before)) from None


def load(text: str) -> Any:
    """The value of ``text``. Raises JsonRefused."""
    value, end = _value(text, _skip(text, 0))
    if (end := _skip(text, end)) != len(text):
        raise JsonRefused("something follows after the end", text, end)
    _check(value, text)
    return value


def members(text: str) -> dict[str, Member]:
    """The object in ``text``, each value beside its own text. Raises JsonRefused or NotAnObject."""
    found: dict[str, Member] = {}
    at = _skip(text, 0)
    if not text.startswith("{", at):
        load(text)
        raise NotAnObject
    at = _skip(text, at + 1)
    while not text.startswith("}", at):
        if found:
            at = _skip(text, _expect(",", text, at))
        key_at = at
        key, at = _key(text, at)
        if key in found:
            raise JsonRefused(f"the key {_cut(key)} is there twice", text, key_at)
        begin = _skip(text, _expect(":", text, _skip(text, at)))
        value, end = _value(text, begin)
        found[key] = Member(value=value, text=text[begin:end])
        at = _skip(text, end)
    if (end := _skip(text, at + 1)) != len(text):
        raise JsonRefused("something follows after the end", text, end)
    _check({key: member.value for key, member in found.items()}, text)
    return found


def _skip(text: str, at: int) -> int:
    match = BLANK.match(text, at)
    return match.end() if match else at


def _expect(mark: str, text: str, at: int) -> int:
    if not text.startswith(mark, at):
        raise JsonRefused(f"expected {mark!r}" + (" or '}'" if mark == "," else ""), text, at)
    return at + 1


def _key(text: str, at: int) -> tuple[str, int]:
    if not text.startswith('"', at):
        raise JsonRefused("expected a key in double quotes", text, at)
    try:
        key, end = scanstring(text, at + 1, True)
    except json.JSONDecodeError as error:
        raise JsonRefused(_words(error), text, error.pos) from None
    return str(key), end


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise JsonRefused(_words(error), text, error.pos) from None
    except (ValueError, RecursionError):
        raise _located(text) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Suspicious
    return found


def _refuse_constant(constant: str) -> NoReturn:
    raise _Suspicious


def _short_int(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS_MAX:
        raise _Suspicious
    return int(text)


def _finite(text: str) -> float:
    if (number := float(text)) in (float("inf"), float("-inf")):
        raise _Suspicious
    return number


_counting_decoder = json.JSONDecoder(parse_int=_short_int, parse_float=_finite)
_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _check(value: Any, text: str) -> None:
    """What the reader lets pass although the text is none that everybody reads alike."""
    if text.count("[") + text.count("{") > DEPTH_MAX and _is_too_deep(value):
        raise _located(text)
    if LONG_NUMBER.search(text):  # also where it is within a text, and then the slow look would find nothing
        try:
            _counting_decoder.decode(text)
        except _Suspicious:
            raise _located(text) from None
    if HALF_CHARACTER.search(text) or LARGE_NUMBER.search(text):
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            raise _located(text) from None


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        level = [
            child
            for holder in level
            if isinstance(holder, dict | list)
            for child in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _located(text: str) -> JsonRefused:
    """The first place in ``text`` that is not taken."""
    at, problem = next(_problems(text), (0, "the text is not JSON"))
    return JsonRefused(problem, text, at)


def _problems(text: str) -> Iterator[tuple[int, str]]:
    keys: list[set[str]] = []  # of each open object or list
    end = 0
    for token in TOKEN.finditer(text):
        if constant := re.search(r"-?Infinity|NaN", text[end : token.start()]):
            yield end + constant.start(), f"{constant[0]} is not part of JSON; use null or a text instead"
        end = token.end()
        word = token[0]
        if word in "[{":
            keys.append(set())
            if len(keys) > DEPTH_MAX:
                yield token.start(), f"it is nested too deeply: {DEPTH_MAX} levels are read; flatten it"
        elif word in "]}":
            if keys:
                keys.pop()
        elif word[0] == '"':
            yield from _problems_of_string(token, keys)
        else:
            yield from _problems_of_number(token)
    if constant := re.search(r"-?Infinity|NaN", text[end:]):
        yield end + constant.start(), f"{constant[0]} is not part of JSON; use null or a text instead"


def _problems_of_string(token: re.Match[str], keys: list[set[str]]) -> Iterator[tuple[int, str]]:
    if not token[1] and "\\" not in token[0]:
        return
    try:
        content = json.loads(token[0], strict=False)
        content.encode()
    except UnicodeEncodeError:
        yield token.start(), "half of a character (a lone surrogate) has no meaning; send whole characters"
    except ValueError:
        return
    else:
        if token[1] and keys:
            if content in keys[-1]:
                yield token.start(), f"the key {_cut(content)} is there twice in one object; keep one of them"
            keys[-1].add(content)


def _problems_of_number(token: re.Match[str]) -> Iterator[tuple[int, str]]:
    digits = token[0].lstrip("-")
    if digits.isdecimal():
        if len(digits) > DIGITS_MAX:
            yield token.start(), "a number has too many digits; send it as a text"
    elif digits.replace(".", "").replace("e", "").replace("E", "").replace("+", "").replace("-", "").isdecimal():
        try:
            is_infinite = float(token[0]) in (float("inf"), float("-inf"))
        except ValueError:
            return
        if is_infinite:
            yield token.start(), "a number is too large for every program; send it as a text"


def _words(error: json.JSONDecodeError) -> str:
    return WORDS.get(error.msg, error.msg[:1].lower() + error.msg[1:])


def _cut(key: str) -> str:
    return repr(key if len(key) <= 60 else f"{key[:59]}…")
