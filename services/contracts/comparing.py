"""What a caller meets when a service goes from one description to another, in words: for whoever decides on an upgrade.

The operations are the platform's and answer alike whatever a description says of them. What a provider can change is
what `POST /` takes and what `GET /{id}/result` gives: only these are compared field by field.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.contracts.reading import Contract
from services.contracts.schemas import METHODS, SchemaReader, is_null, is_number, mapping, names_in, sequence, short

DIFFERENCES_MAX = 200
DEPTH_MAX = 40
PAIRS_MAX = 20_000  # of schemas: descriptions that lead in circles have as many as both together, multiplied
OURS = ("_links", "_embedded")  # of a result: the gateway writes them
LOWER = {"minimum": "least", "exclusiveMinimum": "least", "minLength": "least length", "minItems": "least number"}
UPPER = {"maximum": "most", "exclusiveMaximum": "most", "maxLength": "most length", "maxItems": "most number"}

Direction = Literal["input", "output"]
Kind = Literal["added", "removed", "changed"]
INPUT: Final = "input"
OUTPUT: Final = "output"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One difference. ``place`` and ``words`` make a sentence: `data.values` `must be sent now.`"""

    kind: Kind
    operation: str  # `POST /`; empty for what belongs to none
    place: str  # `data.values[].weight`, `result.sum`; empty for the operation itself
    words: str
    breaking: bool  # who wrote for the old version may have to change something


def differences(old: Contract, new: Contract) -> list[Difference]:
    """What changed from ``old`` to ``new``: breaking things first, then in reading order. At most DIFFERENCES_MAX."""
    found: list[Difference] = []
    for difference in _Comparison(SchemaReader(old.document), SchemaReader(new.document)).all():
        found.append(difference)
        if len(found) >= DIFFERENCES_MAX:
            break
    return sorted(dict.fromkeys(found), key=lambda difference: not difference.breaking)


class _Comparison:
    """Two documents side by side."""

    def __init__(self, old: SchemaReader, new: SchemaReader) -> None:
        self.old, self.new = old, new
        self.operation = ""
        self.seen: set[tuple[int, int, str]] = set()

    def all(self) -> Iterator[Difference]:
        before, after = _operations(self.old), _operations(self.new)
        for name in before.keys() - after.keys():
            yield Difference(
                kind="removed", operation=name, place="", words="is not described any more.", breaking=True
            )
        for name in after:
            self.operation = name
            if name not in before:
                yield self.found("added", "", "is described now.")
            elif _words(before[name]) != _words(after[name]):
                yield self.found("changed", "", "reads differently: its title or description changed.")
        if "POST /" in before and "POST /" in after:
            self.operation = "POST /"
            yield from self.compare(self.old.start_body().get("schema"), self.new.start_body().get("schema"), "", INPUT)
        if "GET /{id}/result" in before and "GET /{id}/result" in after:
            self.operation = "GET /{id}/result"
            yield from self.compare(
                _result_schema(self.old, before[self.operation]),
                _result_schema(self.new, after[self.operation]),
                "",
                OUTPUT,
            )

    def found(self, kind: Kind, place: str, words: str, *, breaking: bool = False) -> Difference:
        return Difference(kind=kind, operation=self.operation, place=place, words=words, breaking=breaking)

    def compare(self, raw_old: Any, raw_new: Any, place: str, way: Direction, depth: int = 0) -> Iterator[Difference]:
        """Two schemas of the same place. One that is open already, or too deep, is not opened again."""
        old, new = self.old.merged(raw_old), self.new.merged(raw_new)
        pair = (id(old), id(new), way)
        if pair in self.seen or depth > DEPTH_MAX or len(self.seen) > PAIRS_MAX or old == new == {}:
            return
        if old and new:  # an empty one may be made for the occasion, and its id() used again
            self.seen.add(pair)
        types_changed = list(self.types(old, new, place, way))
        yield from types_changed
        if types_changed:
            return  # what is inside belongs to another kind of thing now
        yield from self.values(old, new, place, way)
        if str(raw_old and _text(raw_old, old)) != str(raw_new and _text(raw_new, new)):
            yield self.found("changed", place, "reads differently: its description changed.")
        yield from self.properties(old, new, place, way, depth)
        if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
            yield from self.compare(old["items"], new["items"], f"{place}[]", way, depth + 1)

    def types(self, old: dict[str, Any], new: dict[str, Any], place: str, way: Direction) -> Iterator[Difference]:
        before, after = self.kinds(self.old, old), self.kinds(self.new, new)
        if before == after:
            return
        fits = _covers(after, before) if way == INPUT else _covers(before, after)
        words = f"was {self.old.type_of(old)} and is {self.new.type_of(new)} now."
        if self.old.type_of(old) == self.new.type_of(new):
            words = "is made of other choices now."
        yield self.found("changed", place, words, breaking=not fits)

    def kinds(self, reader: SchemaReader, schema: dict[str, Any]) -> frozenset[str]:
        """The types that a value may have; empty where it may have any."""
        kinds = schema.get("type")
        names = {str(kind) for kind in kinds} if isinstance(kinds, list) else {str(kinds)} if kinds else set()
        if not names and schema.get("properties"):
            names = {"object"}
        if not names:
            choices = [reader.merged(choice) for choice in [*sequence(schema, "oneOf"), *sequence(schema, "anyOf")]]
            for choice in {id(choice): choice for choice in choices}.values():  # many may refer to one large schema
                names.add("null" if is_null(choice) else json.dumps(choice, sort_keys=True, default=str))
        return frozenset(names | ({"null"} if schema.get("nullable") is True and names else set()))

    def values(self, old: dict[str, Any], new: dict[str, Any], place: str, way: Direction) -> Iterator[Difference]:
        """Choices, bounds, patterns and defaults."""
        before, after = ([json.dumps(value) for value in sequence(schema, "enum")] for schema in (old, new))
        old_values, new_values = set(before), set(after)
        if gone := [value for value in before if value not in new_values]:
            words = "takes any value of its type now." if not after else f"can not be {', '.join(gone)} any more."
            yield self.found("removed", place, words, breaking=bool(after) == (way == INPUT))
        if fresh := [value for value in after if value not in old_values]:
            words = f"can be {', '.join(fresh)} now." if before else f"must be one of {', '.join(fresh)} now."
            yield self.found("added", place, words, breaking=(way == INPUT) == (not before))
        for names, tighter in ((LOWER, 1), (UPPER, -1)):
            for name, title in names.items():
                yield from self.bound(old.get(name), new.get(name), place, way, title, tighter)
        for name, title in (("pattern", "pattern"), ("format", "format"), ("const", "only value")):
            if old.get(name) != new.get(name):
                words = f"has another {title}: {_shown(old.get(name))} before, {_shown(new.get(name))} now."
                yield self.found("changed", place, words, breaking=(new if way == INPUT else old).get(name) is not None)
        if way == INPUT and old.get("default") != new.get("default"):
            words = f"has another default: {_shown(old.get('default'))} before, {_shown(new.get('default'))} now."
            yield self.found("changed", place, words)

    def bound(self, old: Any, new: Any, place: str, way: Direction, title: str, tighter: int) -> Iterator[Difference]:
        if old == new:
            return
        are_numbers = is_number(old) and is_number(new)
        is_tighter = (new - old) * tighter > 0 if are_numbers else new is not None
        words = f"has another {title}: {_shown(old)} before, {_shown(new)} now."
        yield self.found("changed", place, words, breaking=is_tighter == (way == INPUT))

    def properties(
        self, old: dict[str, Any], new: dict[str, Any], place: str, way: Direction, depth: int
    ) -> Iterator[Difference]:
        before, after = mapping(old, "properties"), mapping(new, "properties")
        needed_before, needed_after = names_in(old, "required"), names_in(new, "required")
        left_out = OURS if way == OUTPUT and not place else ()
        for key in [*before, *(key for key in after if key not in before)]:
            where = f"{place}.{key}" if place else key
            if key in left_out:
                continue
            if key not in after:
                words = "is gone: what is sent there is ignored or refused." if way == INPUT else "is gone."
                yield self.found("removed", where, words, breaking=True)
            elif key not in before:
                must = way == INPUT and key in needed_after
                words = "is new, and must be sent." if must else "is new; it may be left out."
                words = words if way == INPUT else "is new."
                yield self.found("added", where, words, breaking=must)
            else:
                yield from self.presence(where, way, was=key in needed_before, now=key in needed_after)
                yield from self.compare(before[key], after[key], where, way, depth + 1)
        yield from self.others(old, new, place, way, depth)

    def presence(self, where: str, way: Direction, *, was: bool, now: bool) -> Iterator[Difference]:
        if was == now:
            return
        if way == INPUT:
            words = "must be sent now." if now else "may be left out now."
        else:
            words = "is always there now." if now else "may be missing now."
        yield self.found("changed", where, words, breaking=now == (way == INPUT))

    def others(
        self, old: dict[str, Any], new: dict[str, Any], place: str, way: Direction, depth: int
    ) -> Iterator[Difference]:
        """What may stand beside the named properties."""
        before, after = old.get("additionalProperties"), new.get("additionalProperties")
        if way == INPUT and (before is False) != (after is False):
            words = "takes no other names now." if after is False else "takes other names too now."
            yield self.found("changed", place, words, breaking=after is False)
        elif isinstance(before, dict) and isinstance(after, dict):
            yield from self.compare(before, after, f"{place}.*" if place else "*", way, depth + 1)


def _operations(reader: SchemaReader) -> dict[str, dict[str, Any]]:
    found = {}
    for path, raw in mapping(reader.document, "paths").items():
        item = reader.resolved(raw)
        for method in METHODS:
            if isinstance(item.get(method), dict):
                found[f"{method.upper()} {path}"] = item[method]
    return found


def _words(operation: dict[str, Any]) -> tuple[str, str]:
    return str(operation.get("summary") or ""), str(operation.get("description") or "")


def _text(raw: Any, schema: dict[str, Any]) -> str:
    own = raw.get("description") if isinstance(raw, dict) else None
    return " ".join(str(own or schema.get("description") or "").split())


def _result_schema(reader: SchemaReader, operation: dict[str, Any]) -> Any:
    answer = reader.resolved(mapping(operation, "responses").get("200"))
    for kind, body in mapping(answer, "content").items():
        if "json" in kind:
            return reader.resolved(body).get("schema")
    return None


def _covers(wide: frozenset[str], narrow: frozenset[str]) -> bool:
    """Whether whatever has a type of ``narrow`` has one of ``wide``. No type at all means any."""
    if not wide:
        return True
    return bool(narrow) and all(kind in wide or (kind == "integer" and "number" in wide) for kind in narrow)


def _shown(value: Any) -> str:
    return "none" if value is None else short(value)
