"""The operations of a managed service: the same for all. A description may word them, and neither add nor change one.

What a description leaves out is filled in from the default one. Old templates of the platform are known and taken.
"""

import copy
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from services.contracts.reading import (
    NO_INTERIM_RESULTS,
    Contract,
    ContractRejected,
    Place,
    Problem,
    Reading,
    read,
    resolve,
)
from services.contracts.schemas import METHODS, mapping, sequence
from services.contracts.validation import parse, problems_of

DEFAULT = Path(__file__).parent / "default.yml"
IN_BRACES = re.compile(r"\{[^{}/]*\}")
INTERIM_RESULTS = "/{}/interim-results"  # an operation of 2022 that asked for what there was before the end
STATUS = re.compile(r"[45](\d\d|XX)|default|2XX", re.IGNORECASE)
HEADERS = {
    "accept", "authorization", "content-type", "idempotency-key", "if-range", "last-event-id", "prefer", "range",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ManagedOperation:
    """What the gateway does at one method of one path, as far as a description can contradict it."""

    statuses: tuple[str, ...]  # of success
    queries: frozenset[str] = frozenset()
    takes_body: bool = False


OPERATIONS: dict[str, dict[str, ManagedOperation]] = {
    "/": {
        "get": ManagedOperation(
            statuses=("200",), queries=frozenset({"limit", "status", "tag", "before", "after", "cursor"})
        ),
        "post": ManagedOperation(statuses=("201",), takes_body=True),
    },
    "/{id}": {"get": ManagedOperation(statuses=("200",))},
    "/{id}/result": {"get": ManagedOperation(statuses=("200",))},
    "/{id}/result/{file}": {"get": ManagedOperation(statuses=("200", "206", "304"))},
    "/{id}/log": {"get": ManagedOperation(statuses=("200", "204"), queries=frozenset({"after"}))},
    "/{id}/cancel": {"put": ManagedOperation(statuses=("200", "204"))},  # 204: what the platform's own template says
}
LISTED = ", ".join(f"{method.upper()} {path}" for path, methods in OPERATIONS.items() for method in methods)
SHAPES = {IN_BRACES.sub("{}", path): path for path in OPERATIONS}


def accept(text: str | bytes, *, name: str = "openapi") -> Contract:
    """The contract in ``text`` for a managed service: `parse`, its operations held fast, missing ones filled in.

    Raises ContractRejected.
    """
    reading = read(text, name=name)
    problems = problems_of(reading)
    refused = _Check(reading).problems()
    if refused or problems:
        places = [problem.place for problem in refused]  # what has to go need not be mended inside
        problems = [each for each in problems if not any(each.place[: len(place)] == place for place in places)]
        raise ContractRejected(sorted([*refused, *problems], key=lambda problem: problem.line or 0))
    document, filled, notes = completed(reading.value)
    return Contract(document=document, filled=tuple(filled), notes=tuple(notes))


@cache
def default_document() -> dict[str, Any]:
    """The default description as data. Copy it before you change it."""
    return parse(DEFAULT.read_bytes(), name=DEFAULT.name).document


def template() -> str:
    """The default description as YAML with comments, for providers who write theirs on their own machine."""
    head = (
        "# A description of a managed service. Change the title, the descriptions and the schemas InputData,\n"
        "# InputParams and ResultResponse. The operations are the same for every service: leave them as they are.\n"
    )
    return head + DEFAULT.read_text(encoding="utf-8").partition("\n")[2]


class _Check:
    """Holds the operations of one description against those of the gateway."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.document = reading.value
        self.found: list[Problem] = []

    def problems(self) -> list[Problem]:
        seen: dict[str, str] = {}
        for path, raw in mapping(self.document, "paths").items():
            place: Place = ("paths", path)
            shape = shape_of(path)
            if path.startswith("x-") or shape == INTERIM_RESULTS:
                continue
            if shape not in SHAPES:
                self.refuse(place, f"{path} is no address of a managed service. There is {LISTED}. Remove it.")
            elif shape in seen:
                self.refuse(place, f"{path} is the same address as {seen[shape]}. Keep one of them.")
            else:
                seen[shape] = path
                self.path(place, SHAPES[shape], resolve(self.document, raw))
        return self.found

    def refuse(self, place: Place, words: str) -> None:
        self.found.append(self.reading.problem(place, words))

    def path(self, place: Place, path: str, item: Any) -> None:
        if not isinstance(item, dict):
            return
        queries = frozenset().union(*(operation.queries for operation in OPERATIONS[path].values()))
        self.parameters((*place, "parameters"), path, queries, sequence(item, "parameters"))
        for method in METHODS:
            if method not in item:
                continue
            operation = OPERATIONS[path].get(method)
            if operation is None:
                can = " and ".join(name.upper() for name in OPERATIONS[path])
                self.refuse((*place, method), f"{method.upper()} {path} does not exist: it takes {can}. Remove it.")
                continue
            if isinstance(item[method], dict):
                self.operation((*place, method), f"{method.upper()} {path}", path, operation, item[method])

    def operation(self, place: Place, name: str, path: str, managed: ManagedOperation, written: dict[str, Any]) -> None:
        self.parameters((*place, "parameters"), path, managed.queries, sequence(written, "parameters"))
        self.body((*place, "requestBody"), name, managed, written)
        for status in mapping(written, "responses"):
            if status in managed.statuses or STATUS.fullmatch(status) or status.startswith("x-"):
                continue
            can = " or ".join(managed.statuses)
            self.refuse(
                (*place, "responses", status),
                f"{name} never answers {status}: success is {can}, and what fails is 4XX or 5XX. Correct it.",
            )

    def body(self, place: Place, name: str, managed: ManagedOperation, written: dict[str, Any]) -> None:
        if "requestBody" not in written:
            return
        if not managed.takes_body:
            self.refuse(place, f"{name} takes no body. Remove requestBody.")
            return
        kinds = list(mapping(resolve(self.document, written["requestBody"]) or {}, "content"))
        if kinds and not any("json" in kind.lower() or kind == "*/*" for kind in kinds):
            self.refuse(
                (*place, "content"),
                f"{name} takes JSON, not {kinds[0]}. Describe the input as application/json; "
                "files come in as text inside of it, or from a data pool.",
            )

    def parameters(self, place: Place, path: str, queries: frozenset[str], written: list[Any]) -> None:
        in_path = [part[1:-1] for part in IN_BRACES.findall(path)]
        for index, raw in enumerate(written):
            parameter = resolve(self.document, raw)
            if not isinstance(parameter, dict):
                continue
            name, where = str(parameter.get("name")), parameter.get("in")
            is_known = {
                "path": bool(in_path),
                "query": name in queries,
                "header": name.lower() in HEADERS or name.lower().startswith("x-"),
            }.get(str(where), False)
            if not is_known:
                self.refuse(
                    (*place, index),
                    f"the parameter {name} ({where}) is not one of this operation, and nothing would hand it to your "
                    "code. What callers send to it belongs into InputData or InputParams.",
                )


def completed(document: dict[str, Any]) -> tuple[dict[str, Any], list[str], list[str]]:
    """A copy of ``document`` with all operations; the names of those that were filled in; and what to note."""
    default, document = default_document(), copy.deepcopy(document)
    notes: list[str] = []
    paths: dict[str, Any] = {}
    for path, item in mapping(document, "paths").items():
        if shape_of(path) == INTERIM_RESULTS:
            notes.append(NO_INTERIM_RESULTS)
        else:
            paths[path] = item
    by_shape = {shape_of(path): path for path in paths}
    filled: list[str] = []
    fresh: list[Any] = []
    for path, methods in OPERATIONS.items():
        written_as = by_shape.get(shape_of(path), path)
        item = resolve(document, paths.get(written_as))
        item = item if isinstance(item, dict) else {}
        missing = [method for method in methods if not isinstance(item.get(method), dict)]
        if missing and path != "/":  # the one operation of its path: its parameters come with it
            paths.pop(written_as, None)
            paths[path] = _inlined(default["paths"][path])
            fresh.append(paths[path])
        elif missing:
            ours = {method: copy.deepcopy(default["paths"][path][method]) for method in missing}
            paths[path] = item | ours
            fresh += ours.values()
        filled += [f"{method.upper()} {path}" for method in missing]
    document["paths"] = paths
    if filled:
        _bring_components(document, fresh)
    return document, filled, notes


def shape_of(path: str) -> str:
    """`/{}/result` for `/{id}/result` and `/{execution}/result/`."""
    return IN_BRACES.sub("{}", path.rstrip("/") or "/")


def _inlined(item: dict[str, Any]) -> dict[str, Any]:
    """A path of the default with its parameters written out: another document may have others by their names."""
    item = copy.deepcopy(item)
    item["parameters"] = [copy.deepcopy(resolve(default_document(), each)) for each in item["parameters"]]
    return item


def _bring_components(document: dict[str, Any], waiting: list[Any]) -> None:
    """Copy from the default what ``waiting`` refers to and ``document`` lacks. What it has keeps its meaning there."""
    is_newer = str(document.get("openapi")).startswith("3.1")
    components = document.setdefault("components", {})
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            if is_newer and value.pop("nullable", False) is True:  # 3.1 has a type for it
                value["type"] = [value["type"], "null"]
            reference = value.get("$ref")
            if isinstance(reference, str) and resolve(document, value) is None:
                kind, name = reference.removeprefix("#/components/").split("/")
                brought = copy.deepcopy(default_document()["components"][kind][name])
                components.setdefault(kind, {})[name] = brought
                waiting.append(brought)
            waiting += [child for child in value.values() if isinstance(child, dict | list)]
