"""The controls of a form for a schema. All that is to decide is decided here; static/js/schema_form.js draws.

The dialects end here (`nullable`, `exclusiveMinimum: true`, lists of types), and references are followed. What refers
to itself, is too much, or has no control of its own becomes `json`: a small editor at that place.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from services.contracts.inputs import example_input, input_schemas
from services.contracts.reading import Contract
from services.contracts.schemas import SchemaReader, indented, is_null, is_number, mapping, name_of, names_in, sequence

FURTHER = re.compile(r"(?!dataRef$|paramsRef$)[A-Za-z_][A-Za-z0-9_-]{0,63}")
INPUTS_MAX = 20
CONTROLS_MAX = 300  # a schema
OPTIONS_MAX = 200  # an enum
OPTIONS_IN_ALL_MAX = 2_000
VARIANTS_MAX = 20
DEPTH_MAX = 8
HELP_MAX_CHARACTERS = 600
VALUE_MAX_CHARACTERS = 2_000
LONG_TEXT_CHARACTERS = 120
LONG_FORMATS = ("textarea", "markdown", "html", "byte", "binary")
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
HINTS_OF_TYPE = (
    ("object", ("properties", "additionalProperties", "required")),
    ("array", ("items", "prefixItems", "minItems", "maxItems")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    ("string", ("minLength", "maxLength", "pattern", "format")),
)
TOO_MUCH: Final = {"kind": "json", "note": "Too much for a form"}

Control = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class InputForm:
    """One argument of `run()` as a person gives it."""

    name: str  # data, params, or a further key of the body
    control: Control | None = None  # what static/js/schema_form.js draws; None: there is too little to draw a form from
    help: str = ""  # the description, foreign
    example: str = ""  # JSON to begin with, indented


def inputs_of(contract: Contract) -> list[InputForm]:
    """What `POST /` takes: `data`, `params`, and the further inputs. Secrets, tags and references are none."""
    reader = SchemaReader(contract.document)
    schemas = dict(zip(("data", "params"), input_schemas(contract), strict=True))
    examples = dict(zip(("data", "params"), example_input(contract), strict=True))
    body = reader.start_body()
    whole = reader.body_example(body)
    for name, raw in mapping(reader.merged(body.get("schema")), "properties").items():
        if name not in schemas and FURTHER.fullmatch(name) and len(schemas) < INPUTS_MAX:
            schemas[name] = raw if isinstance(raw, dict) else {}
            example = whole[name] if isinstance(whole, dict) and name in whole else reader.example_of(raw)
            examples[name] = "" if example is None else indented(example)
    return [
        InputForm(
            name=name,
            control=control_of(contract, schema),
            help=_words(schema, reader.merged(schema)).get("help", ""),
            example=examples[name],
        )
        for name, schema in schemas.items()
    ]


def secret_names(contract: Contract) -> list[str]:
    """The secrets that the description names."""
    reader = SchemaReader(contract.document)
    body = mapping(reader.merged(reader.start_body().get("schema")), "properties")
    return list(mapping(reader.merged(body.get("$secrets")), "properties"))[:INPUTS_MAX]


def control_of(contract: Contract, schema: dict[str, Any]) -> Control | None:
    """The control of one schema of ``contract``; None where only JSON would be left of it."""
    control = _Designer(contract.document).control(schema)
    return None if control["kind"] == "json" else control


class _Designer:
    """Designs the form of one schema, within its budget."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.reader = SchemaReader(document)
        self.controls_left = CONTROLS_MAX
        self.options_left = OPTIONS_IN_ALL_MAX
        self.kept: list[Any] = []  # schemas made here: the reader knows them by id()

    def control(self, raw: Any, *, open_names: tuple[str, ...] = (), depth: int = 0) -> Control:
        """What stands for a schema: its `kind`, its words, its bounds, and the controls inside."""
        self.controls_left -= 1
        own_name = name_of(raw)
        if self.controls_left < 0 or depth > DEPTH_MAX:
            return dict(TOO_MUCH)
        schema = self.reader.merged(raw)
        words = _words(raw, schema)
        if own_name in open_names:
            return {"kind": "json", "note": f"Another {own_name}, as JSON", **words}
        inner = (*open_names, own_name) if own_name else open_names
        schema, nullable = self.without_null(schema)
        return {
            **self.of_kind(schema, inner, depth),
            **words,
            **_values(schema),
            **({"nullable": True} if nullable else {}),
        }

    def without_null(self, schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """The schema of what is not null, and whether null is fine too."""
        rest = dict(schema)
        nullable = schema.get("nullable") is True
        if "null" in (kinds := sequence(schema, "type")) and len(kinds) > 1:
            rest["type"] = [kind for kind in kinds if kind != "null"]
            nullable = True
        for word in ("oneOf", "anyOf"):
            choices = sequence(schema, word)
            others = [choice for choice in choices if not is_null(choice)]
            if len(others) < len(choices):
                rest[word] = others
                nullable = True
            if len(others) == 1:  # nothing is left to choose
                del rest[word]
                rest = self.both(rest, others[0])
        if None in (options := sequence(schema, "enum")) and len(options) > 1:
            rest["enum"] = [option for option in options if option is not None]
            nullable = True
        return rest, nullable

    def both(self, schema: dict[str, Any], more: Any) -> dict[str, Any]:
        """What fits two schemas at once."""
        joined = {"allOf": [schema, more]}
        self.kept.append(joined)
        return self.reader.merged(joined)

    def of_kind(self, schema: dict[str, Any], open_names: tuple[str, ...], depth: int) -> Control:
        if "const" in schema or len(sequence(schema, "enum")) == 1:
            value = schema["const"] if "const" in schema else schema["enum"][0]
            return {"kind": "const", "value": _json(value)} if _is_short(value) else dict(TOO_MUCH)
        if options := self.options(schema):
            return {"kind": "choice", "options": options}
        choices = [word for word in ("oneOf", "anyOf") if sequence(schema, word)]
        if choices:
            return self.variants(schema, choices, open_names, depth)
        match _types(schema):
            case [kind]:
                return self.of_type(kind, schema, open_names, depth)
            case []:
                return {"kind": "json", "note": "Any JSON"}
            case kinds:
                pieces = [schema | {"type": kind} for kind in kinds]
                return self.variant_controls(pieces, kinds, open_names, depth)

    def options(self, schema: dict[str, Any]) -> list[Control]:
        """The choices of an enum, or of alternatives that are one value each."""
        options = [{"value": value} for value in sequence(schema, "enum")]
        for word in ("oneOf", "anyOf"):
            choices = [self.reader.merged(choice) for choice in sequence(schema, word)]
            if choices and not options and all("const" in choice for choice in choices):
                options = [{"value": choice["const"], "label": choice.get("title")} for choice in choices]
        if len(options) > min(OPTIONS_MAX, self.options_left) or not all(_is_short(each["value"]) for each in options):
            return []
        self.options_left -= len(options)
        return [
            {"value": _json(each["value"]), "label": str(each.get("label") or _plain(each["value"]))[:100]}
            for each in options
        ]

    def variants(self, schema: dict[str, Any], words: list[str], open_names: tuple[str, ...], depth: int) -> Control:
        choices = sequence(schema, words[0])
        if len(words) > 1 or len(choices) > VARIANTS_MAX:
            return {"kind": "json", "note": "One of many forms, as JSON"}
        base = {key: value for key, value in schema.items() if key not in (*words, "title", "description", "default")}
        # A choice that is open already stays a reference, so that it is found to refer to itself.
        pieces = [
            self.both(base, choice) if base and name_of(choice) not in open_names else choice for choice in choices
        ]
        names = [str(self.reader.merged(choice).get("title") or name_of(choice)) for choice in choices]
        inner = [(*open_names, name) if (name := name_of(choice)) and base else open_names for choice in choices]
        return self.variant_controls(pieces, names, open_names, depth, inner)

    def variant_controls(
        self,
        pieces: list[Any],
        names: list[str],
        open_names: tuple[str, ...],
        depth: int,
        inner: list[tuple[str, ...]] | None = None,
    ) -> Control:
        found = []
        for number, (piece, name) in enumerate(zip(pieces, names, strict=True)):
            control = self.control(piece, open_names=inner[number] if inner else open_names, depth=depth + 1)
            kind = self.reader.type_of(self.reader.merged(piece))
            found.append(control | {"name": (name or kind)[:60]})
        taken = [each["name"] for each in found]
        for number, each in enumerate(found, start=1):
            if taken.count(each["name"]) > 1:
                each["name"] = f"{each['name']} ({number})"
        return {"kind": "variants", "variants": found}

    def of_type(self, kind: str, schema: dict[str, Any], open_names: tuple[str, ...], depth: int) -> Control:
        match kind:
            case "object":
                return self.of_object(schema, open_names, depth)
            case "array":
                return self.of_array(schema, open_names, depth)
            case "string":
                return _of_text(schema)
            case "number" | "integer":
                return {"kind": kind, **_bounds(schema)}
            case "null":
                return {"kind": "const", "value": "null"}
        return {"kind": "boolean"}

    def of_object(self, schema: dict[str, Any], open_names: tuple[str, ...], depth: int) -> Control:
        needed = names_in(schema, "required")
        properties = [
            self.control(child, open_names=open_names, depth=depth + 1) | {"key": key, "required": key in needed}
            for key, child in mapping(schema, "properties").items()
            if self.controls_left > 0
        ]
        more = schema.get("additionalProperties")
        found: Control = {"kind": "object", "properties": properties}
        if isinstance(more, dict) and more:
            found["extra"] = self.control(more, open_names=open_names, depth=depth + 1)
        elif more is False:
            found["closed"] = True
        elif not properties:
            return {"kind": "json", "note": "Any object, as JSON"}
        return found | _counts(schema, "minProperties", "maxProperties")

    def of_array(self, schema: dict[str, Any], open_names: tuple[str, ...], depth: int) -> Control:
        items = schema.get("items")
        if not isinstance(items, dict) or not items or "prefixItems" in schema:
            return {"kind": "json", "note": "Any list, as JSON"}
        item = self.control(items, open_names=open_names, depth=depth + 1)
        counts = _counts(schema, "minItems", "maxItems")
        unique = {"unique": True} if schema.get("uniqueItems") is True else {}
        if item["kind"] == "choice" and unique and "nullable" not in item:
            return {"kind": "choices", "options": item["options"], **counts}
        compact = {"compact": True} if item["kind"] in ("number", "integer") and "nullable" not in item else {}
        return {"kind": "array", "item": item, **compact, **unique, **counts}


def _types(schema: dict[str, Any]) -> list[str]:
    """The types that the schema names, else the one that its words are about."""
    kinds = schema.get("type")
    named = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind in TYPES]
    if "number" in named and "integer" in named:
        named.remove("integer")
    return named or [kind for kind, words in HINTS_OF_TYPE if any(word in schema for word in words)][:1]


def _of_text(schema: dict[str, Any]) -> Control:
    found: Control = {"kind": "text", **_counts(schema, "minLength", "maxLength")}
    kind = schema.get("format")
    if isinstance(kind, str):
        found["format"] = kind[:40]
    samples = [schema.get(word) for word in ("default", "example")]
    longest = max((len(sample) for sample in samples if isinstance(sample, str)), default=0)
    has_lines = any("\n" in sample for sample in samples if isinstance(sample, str))
    may_be_long = found.get("maxLength", 0) > LONG_TEXT_CHARACTERS and "pattern" not in schema and kind is None
    is_long = max(longest, found.get("minLength", 0)) > LONG_TEXT_CHARACTERS
    if kind in LONG_FORMATS or has_lines or is_long or may_be_long:
        found["long"] = True
    return found


def _bounds(schema: dict[str, Any]) -> Control:
    """`min`, `max`, `above`, `below` and `step` of a number. In 3.0 an exclusive bound is a boolean."""
    found: Control = {}
    for bound, exclusive, inside, outside in (
        ("minimum", "exclusiveMinimum", "min", "above"),
        ("maximum", "exclusiveMaximum", "max", "below"),
    ):
        if is_number(limit := schema.get(bound)):
            found[outside if schema.get(exclusive) is True else inside] = limit
        if is_number(limit := schema.get(exclusive)):
            found[outside] = limit
    if is_number(step := schema.get("multipleOf")) and step > 0:
        found["step"] = step
    return found


def _counts(schema: dict[str, Any], *names: str) -> Control:
    return {name: int(value) for name in names if is_number(value := schema.get(name)) and 0 <= value < 2**31}


def _words(raw: Any, schema: dict[str, Any]) -> Control:
    """What a person reads: title, help, and what the code expects, in short."""
    beside = raw if isinstance(raw, dict) else {}
    found: Control = {}
    if title := beside.get("title") or schema.get("title"):
        found["title"] = str(title)[:100]
    if text := beside.get("description") or schema.get("description"):
        found["help"] = _cut(str(text), HELP_MAX_CHARACTERS)
    notes = []
    if isinstance(pattern := schema.get("pattern"), str):
        notes.append(f"matches {_cut(pattern, 80)}")
    if schema.get("deprecated") is True:
        notes.append("deprecated")
    return found | ({"notes": notes} if notes else {})


def _values(schema: dict[str, Any]) -> Control:
    """Default and example, as JSON texts: script must not touch their digits."""
    found = {}
    if "default" in schema and _is_short(schema["default"]):
        found["default"] = _json(schema["default"])
    examples = [schema["example"]] if "example" in schema else sequence(schema, "examples")[:1]
    if examples and _is_short(examples[0]):
        found["example"] = _json(examples[0])
    return found


def _is_short(value: Any) -> bool:
    return len(_json(value)) <= VALUE_MAX_CHARACTERS


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value else _json(value)


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
