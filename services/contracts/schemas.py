"""Schemas as they are meant: references followed, `allOf` put together, types in words, and values that fit.

Schemas may be recursive and may fan out without end, so every walk has a budget.
"""

import json
from dataclasses import dataclass
from typing import Any, TypeGuard

from services.contracts.reading import resolve

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
VALUES_MAX = 1_000  # a sample
VALUES_IN_ALL_MAX = 20_000
SAMPLE_DEPTH_MAX = 16
TYPE_DEPTH_MAX = 3
ALL_OF_DEPTH_MAX = 50  # schemas that include schemas that include schemas: Python's own stack ends some later
MERGED_PROPERTIES_MAX = 200_000  # a document: twice what it may have at all
CHOICES_MAX = 5
SHORT_CHARACTERS = 80
TEXT_EXAMPLES = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "email": "somebody@example.org",
    "uri": "https://example.org/",
}


@dataclass
class _Budget:
    """How many values a sample may still have: schemas that name one another fan out without end."""

    allowed: int
    spent: int = 0

    def spend(self) -> bool:
        self.spent += 1
        return self.spent <= self.allowed


class SchemaReader:
    """Reads the schemas of one document, once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.values_left = VALUES_IN_ALL_MAX
        self._merged: dict[int, dict[str, Any]] = {}  # by id(): the document lives as long as its reader
        self._merging = 0
        self._mergeable_left = MERGED_PROPERTIES_MAX

    def resolved(self, value: Any) -> dict[str, Any]:
        """``value`` or what it refers to; empty for anything but an object."""
        found = resolve(self.document, value)
        return found if isinstance(found, dict) else {}

    def merged(self, schema: Any) -> dict[str, Any]:
        """The schema with its references followed and what `allOf` adds put in."""
        found = self.resolved(schema)
        if not isinstance(found.get("allOf"), list):
            return found
        if id(found) not in self._merged:
            if self._merging >= ALL_OF_DEPTH_MAX or self._mergeable_left <= 0:
                return {}
            self._merged[id(found)] = {}  # what a schema that includes itself sees of itself
            self._merging += 1
            self._merged[id(found)] = self._with_all_of(found)
            self._merging -= 1
            self._mergeable_left -= len(mapping(self._merged[id(found)], "properties"))
        return self._merged[id(found)]

    def _with_all_of(self, schema: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        own = {key: value for key, value in schema.items() if key != "allOf"}
        for piece in [*map(self.merged, schema["allOf"]), own]:
            properties = mapping(result, "properties") | mapping(piece, "properties")
            required = [*sequence(result, "required"), *sequence(piece, "required")]
            result |= piece
            if properties:
                result |= {"properties": properties, "type": "object"}
            if required:
                result["required"] = _once(required)
        return result

    def start_body(self) -> dict[str, Any]:
        """The JSON body of the operation that starts an execution: POST /, else the first POST."""
        paths = mapping(self.document, "paths")
        items = [self.resolved(item) for item in [paths.get("/"), *paths.values()]]
        for post in (self.resolved(item.get("post")) for item in items):
            content = mapping(self.resolved(post.get("requestBody")), "content")
            for kind, body in content.items():
                if "json" in kind:
                    return self.resolved(body)
        return {}

    def body_example(self, holder: dict[str, Any]) -> Any:
        """The example written beside a schema; None where there is none."""
        if "example" in holder:
            return holder["example"]
        for example in mapping(holder, "examples").values():
            if "value" in (found := self.resolved(example)):
                return found["value"]
        return None

    def type_of(self, schema: dict[str, Any], depth: int = 0) -> str:
        """A type as people write it: `array of number`, `string (uuid) or null`."""
        kinds = schema.get("type")
        names = [str(kind) for kind in kinds] if isinstance(kinds, list) else [str(kinds)] if kinds else []
        if not names:
            names = ["object"] if schema.get("properties") else self.choice_types(schema, depth) or ["any"]
        if schema.get("format") and names[0] in ("string", "number", "integer"):
            names[0] = f"{names[0]} ({schema['format']})"
        if names[0] == "array" and depth < TYPE_DEPTH_MAX:
            names[0] = f"array of {self.type_of(self.merged(schema.get('items')), depth + 1)}"
        if schema.get("nullable") is True and "null" not in names:
            names.append("null")
        return " or ".join(dict.fromkeys(names))

    def choice_types(self, schema: dict[str, Any], depth: int) -> list[str]:
        choices = [*sequence(schema, "oneOf"), *sequence(schema, "anyOf")]
        if depth >= TYPE_DEPTH_MAX or len(choices) > CHOICES_MAX:
            return ["any"]
        return [name_of(choice) or self.type_of(self.merged(choice), depth + 1) for choice in choices]

    def example_of(self, schema: Any) -> Any:
        """A value that fits the schema, made anew."""
        budget = _Budget(min(VALUES_MAX, self.values_left))
        value = self.sample(schema, budget)
        self.values_left -= budget.spent
        return value

    def sample(self, raw: Any, budget: _Budget, open_names: tuple[str, ...] = (), depth: int = 0) -> Any:
        """A value that fits the schema: its example, else its default, else something of its type."""
        own_name = name_of(raw)
        if not budget.spend() or depth > SAMPLE_DEPTH_MAX or own_name in open_names:
            return None
        schema = self.merged(raw)
        inner = (*open_names, own_name) if own_name else open_names
        for word in ("example", "default", "const"):
            if word in schema:
                return schema[word]
        for word in ("examples", "enum"):
            if isinstance(schema.get(word), list) and schema[word]:
                return schema[word][0]
        for word in ("oneOf", "anyOf"):
            choices = [choice for choice in sequence(schema, word) if not is_null(choice)]
            if choices and not schema.get("properties"):
                return self.sample(choices[0], budget, inner, depth + 1)
        return self.sample_of_type(schema, budget, inner, depth)

    def sample_of_type(self, schema: dict[str, Any], budget: _Budget, open_names: tuple[str, ...], depth: int) -> Any:
        kinds = schema.get("type")
        kind = next((kind for kind in kinds if kind != "null"), "null") if isinstance(kinds, list) else kinds
        if kind == "object" or schema.get("properties"):
            return {
                key: value
                for key, child in mapping(schema, "properties").items()
                if (value := self.sample(child, budget, open_names, depth + 1)) is not None
            }
        if kind == "array":
            item = self.sample(schema.get("items"), budget, open_names, depth + 1)
            return [] if item is None else [item]
        if kind == "string":
            return TEXT_EXAMPLES.get(str(schema.get("format")), "")
        if kind in ("integer", "number"):
            lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
            return lowest if is_number(lowest) else 0
        return False if kind == "boolean" else None


# A reference may lead to any part of the document, so what is said to be a schema need not be one.


def mapping(holder: dict[str, Any], key: str) -> dict[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def sequence(holder: dict[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    return value if isinstance(value, list) else []


def names_in(holder: dict[str, Any], key: str) -> frozenset[str]:
    """The texts of a list, to look many names up in."""
    return frozenset(name for name in sequence(holder, key) if isinstance(name, str))


def _once(names: list[Any]) -> list[str]:
    # Schemas that include one another twice would double the list at each step.
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def name_of(schema: Any) -> str:
    """`InputData` for a reference to it; empty for a schema written in place."""
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    return reference.rpartition("/")[2] if isinstance(reference, str) else ""


def short(value: Any) -> str:
    """``value`` as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT_CHARACTERS else f"{text[: SHORT_CHARACTERS - 1]}…"


def indented(value: Any) -> str:
    """``value`` as JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)
