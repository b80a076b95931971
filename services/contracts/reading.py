"""From text to a contract and back. YAML is read as version 1.2 means it: no dates, no `yes`, no aliases, no tags."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import unquote

import yaml
from django.conf import settings
from django.core.exceptions import ValidationError

from portal.lib.sizes import limit_in_words

DEPTH_MAX = 60
NODES_MAX = 100_000
PROBLEMS_SHOWN = 10
HOPS_MAX = 20
MISSING: Final = object()
NULL = re.compile(r"~|null|Null|NULL|")
BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
INTEGER = re.compile(r"[-+]?[0-9]+")
INDEX = re.compile(r"[0-9]{1,9}")
OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
JSON_TOKEN = re.compile(r'[ \t\r\n]+|[{}\[\],:]|"(?:[^"\\]|\\.)*"|[^ \t\r\n{}\[\],:"]+')
TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
CONTAINER_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
TOO_DEEP = f"it is nested deeper than {DEPTH_MAX} levels. Give inner schemas names below components.schemas."
TOO_MANY = f"it has more than {NODES_MAX:,} values. Leave out large examples."

NO_START = (
    "The API description does not describe POST /, by which callers start an execution, so a new job begins without "
    "an example. The description in the template shows how."
)
HEALTH = (
    "The API description says that GET / tells whether the service is up, as in 2022. It lists executions now, unless "
    "the version speaks the dialect of 2022. Remove GET / from the description, and the right one is filled in."
)
NO_INTERIM_RESULTS = (
    "The API description had GET /{id}/interim-results, which does not exist any more. It was left out: the log and "
    "the status tell callers how far an execution is."
)
WARNINGS = (NO_START, HEALTH, NO_INTERIM_RESULTS)

Place = tuple[str | int, ...]  # the keys and indexes that lead to a value


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What keeps a text from being taken, and where. As a text: `openapi.yml, line 12, info.version: …`."""

    words: str
    name: str
    line: int | None = None
    column: int | None = None
    place: Place = ()

    def __str__(self) -> str:
        parts = [self.name]
        parts += [f"line {self.line}"] if self.line else []
        parts += [f"column {self.column}"] if self.column else []
        parts += [".".join(map(str, self.place))] if self.place else []
        return f"{', '.join(parts)}: {self.words}"


class ContractRejected(ValidationError):
    """The text is not an OpenAPI description that we take. ``messages``: each with its place, and what to do.

    ``problems`` are the same, all of them, in parts: for an editor that marks the lines.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        shown = [str(problem) for problem in problems[:PROBLEMS_SHOWN]]
        if len(problems) > PROBLEMS_SHOWN:
            shown.append(f"And {len(problems) - PROBLEMS_SHOWN} more.")
        super().__init__(shown)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """A valid description. Every ``$ref`` in it is local and resolves."""

    document: dict[str, Any]
    filled: tuple[str, ...] = field(default=(), compare=False)  # operations that its author left to us
    notes: tuple[str, ...] = field(default=(), compare=False)  # what was noticed while it was taken: some of WARNINGS

    @property
    def version(self) -> str:
        """`3.0.3`, `3.1.0`, …"""
        return str(self.document["openapi"])

    @property
    def title(self) -> str:
        return str(self.document["info"]["title"])

    @property
    def description(self) -> str:
        """Markdown, foreign: sanitise what you render."""
        return str(self.document["info"].get("description", ""))

    @property
    def warnings(self) -> list[str]:
        """What its provider should know: some of WARNINGS."""
        root = resolve(self.document, (self.document.get("paths") or {}).get("/"))
        if not isinstance(root, dict) or "post" not in root:
            return [NO_START, *self.notes]
        return [HEALTH, *self.notes] if _is_health(self.document, root) else [*self.notes]


@dataclass(kw_only=True)
class Reading:
    """A text as data. ``lines`` has the line of each value; for JSON they are looked for when the first is needed."""

    value: Any
    name: str
    lines: dict[Place, int] = field(default_factory=dict)
    json_text: str = ""

    def problem(self, place: Place, words: str) -> Problem:
        """``words`` with the line of ``place``, or of the nearest thing around it."""
        if self.json_text and not self.lines:
            self.lines = lines_of_json(self.json_text)
        known = next((self.lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self.lines), None)
        return Problem(words=words, name=self.name, line=known, place=place)


def read(text: str | bytes, *, name: str) -> Reading:
    """``text`` as plain data: objects, lists, texts, numbers, booleans, null. Raises ContractRejected."""
    if len(text) > settings.OPENAPI_MAX_BYTES:
        limit = limit_in_words(settings.OPENAPI_MAX_BYTES)
        raise _refusal(name, f"it is larger than {limit}. Leave out large examples.")
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text.encode().decode()
    except UnicodeError as error:
        raise _refusal(name, f"it is not UTF-8 text ({error}). Save it as UTF-8.") from error
    reading = _read_json(text, name) if text.lstrip().startswith("{") else _read_yaml(text, name)
    _check_shape(reading)
    return reading


def load(text: str) -> Contract:
    """The contract that ``ServiceVersion.openapi`` holds: JSON that `parse` has already seen. Checks nothing."""
    return Contract(document=json.loads(text))


def dump(contract: Contract, kind: Literal["yaml", "json"]) -> str:
    """The text of a description, for a download."""
    if kind == "json":
        return json.dumps(contract.document, indent=2, ensure_ascii=False) + "\n"
    return str(yaml.dump(contract.document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120))


def resolve(document: dict[str, Any], value: Any) -> Any:
    """``value``, or what it refers to. None where the reference leads nowhere or in a circle."""
    for _ in range(HOPS_MAX):
        if not isinstance(value, dict) or not isinstance(reference := value.get("$ref"), str):
            return value
        value = _look_up(document, reference)
        if value is MISSING:
            return None
    return None


def _look_up(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            return MISSING
    return found


def _is_health(document: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether `GET /` is described as in 2022, when it told that the service is up."""
    found: Any = root
    for key in ("get", "responses", "200", "content"):
        found = resolve(document, found.get(key)) if isinstance(found, dict) else None
    bodies = found.values() if isinstance(found, dict) else ()
    schemas = [resolve(document, body.get("schema")) for body in bodies if isinstance(body, dict)]
    return any(isinstance(schema, dict) and "status" in (schema.get("properties") or ()) for schema in schemas)


def _read_json(text: str, name: str) -> Reading:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise ValueError(f"the key {twice!r} is there twice in one object")
        return found

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} does not exist in JSON")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        words = f"it begins like JSON, but {error.msg}. Mend it there."
        raise _refusal(name, words, line=error.lineno, column=error.colno) from error
    except ValueError as error:
        raise _refusal(name, f"{error}. Keep one of them.") from error
    except RecursionError as error:
        raise _refusal(name, TOO_DEEP) from error
    return Reading(value=value, name=name, json_text=text)


def _read_yaml(text: str, name: str) -> Reading:
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        words = f"it is not YAML: {' '.join(filter(None, (error.context, error.problem)))}. Mend it there."
        place = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        raise _refusal(name, words, **place) from error
    except yaml.YAMLError as error:
        raise _refusal(name, f"it is not YAML: {error}. Save it as plain UTF-8 text.") from error
    return Reading(value=builder.value, name=name, lines=builder.lines)


class _Builder:
    """Builds data from the events of one YAML document, without recursion."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Any = None
        self.lines: dict[Place, int] = {}
        self.documents = 0
        self.stack: list[tuple[Any, Place]] = []  # open containers and their places
        self.keys: list[str | None] = []  # the key that waits for its value, one an open container
        self.key_line = 1

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.AliasEvent():
                raise self.refusal(
                    event,
                    f"`*{event.anchor}` repeats another part, which a small text can use to become "
                    "huge. Write the part out, or use $ref",
                )
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise self.refusal(event, "a second document begins here. Leave one")
            case yaml.ScalarEvent():
                self.scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self.open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self.stack.pop()
                self.keys.pop()

    def scalar(self, event: yaml.ScalarEvent) -> None:
        container = self.stack[-1][0] if self.stack else None
        if isinstance(container, dict) and self.keys[-1] is None:
            if event.value in container:
                raise self.refusal(event, f"the key {event.value!r} is there twice. Keep one of them")
            self.key_line = _line(event)
            self.keys[-1] = event.value  # 200 and true are texts where they are keys, as in JSON
            return
        self.put(event, self.scalar_value(event))

    def open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if event.tag not in CONTAINER_TAGS:
            raise self.refusal(event, f"the tag {event.tag} has no meaning in OpenAPI. Remove it")
        if self.stack and isinstance(self.stack[-1][0], dict) and self.keys[-1] is None:
            raise self.refusal(event, "a key must be a text. Put the braces or brackets behind a key")
        if len(self.stack) >= DEPTH_MAX:
            raise _refusal(self.name, TOO_DEEP, line=_line(event))
        container: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        place = self.put(event, container)
        self.stack.append((container, place))
        self.keys.append(None)

    def put(self, event: yaml.Event, value: Any) -> Place:
        place: Place = ()
        line = _line(event)
        if not self.stack:
            self.value = value
        else:
            container, parent = self.stack[-1]
            key = self.keys[-1]
            if isinstance(container, dict) and key is not None:
                place = (*parent, key)
                container[key] = value
                self.keys[-1] = None
                line = self.key_line  # where people look: a block begins below its key
            else:
                place = (*parent, len(container))
                container.append(value)
        self.lines[place] = line
        if len(self.lines) > NODES_MAX:
            raise _refusal(self.name, TOO_MANY)
        return place

    def scalar_value(self, event: yaml.ScalarEvent) -> Any:
        if event.tag not in TEXT_TAGS:
            raise self.refusal(event, f"the tag {event.tag} has no meaning in OpenAPI. Remove it")
        text = event.value
        if event.tag or not event.implicit[0]:  # quoted, a block, or said to be a text
            return text
        if NULL.fullmatch(text):
            return None
        if BOOLEAN.fullmatch(text):
            return text.lower() == "true"
        if NOT_A_NUMBER.fullmatch(text):
            raise self.refusal(event, f"{text} does not exist in JSON. Leave it out")
        try:
            if INTEGER.fullmatch(text):
                return int(text)
            if OTHER_BASE.fullmatch(text):
                return int(text, 0)
        except ValueError as error:
            raise self.refusal(event, "the number has too many digits. Write it in quotes") from error
        if FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
        return text

    def refusal(self, event: yaml.Event, what: str) -> ContractRejected:
        return _refusal(self.name, f"{what}.", line=_line(event))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _check_shape(reading: Reading) -> None:
    """Refuse what is too deep or too large to be walked, and what is no Unicode."""
    if not isinstance(reading.value, dict):
        raise _refusal(reading.name, "it is not an OpenAPI description, which is an object with the key openapi.")
    for place, _ in walk(reading.value, name=reading.name):
        if len(place) > DEPTH_MAX:
            raise _refusal(reading.name, TOO_DEEP)
    try:
        json.dumps(reading.value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise _refusal(reading.name, "it has half a character (a lone surrogate). Remove it.") from error
    except ValueError as error:
        raise _refusal(reading.name, "it has a number that is too large for JSON. Write it in quotes.") from error


def walk(value: Any, *, name: str) -> Iterator[tuple[Place, Any]]:
    """Every value in ``value`` with its place, without recursion."""
    waiting: list[tuple[Place, Any]] = [((), value)]
    seen = 0
    while waiting:
        place, current = waiting.pop()
        seen += 1
        if seen > NODES_MAX:
            raise _refusal(name, TOO_MANY)
        yield place, current
        if len(place) > DEPTH_MAX:
            continue
        if isinstance(current, dict):
            waiting += [((*place, key), child) for key, child in reversed(current.items())]
        elif isinstance(current, list):
            waiting += [((*place, index), current[index]) for index in reversed(range(len(current)))]


def lines_of_json(text: str) -> dict[Place, int]:
    """The line of each value of a JSON text that is known to be valid."""
    lines: dict[Place, int] = {}
    open_places: list[list[Any]] = []  # of each open container: the place, and the key or index that comes next
    line, key_waits = 1, False
    for token in JSON_TOKEN.finditer(text):
        what = token[0]
        if what[0] in " \t\r\n":
            line += what.count("\n")
        elif what in "}]":
            open_places.pop()
        elif what == ",":
            parent, last = open_places[-1]
            key_waits = isinstance(last, str)
            open_places[-1] = [parent, last if key_waits else last + 1]
        elif key_waits:
            open_places[-1][1] = json.loads(what)
            key_waits = False
        elif what != ":":
            place = (*open_places[-1][0], open_places[-1][1]) if open_places else ()
            lines[place] = line
            if what in "{[":
                key_waits = what == "{"
                open_places.append([place, "" if key_waits else 0])
    return lines


def _refusal(name: str, words: str, *, line: int | None = None, column: int | None = None) -> ContractRejected:
    return ContractRejected([Problem(words=words, name=name, line=line, column=column)])
