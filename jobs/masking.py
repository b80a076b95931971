"""Hiding the values of secrets in what a job prints: asterisks in their place, as many bytes as there were.

A byte is hidden if it lies in any occurrence of any value, so what comes out depends neither on how the output was cut
into pieces nor on where a successor goes on, and the offsets of the log stay those of the output.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

VALUE_MIN_CHARACTERS = 4  # shorter ones are in every second word
VALUE_MAX_BYTES = 64 * 1024  # of a longer one its lines are hidden
LINE_MIN_CHARACTERS = 8  # of a value of several lines, which may be printed one by one
LINES_MAX = 300  # of all values: each is looked for in each piece of the log
BASE64_MIN_BYTES = 6
TRIES_MAX = 500  # to find the beginning of a value at the end of a piece
STAR = b"*"
STARRED = bytes(byte if byte == ord("\n") else ord(STAR) for byte in range(256))
BLANKED = bytes(byte if byte in b"\r\n" else ord(STAR) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Masks:
    """What is to be hidden. False where that is nothing."""

    forms: tuple[bytes, ...] = ()
    is_everything: bool = False  # the values are not known any more

    @classmethod
    def of(cls, values: Iterable[str]) -> "Masks":
        """The masks of secret ``values``: as they are, and as JSON, base64 and the URL write them."""
        texts, lines = dict[str, None](), dict[str, None]()
        for value in values:
            texts |= dict.fromkeys((value, value.strip()))
            lines |= dict.fromkeys(_lines(value))
        forms = {form for text in (*texts, *list(lines)[:LINES_MAX]) for form in _forms(text)}
        return cls(tuple(sorted(forms, key=len, reverse=True)))

    def __bool__(self) -> bool:
        return self.is_everything or bool(self.forms)

    @property
    def reach(self) -> int:
        """How many bytes before a place decide what becomes of it."""
        return len(self.forms[0]) - 1 if self.forms else 0

    def hide(self, data: bytes, *, is_end: bool) -> bytes:
        """``data`` with asterisks, without what may be the beginning of a value that goes on behind it.

        At the end of the output nothing goes on.
        """
        if self.is_everything:
            return data.translate(BLANKED)
        kept = len(data) if is_end else len(data) - self._begun(data)
        hidden: bytearray | None = None
        for form in self.forms:
            for begin, end in _places(data, form):
                hidden = hidden or bytearray(data)
                hidden[begin:end] = data[begin:end].translate(STARRED)
        return bytes(hidden[:kept]) if hidden else data[:kept]

    def text(self, text: str) -> str:
        """A whole text with asterisks."""
        return self.hide(text.encode(errors="replace"), is_end=True).decode(errors="replace") if self else text

    def _begun(self, data: bytes) -> int:
        """The length of the longest end of ``data`` that some value begins with; or more, which only waits longer."""
        longest = 0
        for form in self.forms:
            at = data.find(form[:1], max(0, len(data) - len(form) + 1), len(data) - longest)
            tries = 0
            while at >= 0:
                tries += 1
                if tries > TRIES_MAX or form.startswith(data[at:]):
                    longest = len(data) - at
                    break
                at = data.find(form[:1], at + 1, len(data) - longest)
        return longest


EVERYTHING = Masks(is_everything=True)


def _places(data: bytes, form: bytes) -> Iterator[tuple[int, int]]:
    """Where ``form`` lies in ``data``. Those that overlap in equal steps, as of one letter, are found as one."""
    at = data.find(form)
    while at >= 0:
        behind = data.find(form, at + 1)
        end, step = at + len(form), behind - at
        if 0 < step < len(form):
            last = form[-step:]
            while data.startswith(last, end):
                end += step
            behind = data.find(form, end - len(form) + 1)
        yield at, end
        at = behind


def _forms(text: str) -> Iterator[bytes]:
    raw = text.encode(errors="surrogatepass")
    if len(text) < VALUE_MIN_CHARACTERS or len(raw) > VALUE_MAX_BYTES:
        return
    yield raw
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode(errors="surrogatepass")
    if len(raw) >= BASE64_MIN_BYTES:
        yield from _in_base64(raw)
        yield quote(raw, safe="").encode()
        yield quote(raw).encode()
        yield quote_plus(raw).encode()


def _lines(value: str) -> list[str]:
    lines = [line.strip() for line in value.splitlines()]
    return [line for line in lines if len(line) >= LINE_MIN_CHARACTERS] if len(lines) > 1 else []


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """What base64 makes of ``raw`` wherever it lies in a longer text: as in `Basic …` of a user and a password."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw)
        first, behind = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        inner = encoded[first:behind]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")
