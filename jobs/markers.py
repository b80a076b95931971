"""What the code says on its standard output beside its log: its result, interim results, an error, its progress.

A scanner over bytes that come in pieces. It is pure, remembers no more than one block, and costs a search for two words
where there is none. What it finds does not depend on where the pieces were cut; docs/provider.md has the shapes.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

RESULT_MAX_BYTES = 16 * 1024 * 1024
INTERIM_MAX_BYTES = 64 * 1024
PROGRESS_LINE_MAX_BYTES = 4096
MESSAGE_MAX_CHARACTERS = 200
PARSES_MAX = 50  # of a block whose end nothing but its JSON tells
CODE_MAX_CHARACTERS = 200
DETAIL_MAX_CHARACTERS = 8000

RESULT = b"PlanQK:Job:Result:"
INTERIM = b"PlanQK:Job:InterimResult:"
BLOCK = b"PlanQK:Job:MultilineResult"
# The template of 2022, whose first spelling is the one that it printed.
OLD_RESULTS = (b"Job:ResulsResponse:", b"Job:ResultsResponse:", b"Job:ResultResponse:")
OLD_ERROR = b"Job:ErrorResponse:"
MARKERS = (RESULT, INTERIM, BLOCK, *OLD_RESULTS, OLD_ERROR)

WORD, KEY = b"Job:", b'"progress"'  # one of them is in every line that says something
BLANK = b" \t\r\v\f"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")
INDENT_MAX_BYTES = 64
HEAD_BYTES = 256  # of a line that is too long: enough to know its marker


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the code is, 0 to 1."""

    fraction: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Interim:
    """A result before the end: a JSON text."""

    content: str


@dataclass(frozen=True, slots=True)
class Result:
    """The result: a JSON object."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that the code answers with."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that was marked, and is not what the marker says. ``problem`` is a sentence."""

    problem: str
    is_result: bool  # it was the first result block, so that there is no other


Said = Progress | Interim | Result | Failure | Unreadable


@dataclass(slots=True)
class _Open:
    """A block of several lines whose end has not come yet."""

    marker: bytes
    text: bytearray
    is_too_long: bool = False
    parses: int = 0
    begins: bytes = b""  # with the first line that is not blank

    def add(self, line: bytes) -> None:
        self.begins = self.begins or line.strip(BLANK)[:1]
        if len(self.text) + len(line) > RESULT_MAX_BYTES:
            self.is_too_long = True
        if not self.is_too_long:
            self.text += line + b"\n"

    def is_complete(self, text: bytes) -> bool:
        """Whether its last line, ``text``, ends it: a block of 2022 has no marker behind it, but JSON within."""
        if self.marker == BLOCK or self.is_too_long:
            return False
        if self.begins != b"{":
            return bool(text)  # a sentence
        if not text.endswith(b"}") or self.parses >= PARSES_MAX:
            return False
        self.parses += 1
        return _value(bytes(self.text)) is not None


class Scanner:
    """Finds what the bytes of one standard output say. Feed it all of them, in order; `close` it behind the last."""

    def __init__(self) -> None:
        self._line = bytearray()  # the beginning of a line whose end has not come yet
        self._is_skipping = False  # the rest of a line that says nothing
        self._is_too_long = False  # the line that goes on is marked, and only its beginning is kept
        self._open: _Open | None = None
        self._is_answered = False  # the first result counts, and it was there

    def feed(self, data: bytes) -> Iterator[Said]:
        """What ``data`` completes. To be read to its end before the next call."""
        begin = 0
        if self._line or self._is_skipping:
            begin = data.find(b"\n") + 1
            self._hold(data[: begin - 1] if begin else data)
            if not begin:
                return
            yield from self._end_of_line()
        last = data.rfind(b"\n") + 1
        if last > begin:
            yield from self._lines(data, begin, last)
            begin = last
        if begin < len(data):
            self._hold(data[begin:])

    def close(self) -> Iterator[Said]:
        """What the end of the output completes: a line without a newline, a block without its end."""
        if self._line or self._is_skipping:
            yield from self._end_of_line()
        if self._open is not None:
            yield from self._end_of_block(self._open)

    def _hold(self, piece: bytes) -> None:
        """Keep the beginning of a line, as far as it can matter."""
        if self._is_skipping or self._is_too_long:
            return
        self._line += piece
        if self._open is None and not _may_matter(self._line):
            self._is_skipping = True
            self._line.clear()
        elif len(self._line) > RESULT_MAX_BYTES:
            self._is_too_long = True
            del self._line[HEAD_BYTES:]

    def _end_of_line(self) -> Iterator[Said]:
        line, is_too_long, is_skipped = bytes(self._line), self._is_too_long, self._is_skipping
        self._line.clear()
        self._is_skipping = self._is_too_long = False
        if not is_skipped:
            yield from self._read(line, is_too_long=is_too_long)

    def _lines(self, data: bytes, begin: int, end: int) -> Iterator[Said]:
        """Whole lines: those that hold neither word are never looked at."""
        word, key = data.find(WORD, begin, end), data.find(KEY, begin, end)
        while begin < end:
            if self._open is None:
                if 0 <= word < begin:
                    word = data.find(WORD, begin, end)
                if 0 <= key < begin:
                    key = data.find(KEY, begin, end)
                if word < 0 and key < 0:
                    return
                nearest = word if key < 0 or 0 <= word < key else key
                begin = max(begin, data.rfind(b"\n", begin, nearest) + 1)
            stop = data.index(b"\n", begin, end)
            if stop - begin > RESULT_MAX_BYTES:
                yield from self._read(data[begin : begin + HEAD_BYTES], is_too_long=True)
            else:
                yield from self._read(data[begin:stop])
            begin = stop + 1

    def _read(self, line: bytes, *, is_too_long: bool = False) -> Iterator[Said]:
        """One whole line, without its newline."""
        text = _stripped(line)
        if (block := self._open) is not None:
            if not _ends(block, text):
                block.is_too_long |= is_too_long
                block.add(line)
                if block.is_complete(text):
                    yield from self._end_of_block(block)
                return
            yield from self._end_of_block(block)
            if block.marker == BLOCK:
                return
        if text.startswith(b"{"):
            if len(line) <= PROGRESS_LINE_MAX_BYTES and KEY in text and (progress := _progress(text)):
                yield progress
        elif text.startswith(INTERIM):
            yield _interim(text.removeprefix(INTERIM).strip(BLANK), is_too_long=is_too_long)
        elif not self._is_answered:
            yield from self._answer(text, is_too_long=is_too_long)

    def _answer(self, text: bytes, *, is_too_long: bool) -> Iterator[Said]:
        """The first result, or where it begins."""
        marker = next((marker for marker in MARKERS if text.startswith(marker)), None)
        if marker is None:
            return
        rest = text.removeprefix(marker).strip(BLANK)
        if marker == BLOCK:
            if not rest.strip(b":"):
                self._open = _Open(marker, bytearray())
            return
        block = _Open(marker, bytearray(), is_too_long=is_too_long)
        if marker == RESULT or is_too_long:
            block.add(rest)
            yield from self._end_of_block(block)
            return
        self._open = block
        if rest:
            block.add(rest)
            if block.is_complete(rest):
                yield from self._end_of_block(block)

    def _end_of_block(self, block: _Open) -> Iterator[Said]:
        self._open = None
        self._is_answered = True
        text = bytes(block.text).strip(BLANK + b"\n")
        if block.is_too_long:
            yield _too_long(RESULT_MAX_BYTES, "result", is_result=True)
        elif block.marker == OLD_ERROR:
            yield _failure(text)
        else:
            yield _result(text, is_old=block.marker in OLD_RESULTS)


def _ends(block: _Open, text: bytes) -> bool:
    """Whether the line ``text`` comes behind ``block``."""
    if block.marker == BLOCK:
        return text.startswith(BLOCK) and not text.removeprefix(BLOCK).strip(BLANK + b":")
    return text.startswith(MARKERS)


def _may_matter(line: bytearray) -> bool:
    """Whether a line that begins so can say something."""
    head = _stripped(line[:HEAD_BYTES])
    if not head:
        return len(line) <= INDENT_MAX_BYTES
    if head.startswith(b"{"):
        return len(line) <= PROGRESS_LINE_MAX_BYTES
    return head.startswith(MARKERS) or any(marker.startswith(head) for marker in MARKERS)


def _stripped(line: bytes | bytearray) -> bytes:
    """``line`` without blanks around it. One that begins with very many says nothing."""
    if not line[: INDENT_MAX_BYTES + 1].strip(BLANK):
        return b""
    return bytes(line).strip(BLANK)


def _progress(text: bytes) -> Progress | None:
    """None for a line that is something else: it stays a line of the log, and is no error."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    fraction, message = said.get("progress"), said.get("message", "")
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
        return None
    return Progress(float(fraction), _one_line(message)[:MESSAGE_MAX_CHARACTERS] if isinstance(message, str) else "")


def _interim(text: bytes, *, is_too_long: bool) -> Interim | Unreadable:
    if is_too_long or len(text) > INTERIM_MAX_BYTES:
        return _too_long(INTERIM_MAX_BYTES, "interim result", is_result=False)
    if _value(text) is None:
        return Unreadable(f"An interim result was left out: it is no JSON{_why(text)}.", is_result=False)
    return Interim(text.decode())


def _result(text: bytes, *, is_old: bool = False) -> Result | Unreadable:
    found = _value(text)
    if found is None:
        return Unreadable(f"The result block on standard output is no JSON{_why(text)}.", is_result=True)
    value = found[0]
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}.get(type(value), "a number")
        return Unreadable(
            f"The result block on standard output is {kind}, and has to be a JSON object. "
            f'Print {{"result": …}} instead.',
            is_result=True,
        )
    if is_old and isinstance(value.get("result"), dict) and value.keys() <= {"result", "metadata"}:
        inner = json.loads(text)["result"]  # what ResultResponse wraps; orjson would make floats of large integers
        return Result(json.dumps(inner, ensure_ascii=False).encode(errors="backslashreplace"))
    return Result(text)


def _failure(text: bytes) -> Failure:
    value = _value(text)
    said = value[0] if value else None
    if not isinstance(said, dict):
        return Failure("error", _printable(text.decode(errors="replace"))[:DETAIL_MAX_CHARACTERS])
    code, detail = said.get("code"), said.get("detail", said.get("message"))
    code = code if isinstance(code, str | int) and not isinstance(code, bool) else "error"
    detail = detail if isinstance(detail, str) else json.dumps(said if detail is None else detail)
    return Failure(_one_line(str(code))[:CODE_MAX_CHARACTERS] or "error", _printable(detail)[:DETAIL_MAX_CHARACTERS])


def _value(text: bytes) -> tuple[Any] | None:
    """The value of a JSON text; None for what is none."""
    try:
        return (orjson.loads(text),)
    except orjson.JSONDecodeError:
        try:  # Python's own reader takes half surrogate pairs, large numbers and deeper nesting, as other readers do
            return (json.loads(text.decode(), parse_constant=_refuse),)
        except (ValueError, RecursionError):
            return None


def _why(text: bytes) -> str:
    """What is wrong with ``text``, which is no JSON."""
    if not text.strip():
        return ", it is empty"
    try:
        json.loads(text.decode(), parse_constant=_refuse)
    except UnicodeDecodeError:
        return ", because it is not UTF-8"
    except RecursionError:
        return ", because it is nested too deeply"
    except ValueError as error:
        return f": {error}"
    return ""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is a number that JSON does not have")


def _too_long(maximum: int, what: str, *, is_result: bool) -> Unreadable:
    article = "The" if is_result else "An"
    return Unreadable(
        f"{article} {what} on standard output was left out: it has more than {maximum:,} bytes. "
        "Write it to a file in the output folder.",
        is_result=is_result,
    )


def _one_line(text: str) -> str:
    return " ".join(_printable(text).split())


def _printable(text: str) -> str:
    """A text that every database and page can take."""
    return CONTROL.sub(" ", text).encode(errors="replace").decode().strip()
