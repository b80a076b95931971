"""JSON Schemas of what `run()` takes, read from its source with `ast`. Nothing of it is imported or run.

The source is foreign: whatever cannot be read, is too much, or is newer than this Python counts as not annotated.
"""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from services.contracts.docstrings import documented, first_paragraph

DEPTH_MAX = 12
NODES_MAX = 2_000  # annotations in all
ENUM_MAX = 200
DEFAULT_MAX_CHARACTERS = 2_000
UNREADABLE = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)
Schema = dict[str, Any]

SIMPLE: dict[str, Schema] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "complex": {},
    "Decimal": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "bytes": {"type": "string"},
    "Path": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "UUID": {"type": "string", "format": "uuid"},
    "Any": {},
    "object": {},
    "ndarray": {"type": "array", "items": {}},
}
LISTS = {"list", "List", "Sequence", "Iterable", "Collection", "tuple", "Tuple", "MutableSequence"}
SETS = {"set", "Set", "frozenset", "FrozenSet"}
MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict", "DefaultDict"}
TRANSPARENT = {"Annotated", "Required", "NotRequired", "Final", "ReadOnly"}
ENUMS = {"Enum", "StrEnum", "IntEnum"}
MODELS = {"BaseModel", "TypedDict"}
FIELD_WORDS = {  # of pydantic's Field(): the word of JSON Schema, and where it means an exclusive bound
    "ge": "minimum",
    "le": "maximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "regex": "pattern",
    "title": "title",
    "description": "description",
}
LENGTHS = {"minLength": "minItems", "maxLength": "maxItems"}


@dataclass
class Module:
    """One file: what its top level binds to which statement."""

    package: tuple[str, ...]  # ("src", "libs") of src/libs/models.py and of src/libs/__init__.py
    names: dict[str, ast.AST] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What is known of `run()`: a schema for each annotated parameter, and what its docstring says."""

    schemas: dict[str, Schema] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    summary: str = ""


def read_signature(modules: dict[str, str], *, program: str, line: int) -> Signature:
    """The signature of the `run()` in ``line`` of the file ``program``. Empty where it cannot be read."""
    return _Project(modules).signature(program, line)


def read_annotation(text: str) -> Schema:
    """The schema of an annotation of which only the text is known."""
    return _Project({}).schema(ast.Constant(value=text), Module(package=())) if text else {}


class _Project:
    """The modules of one source, parsed when they are needed."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self.modules: dict[str, Module | None] = {}
        self.nodes_left = NODES_MAX

    def signature(self, program: str, line: int) -> Signature:
        module = self.module(program)
        tree = self.parsed(program)
        if module is None or tree is None:
            return Signature()
        functions = [function for node in ast.walk(tree) if (function := _run_in(node, line))]
        if not functions:
            return Signature()
        function = functions[0]
        schemas: dict[str, Schema] = {}
        for argument, default in _arguments(function.args):
            schema = self.schema(argument.annotation, module) if argument.annotation else {}
            schemas[argument.arg] = _with_default(schema, default)
        text = ast.get_docstring(function) or ""
        return Signature(schemas=schemas, descriptions=documented(text), summary=first_paragraph(text))

    def parsed(self, path: str) -> ast.Module | None:
        try:
            return ast.parse(self.texts[path], path)
        except (KeyError, *UNREADABLE):
            return None

    def module(self, path: str) -> Module | None:
        if path not in self.modules:
            tree = self.parsed(path)
            self.modules[path] = None
            if tree is not None:
                self.modules[path] = Module(package=tuple(path.split("/")[:-1]), names=dict(_bindings(tree.body)))
        return self.modules[path]

    def imported(self, module: Module, name: str) -> tuple[Module, str] | None:
        """Where an imported ``name`` is defined: its module and its name there. None for what is not in the project."""
        statement = module.names.get(name)
        if not isinstance(statement, ast.ImportFrom):
            return None
        package = list(module.package)
        if statement.level:
            package = package[: len(package) - statement.level + 1]
        elif not (statement.module or "").startswith("src"):
            return None
        else:
            package = []
        parts = [*package, *(statement.module or "").split(".")] if statement.module else package
        original = next((alias.name for alias in statement.names if (alias.asname or alias.name) == name), name)
        target = self.module("/".join(parts) + ".py") or self.module("/".join([*parts, "__init__.py"]))
        return (target, original) if target else None

    def imported_module(self, module: Module, name: str) -> Module | None:
        """The module that ``from .libs import models`` binds to ``models``."""
        statement = module.names.get(name)
        if not isinstance(statement, ast.ImportFrom):
            return None
        package = list(module.package)[: len(module.package) - statement.level + 1] if statement.level else []
        original = next((alias.name for alias in statement.names if (alias.asname or alias.name) == name), name)
        inside = statement.module.split(".") if statement.module else []
        return self.module("/".join([*package, *inside, original]) + ".py")

    def definition(self, module: Module, node: ast.expr, hops: int = 0) -> tuple[Module, ast.AST] | None:
        """The statement that defines what ``node`` names, and its module."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = self.imported_module(module, node.value.id)
            return self.definition(found, ast.Name(id=node.attr), hops + 1) if found and hops < DEPTH_MAX else None
        if not isinstance(node, ast.Name):
            return None
        if (elsewhere := self.imported(module, node.id)) and hops < DEPTH_MAX:
            return self.definition(elsewhere[0], ast.Name(id=elsewhere[1]), hops + 1)
        statement = module.names.get(node.id)
        return (module, statement) if isinstance(statement, ast.ClassDef | ast.expr) else None

    def schema(self, node: ast.AST | None, module: Module, depth: int = 0, inside: tuple[str, ...] = ()) -> Schema:
        """The schema of an annotation; empty (anything) where it says nothing that we know."""
        self.nodes_left -= 1
        if node is None or depth > DEPTH_MAX or self.nodes_left < 0:
            return {}
        match node:
            case ast.Constant(value=None):
                return {"enum": [None], "nullable": True}
            case ast.Constant(value=str() as text):
                return self.schema(_expression(text), module, depth + 1, inside)
            case ast.BinOp(op=ast.BitOr()):
                return self.union(_alternatives(node), module, depth, inside)
            case ast.Subscript():
                return self.generic(node, module, depth, inside)
            case ast.Name() | ast.Attribute():
                return self.named(node, module, depth, inside)
        return {}

    def named(self, node: ast.expr, module: Module, depth: int, inside: tuple[str, ...]) -> Schema:
        if found := self.definition(module, node):
            where, statement = found
            if isinstance(statement, ast.ClassDef):
                return self.of_class(statement, where, depth, inside)
            return self.schema(statement, where, depth + 1, inside)
        name = _last_name(node)
        if name in LISTS | SETS:
            return {"type": "array", "items": {}}
        if name in MAPPINGS:
            return {"type": "object"}
        if name in SIMPLE:
            return dict(SIMPLE[name])
        return {} if name.isupper() and len(name) == 1 else {"type": "object"}  # T is a type variable

    def generic(self, node: ast.Subscript, module: Module, depth: int, inside: tuple[str, ...]) -> Schema:
        name = _last_name(node.value)
        inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not inner:
            return self.named(node.value, module, depth + 1, inside)

        def schema(each: ast.AST) -> Schema:
            return self.schema(each, module, depth + 1, inside)

        if name in ("Optional", "Union"):
            nothing = [ast.Constant(value=None)] if name == "Optional" else []
            return self.union([*inner, *nothing], module, depth, inside)
        if name == "Literal":
            return _choices([each.value for each in inner if isinstance(each, ast.Constant)])
        if name in TRANSPARENT:
            calls = [each for each in inner[1:] if isinstance(each, ast.Call) and _last_name(each.func) == "Field"]
            return _with_field(schema(inner[0]), calls[0]) if calls else schema(inner[0])
        if name in MAPPINGS:
            values = schema(inner[1]) if len(inner) > 1 else {}
            return {"type": "object"} | ({"additionalProperties": values} if values else {})
        if name in LISTS | SETS:
            is_tuple = name in ("tuple", "Tuple") and not _ends_with_ellipsis(inner)
            return _of_tuple(list(map(schema, inner))) if is_tuple else _of_list(schema(inner[0]), name in SETS)
        return self.named(node.value, module, depth + 1, inside)

    def union(self, nodes: list[ast.expr], module: Module, depth: int, inside: tuple[str, ...]) -> Schema:
        is_nullable = any(isinstance(node, ast.Constant) and node.value is None for node in nodes)
        schemas: list[Schema] = []
        for node in nodes:
            if not (isinstance(node, ast.Constant) and node.value is None):
                schema = self.schema(node, module, depth + 1, inside)
                if schema not in schemas:
                    schemas.append(schema)
        if not schemas or {} in schemas:
            return {}
        if {"type": "number"} in schemas:  # it takes whole numbers too
            schemas = [schema for schema in schemas if schema != {"type": "integer"}]
        if is_nullable and "type" in schemas[0]:
            schemas[0] = schemas[0] | {"nullable": True}
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    def of_class(self, node: ast.ClassDef, module: Module, depth: int, inside: tuple[str, ...]) -> Schema:
        if node.name in inside:
            return {"type": "object"}
        bases = [_last_name(base) for base in node.bases]
        if ENUMS & set(bases):
            values = [_literal(each.value) for each in node.body if isinstance(each, ast.Assign)]
            return _choices(values) | _described(ast.get_docstring(node))
        schema: Schema = {"type": "object"} | _described(ast.get_docstring(node))
        fields, is_model = self.fields(node, module, depth, (*inside, node.name))
        if is_model and fields:
            schema["properties"] = {name: child for name, (child, _) in fields.items()}
            if required := [name for name, (_, is_required) in fields.items() if is_required]:
                schema["required"] = required
        return schema

    def fields(
        self, node: ast.ClassDef, module: Module, depth: int, inside: tuple[str, ...]
    ) -> tuple[dict[str, tuple[Schema, bool]], bool]:
        """The fields of a dataclass, a pydantic model or a TypedDict, those of its bases first; whether it is one."""
        found: dict[str, tuple[Schema, bool]] = {}
        is_model = any(_last_name(_called(each)) == "dataclass" for each in node.decorator_list)
        for base in node.bases:
            name = _last_name(base)
            is_model = is_model or name in MODELS
            above = self.definition(module, base)
            if above and isinstance(above[1], ast.ClassDef) and above[1].name not in inside:
                inherited, is_also = self.fields(above[1], above[0], depth, (*inside, above[1].name))
                found |= inherited
                is_model = is_model or is_also
        is_total = not any(word.arg == "total" and _literal(word.value) is False for word in node.keywords)
        descriptions = documented(ast.get_docstring(node) or "")
        for index, statement in enumerate(node.body):
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            name = statement.target.id
            if name.startswith("_") or name == "model_config" or _last_name(statement.annotation) == "ClassVar":
                continue
            schema = self.schema(statement.annotation, module, depth + 1, inside)
            said = _string_after(node.body, index) or descriptions.get(name)
            if said and "description" not in schema:
                schema |= _described(said)
            schema, is_required = _with_value(schema, statement.value)
            found[name] = (schema, is_required and is_total and _last_name(statement.annotation) != "NotRequired")
        return found, is_model


def _described(text: str | None) -> Schema:
    """The first paragraph of a docstring as the description; a dataclass without one has none."""
    words = first_paragraph(text or "")
    return {"description": words} if words else {}


def _run_in(node: ast.AST, line: int) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "run" and node.lineno == line:
        return node
    return None


def _arguments(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    yield from zip(positional, defaults, strict=True)
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)


def _bindings(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    """The names that a module binds to classes, aliases of types, and imports; also below `if` and `try`."""
    for statement in body:
        match statement:
            case ast.ClassDef(name=name):
                yield name, statement
            case ast.ImportFrom(names=names):
                yield from ((alias.asname or alias.name, statement) for alias in names)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.If(body=inner, orelse=orelse):
                yield from _bindings(inner + orelse)
            case ast.Try(body=inner, handlers=handlers, orelse=orelse):
                yield from _bindings([each for handler in handlers for each in handler.body] + inner + orelse)


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text[:1000], mode="eval").body
    except UNREADABLE:
        return None


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """The sides of `A | B | C`, without recursion."""
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.insert(0, node.right)
        node = node.left
    return [node, *found]


def _last_name(node: ast.AST) -> str:
    """`DataPool` for `commons.DataPool`, `DataPool[str]` and `"DataPool"`."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _last_name(value)
    return ""


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _ends_with_ellipsis(nodes: list[ast.expr]) -> bool:
    return bool(nodes) and isinstance(nodes[-1], ast.Constant) and nodes[-1].value is Ellipsis


def _of_list(items: Schema, is_set: bool) -> Schema:
    return {"type": "array", "items": items} | ({"uniqueItems": True} if is_set else {})


def _of_tuple(schemas: list[Schema]) -> Schema:
    kinds = [schema for index, schema in enumerate(schemas) if schema not in schemas[:index]]
    items = kinds[0] if len(kinds) == 1 else {} if {} in kinds else {"anyOf": kinds}
    return {"type": "array", "items": items, "minItems": len(schemas), "maxItems": len(schemas)}


def _choices(values: list[Any]) -> Schema:
    kept = [value for value in values[:ENUM_MAX] if isinstance(value, str | int | float | bool) or value is None]
    if not kept or len(kept) < len(values):
        return {}
    names = {
        "boolean" if isinstance(v, bool) else "integer" if isinstance(v, int) else "number" if isinstance(v, float)
        else "string" if isinstance(v, str) else "null"
        for v in kept
    }  # fmt: skip
    schema: Schema = {"enum": kept}
    if "null" in names:
        schema["nullable"] = True
        names.remove("null")
    return ({"type": names.pop()} if len(names) == 1 else {}) | schema


def _string_after(body: list[ast.stmt], index: int) -> str:
    """The text below a field, by which people describe attributes."""
    following = body[index + 1] if index + 1 < len(body) else None
    match following:
        case ast.Expr(value=ast.Constant(value=str() as text)):
            return text
    return ""


class _Unknown:
    """A value that only running the source would tell."""


def _literal(node: ast.AST | None) -> Any:
    """The value of a literal that JSON can hold; else `_Unknown`."""
    try:
        value = ast.literal_eval(node)  # type: ignore[arg-type]
        value = list(value) if isinstance(value, tuple) else value
        text = json.dumps(value, allow_nan=False)
    except UNREADABLE:
        return _Unknown
    return json.loads(text) if len(text) <= DEFAULT_MAX_CHARACTERS else _Unknown


def _with_default(schema: Schema, node: ast.expr | None) -> Schema:
    value = _literal(node) if node is not None else _Unknown
    return schema if value is _Unknown or value is None else schema | {"default": value}


def _with_value(schema: Schema, node: ast.expr | None) -> tuple[Schema, bool]:
    """The schema with what the right side of a field says, and whether the field is required."""
    if node is None:
        return schema, True
    if isinstance(node, ast.Call) and _last_name(node.func) in ("Field", "field"):
        words = {word.arg: word.value for word in node.keywords}
        first = node.args[0] if node.args else words.get("default")
        is_required = first is None and "default_factory" not in words
        if isinstance(first, ast.Constant) and first.value is Ellipsis:
            first, is_required = None, True
        if (factory := words.get("default_factory")) is not None:
            empty: Any = {"list": [], "dict": {}, "set": []}.get(_last_name(factory), _Unknown)
            schema = schema if empty is _Unknown else schema | {"default": empty}
        return _with_field(_with_default(schema, first), node), is_required
    return _with_default(schema, node), False


def _with_field(schema: Schema, call: ast.Call) -> Schema:
    """What pydantic's Field() says of a value."""
    schema = dict(schema)
    for word in call.keywords:
        value = _literal(word.value)
        if value is _Unknown or value is None:
            continue
        if word.arg in ("gt", "lt") and isinstance(value, int | float):
            bound = "minimum" if word.arg == "gt" else "maximum"
            schema |= {bound: value, f"exclusive{bound.title()}": True}  # as OpenAPI 3.0 says it
        elif word.arg == "examples" and isinstance(value, list) and value:
            schema["example"] = value[0]
        elif word.arg == "example":
            schema["example"] = value
        elif word.arg in FIELD_WORDS and isinstance(value, str | int | float):
            name = FIELD_WORDS[word.arg]
            schema[LENGTHS[name] if schema.get("type") == "array" and name in LENGTHS else name] = value
    return schema
