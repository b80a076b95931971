"""What a description offers, flat and ready for a template. Reading its schemas is the business of schemas.py."""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.text import slugify

from services.contracts.reading import Contract
from services.contracts.schemas import (
    METHODS,
    SchemaReader,
    indented,
    is_null,
    mapping,
    name_of,
    names_in,
    sequence,
    short,
)

OPERATIONS_MAX = 200
ROWS_MAX = 300  # a body
ROWS_IN_ALL_MAX = 5_000
DEPTH_MAX = 8
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
    renderer = _Renderer(contract.document)
    found: list[Operation] = []
    anchors: set[str] = set()
    for path, raw_item in mapping(contract.document, "paths").items():
        item = renderer.reader.resolved(raw_item)
        for method in METHODS:
            if isinstance(item.get(method), dict) and len(found) < OPERATIONS_MAX:
                anchor = slugify(f"{method}-{path.replace('/', '-')}") or method
                while anchor in anchors:
                    anchor += "-"
                anchors.add(anchor)
                operation = renderer.operation(method, path, item, anchor)
                found.append(replace(operation, curl=_curl(operation, endpoint or f"${ENDPOINT_VARIABLE}")))
    return found


class _Renderer:
    """Renders one document, within its budget of rows."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.reader = SchemaReader(document)
        self.rows_left = ROWS_IN_ALL_MAX

    def operation(self, method: str, path: str, item: dict[str, Any], anchor: str) -> Operation:
        raw = item[method]
        parameters = {
            (str(found.get("name")), str(found.get("in"))): self.parameter(found)
            for found in map(self.reader.resolved, [*sequence(item, "parameters"), *sequence(raw, "parameters")])
        }
        request = self.reader.resolved(raw.get("requestBody"))
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
                for status, answer in (
                    (key, self.reader.resolved(value)) for key, value in mapping(raw, "responses").items()
                )
                if answer
            ],
        )

    def parameter(self, raw: dict[str, Any]) -> OperationParameter:
        holder = (
            raw if "schema" in raw else next((self.reader.resolved(v) for v in mapping(raw, "content").values()), raw)
        )
        schema = self.reader.merged(holder.get("schema"))
        example = self.reader.body_example(raw)
        return OperationParameter(
            name=str(raw.get("name", "")),
            location=str(raw.get("in", "")),
            type=self.reader.type_of(schema),
            required=raw.get("required") is True,
            description=str(raw.get("description") or schema.get("description") or ""),
            notes=_notes(schema),
            example="" if example is None else example if isinstance(example, str) else json.dumps(example),
        )

    def bodies(self, holder: dict[str, Any]) -> list[Body]:
        found: list[Body] = []
        for content_type, raw in mapping(holder, "content").items():
            body = self.reader.resolved(raw)
            rows: list[Field] = []
            self.add_rows(rows, body.get("schema"), name="", depth=0, open_names=())
            example = self.reader.body_example(body)
            if example is None and "json" in content_type:
                example = self.reader.example_of(body.get("schema"))
            text = "" if example is None else indented(example) if "json" in content_type else str(example)
            found.append(
                Body(
                    content_type=content_type,
                    schema_name=name_of(body.get("schema")),
                    fields=rows,
                    example=text[:EXAMPLE_MAX_CHARACTERS],
                )
            )
        return found

    def add_rows(
        self, rows: list[Field], raw: Any, *, name: str, depth: int, open_names: tuple[str, ...], required: bool = False
    ) -> None:
        """Append the rows of a schema. A schema that is open already, and whatever is too much, is only named."""
        if len(rows) >= ROWS_MAX or self.rows_left <= 0 or not isinstance(raw, dict):
            return
        self.rows_left -= 1
        schema, own_name = self.reader.merged(raw), name_of(raw)
        again = own_name in open_names or depth >= DEPTH_MAX
        type_name = own_name if again and own_name else self.reader.type_of(schema)
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
            schema, name = self.reader.merged(item), name_of(item)
            if name in open_names:
                break
            open_names = (*open_names, name) if name else open_names
        return {}, open_names


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


def _notes(schema: dict[str, Any]) -> list[str]:
    notes = [words.format(short(schema[key])) for key, words in BOUNDS if key in schema]
    if isinstance(schema.get("enum"), list):
        notes.append(f"one of {', '.join(map(short, schema['enum'][:20]))}")
    if "example" in schema:
        notes.append(f"for example {short(schema['example'])}")
    if schema.get("deprecated") is True:
        notes.append("deprecated")
    return notes


def _is_list(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type")
    return kinds == "array" or (isinstance(kinds, list) and "array" in kinds)
