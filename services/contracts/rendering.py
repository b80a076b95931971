"""What a description offers, flat and ready for a template, and examples to begin with.

Schemas may be recursive and may fan out without end, so every walk has a budget.
"""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.text import slugify

from services.contracts.reading import Contract
from services.contracts.validation import resolve

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
OPERATIONS_MAX = 200
ROWS_MAX = 300  # a body
ROWS_IN_ALL_MAX = 5_000
VALUES_MAX = 1_000  # a sample
VALUES_IN_ALL_MAX = 20_000
DEPTH_MAX = 8
TYPE_DEPTH_MAX = 3
ALL_OF_DEPTH_MAX = 50  # schemas that include schemas that include schemas: Python's own stack ends some later
MERGED_PROPERTIES_MAX = 200_000  # a document: twice what it may have at all
CHOICES_MAX = 5
EXAMPLE_MAX_CHARACTERS = 20_000
EXAMPLE_IN_CURL_MAX_CHARACTERS = 2_000
ENDPOINT_VARIABLE = "SERVICE_ENDPOINT"
PARAMETER = re.compile(r"\{[^{}/]*\}")
ADDRESSES = {  # what a caller writes behind the endpoint; nothing of a description gets into it
    "GET /": "/",
    "POST /": "/",
    "GET /{}": "/$ID",
    "GET /{}/result": "/$ID/result",
    "GET /{}/result/{}": "/$ID/result/output.json",
    "GET /{}/log": "/$ID/log",
    "PUT /{}/cancel": "/$ID/cancel",
}
TEXT_EXAMPLES = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "email": "somebody@example.org",
    "uri": "https://example.org/",
}
BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("multipleOf", "a multiple of {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("pattern", "matches {}"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("default", "default: {}"),
    ("const", "always {}"),
)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One row of a schema table. Rows are in reading order; ``depth`` says how far to indent."""

    name: str  # empty for the whole value, `[]` for the items of a list, `*` for any other key
    depth: int
    type: str  # `array of number`, `object`, `string (uuid) or null`, the name of a schema that is open already
    required: bool = False
    description: str = ""  # Markdown, foreign
    notes: list[str] = field(default_factory=list)  # in words: `default: 3`, `at least 0`, `one of "a", "b"`


@dataclass(frozen=True, kw_only=True)
class Body:
    """A request or response body in one content type."""

    content_type: str
    schema_name: str  # `ServiceExecution` where the schema is a named one, else empty
    fields: list[Field]
    example: str  # JSON, indented; empty where there is none


@dataclass(frozen=True, kw_only=True)
class OperationParameter:
    """A parameter in the path, the query, a header or a cookie."""

    name: str
    location: str
    type: str
    required: bool = False
    description: str = ""  # Markdown, foreign
    notes: list[str] = field(default_factory=list)
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer."""

    status: str  # `200`, `4XX`, `default`
    description: str  # Markdown, foreign
    bodies: list[Body]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path, ready to render: every local reference is resolved."""

    method: str  # GET
    path: str
    anchor: str  # unique on the page, fit for an id
    summary: str
    description: str  # Markdown, foreign
    deprecated: bool
    parameters: list[OperationParameter]
    request: list[Body]
    request_required: bool
    responses: list[Response]
    curl: str = ""  # a command for a shell; empty for what no gateway answers


def operations(contract: Contract, *, endpoint: str = "") -> list[Operation]:
    """What the description offers, in its order, for the page of the API specification.

    ``endpoint`` is where the calls to copy go; without one they leave it to a variable.
    """
    reader = SchemaReader(contract.document)
    found: list[Operation] = []
    anchors: set[str] = set()
    for path, raw_item in mapping(contract.document, "paths").items():
        item = reader.resolved(raw_item)
        for method in METHODS:
            if isinstance(item.get(method), dict) and len(found) < OPERATIONS_MAX:
                anchor = slugify(f"{method}-{path.replace('/', '-')}") or method
                while anchor in anchors:
                    anchor += "-"
                anchors.add(anchor)
                operation = reader.operation(method, path, item, anchor)
                found.append(replace(operation, curl=_curl(operation, endpoint or f"${ENDPOINT_VARIABLE}")))
    return found


def input_schemas(contract: Contract) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schemas of `data` and `params` as written (they may hold `#/` references); empty where there is none."""
    reader = SchemaReader(contract.document)
    properties = mapping(reader.merged(reader.start_body().get("schema")), "properties")
    named = mapping(mapping(contract.document, "components"), "schemas")

    def schema(key: str, name: str) -> dict[str, Any]:
        found = properties.get(key, named.get(name))
        return found if isinstance(found, dict) else {}

    return schema("data", "InputData"), schema("params", "InputParams")


def example_input(contract: Contract) -> tuple[str, str]:
    """Texts of `data` and `params` to begin a job with: from examples, else defaults, else types. Indented JSON."""
    reader = SchemaReader(contract.document)
    whole = reader.body_example(reader.start_body())
    data, params = (
        whole[key] if isinstance(whole, dict) and key in whole else reader.example_of(schema)
        for key, schema in zip(("data", "params"), input_schemas(contract), strict=True)
    )
    return _json({} if data is None else data), _json({} if params is None else params)


@dataclass
class _Budget:
    """How many values a sample may still have: schemas that name one another fan out without end."""

    allowed: int
    spent: int = 0

    def spend(self) -> bool:
        self.spent += 1
        return self.spent <= self.allowed


class SchemaReader:
    """Reads one document, once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.rows_left = ROWS_IN_ALL_MAX
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

    def operation(self, method: str, path: str, item: dict[str, Any], anchor: str) -> Operation:
        raw = item[method]
        parameters = {
            (str(found.get("name")), str(found.get("in"))): self.parameter(found)
            for found in map(self.resolved, [*sequence(item, "parameters"), *sequence(raw, "parameters")])
        }
        request = self.resolved(raw.get("requestBody"))
        return Operation(
            method=method.upper(),
            path=path,
            anchor=anchor,
            summary=str(raw.get("summary") or item.get("summary") or ""),
            description=str(raw.get("description") or item.get("description") or ""),
            deprecated=raw.get("deprecated") is True,
            parameters=list(parameters.values()),
            request=self.bodies(request),
            request_required=request.get("required") is True,
            responses=[
                Response(
                    status=str(status), description=str(answer.get("description") or ""), bodies=self.bodies(answer)
                )
                for status, answer in ((key, self.resolved(value)) for key, value in mapping(raw, "responses").items())
                if answer
            ],
        )

    def parameter(self, raw: dict[str, Any]) -> OperationParameter:
        holder = raw if "schema" in raw else next((self.resolved(v) for v in mapping(raw, "content").values()), raw)
        schema = self.merged(holder.get("schema"))
        example = self.body_example(raw)
        return OperationParameter(
            name=str(raw.get("name", "")),
            location=str(raw.get("in", "")),
            type=self.type_of(schema),
            required=raw.get("required") is True,
            description=str(raw.get("description") or schema.get("description") or ""),
            notes=_notes(schema),
            example="" if example is None else example if isinstance(example, str) else json.dumps(example),
        )

    def bodies(self, holder: dict[str, Any]) -> list[Body]:
        found: list[Body] = []
        for content_type, raw in mapping(holder, "content").items():
            body = self.resolved(raw)
            rows: list[Field] = []
            self.add_rows(rows, body.get("schema"), name="", depth=0, open_names=())
            example = self.body_example(body)
            if example is None and "json" in content_type:
                example = self.example_of(body.get("schema"))
            text = "" if example is None else _json(example) if "json" in content_type else str(example)
            found.append(
                Body(
                    content_type=content_type,
                    schema_name=name_of(body.get("schema")),
                    fields=rows,
                    example=text[:EXAMPLE_MAX_CHARACTERS],
                )
            )
        return found

    def body_example(self, holder: dict[str, Any]) -> Any:
        """The example written beside a schema; None where there is none."""
        if "example" in holder:
            return holder["example"]
        for example in mapping(holder, "examples").values():
            if "value" in (found := self.resolved(example)):
                return found["value"]
        return None

    def add_rows(
        self, rows: list[Field], raw: Any, *, name: str, depth: int, open_names: tuple[str, ...], required: bool = False
    ) -> None:
        """Append the rows of a schema. A schema that is open already, and whatever is too much, is only named."""
        if len(rows) >= ROWS_MAX or self.rows_left <= 0 or not isinstance(raw, dict):
            return
        self.rows_left -= 1
        schema, own_name = self.merged(raw), name_of(raw)
        again = own_name in open_names or depth >= DEPTH_MAX
        type_name = own_name if again and own_name else self.type_of(schema)
        description = str(raw.get("description") or schema.get("description") or "")
        rows.append(
            Field(
                name=name,
                depth=depth,
                type=type_name,
                required=required,
                description=description,
                notes=_notes(schema),
            )
        )
        if again:
            return
        schema, inner = self.item_of_lists(schema, (*open_names, own_name) if own_name else open_names)
        needed = names_in(schema, "required")
        for key, child in mapping(schema, "properties").items():
            self.add_rows(rows, child, name=key, depth=depth + 1, open_names=inner, required=key in needed)
        if isinstance(schema.get("additionalProperties"), dict):
            self.add_rows(rows, schema["additionalProperties"], name="*", depth=depth + 1, open_names=inner)
        for word in ("oneOf", "anyOf"):
            for number, choice in enumerate(sequence(schema, word), start=1):
                if not is_null(choice):
                    self.add_rows(rows, choice, name=f"choice {number}", depth=depth + 1, open_names=inner)

    def item_of_lists(
        self, schema: dict[str, Any], open_names: tuple[str, ...]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What a list, or a list of lists, is made of; empty where that is open already."""
        for _ in range(DEPTH_MAX):
            if not _is_list(schema) or schema.get("properties"):
                return schema, open_names
            item = schema.get("items")
            schema, name = self.merged(item), name_of(item)
            if name in open_names:
                break
            open_names = (*open_names, name) if name else open_names
        return {}, open_names

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
        if not budget.spend() or depth > 2 * DEPTH_MAX or own_name in open_names:
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
            return lowest if isinstance(lowest, int | float) and not isinstance(lowest, bool) else 0
        return False if kind == "boolean" else None


def _curl(operation: Operation, endpoint: str) -> str:
    """The call as a command. Of the description only the example is in it, in single quotes: it is foreign."""
    address = ADDRESSES.get(f"{operation.method} {PARAMETER.sub('{}', operation.path)}")
    if address is None:
        return ""
    lines = ["curl -sS" if operation.method == "GET" else f"curl -sS -X {operation.method}"]
    lines[0] += f' "{endpoint}{address}"'
    lines.append('-H "Authorization: Bearer $TOKEN"')
    if operation.method == "POST":
        examples = [body.example for body in operation.request if "json" in body.content_type and body.example]
        example = examples[0] if examples else '{"data": {}, "params": {}}'
        quoted = "'" + example.replace("'", "'\\''") + "'"
        lines.append('-H "Content-Type: application/json"')
        lines.append(f"-d {quoted if len(example) <= EXAMPLE_IN_CURL_MAX_CHARACTERS else '@input.json'}")
    elif address.endswith("/output.json"):
        lines.append("-o output.json")
    return " \\\n  ".join(lines)


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


def _notes(schema: dict[str, Any]) -> list[str]:
    notes = [words.format(short(schema[key])) for key, words in BOUNDS if key in schema]
    if isinstance(schema.get("enum"), list):
        notes.append(f"one of {', '.join(map(short, schema['enum'][:20]))}")
    if "example" in schema:
        notes.append(f"for example {short(schema['example'])}")
    if schema.get("deprecated") is True:
        notes.append("deprecated")
    return notes


def short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"


def name_of(schema: Any) -> str:
    """`InputData` for a reference to it; empty for a schema written in place."""
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    return reference.rpartition("/")[2] if isinstance(reference, str) else ""


def _is_list(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type")
    return kinds == "array" or (isinstance(kinds, list) and "array" in kinds)


def is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
