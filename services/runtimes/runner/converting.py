"""JSON values made into what the parameters of run() are annotated as. Nothing is guessed: what does not fit is named.

It imports none of the modules whose types it knows: a type of theirs comes with its module already imported.
"""

from __future__ import annotations

import os
import sys

from . import jsons
from .kinds import (
    ANY,
    DICTS,
    LISTS,
    REFUSED,
    SIMPLE,
    STRIPPED,
    TEXTS,
    WORDS,
    but,
    either,
    escaped,
    has_none,
    has_schema,
    is_a,
    is_pydantic,
    json_of,
    members_of,
    missing_special,
    name_of,
    says_not_required,
    shown,
    special_of,
    words_of,
)

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any, Callable

    from .calling import Parameter


class Converter:
    """Converts values, and collects what does not fit: ``problems`` with a JSON pointer each, ``notes`` for the log."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._scopes: dict[tuple[Any, str], dict[str, Any]] = {}

    def argument(self, parameter: Parameter, value: Any) -> Any:
        """What ``parameter`` gets for ``value``. `calling.NOTHING` stands for what is missing: value or default."""
        from .calling import NOTHING  # noqa: PLC0415 (it imports this module)

        at = f"/{parameter.name}"
        kind = self._settled(parameter.annotation, at, self.scope)
        members = [self._settled(member, at, self.scope) for member in members_of(kind)]
        for member in members:
            member = member.__origin__ if hasattr(member, "__metadata__") else member
            special = special_of(member)
            if special is not None:
                made = self._from_outside(special, member, parameter.name, value)
                if made is not None:
                    return made
                if has_none(members) or parameter.default is not NOTHING:
                    return NOTHING if parameter.default is not NOTHING else None
                return self._refuse(at, missing_special(special, parameter.name))
        if value is not NOTHING:
            return self.convert(kind, value, at)
        if parameter.default is not NOTHING:
            return NOTHING
        if has_none(members) or kind is type(None):
            return None
        if isinstance(kind, type) and (is_pydantic(kind) or hasattr(kind, "__dataclass_fields__")):
            before = len(self.problems)
            made = self.convert(kind, {}, at)
            if made is not REFUSED:
                return made
            del self.problems[before:]
        return NOTHING

    def convert(self, kind: Any, value: Any, at: str, scope: dict[str, Any] | None = None) -> Any:
        """``value`` as ``kind``, or REFUSED. Names in ``kind`` are looked up in ``scope``."""
        scope = self.scope if scope is None else scope
        kind = self._settled(kind, at, scope)
        if kind is ANY or kind is type(value):
            return value
        if hasattr(kind, "__metadata__"):
            return self._annotated(kind, value, at, scope)
        members = members_of(kind)
        if len(members) > 1:
            return self._union(members, value, at, scope)
        origin = getattr(kind, "__origin__", None)
        if name_of(origin) == "Literal":
            return self._literal(kind.__args__, value, at)
        if isinstance(origin, type):
            return self._class(origin, tuple(getattr(kind, "__args__", ())), value, at, scope)
        if isinstance(kind, type):
            return self._class(kind, (), value, at, scope)
        return self._as_it_is(kind, value, at)

    # What an annotation is

    def _settled(self, kind: Any, at: str, scope: dict[str, Any]) -> Any:
        """``kind`` without quotes, aliases and wrappers that say nothing about a value."""
        for _ in range(100):
            name = type(kind).__name__
            if kind is None:
                return type(None)
            if isinstance(kind, str) or name == "ForwardRef":
                kind = self._evaluated(kind if isinstance(kind, str) else kind.__forward_arg__, at, scope)
            elif name == "TypeVar":
                kind = getattr(kind, "__bound__", None) or ANY
            elif hasattr(kind, "__supertype__"):
                kind = kind.__supertype__
            elif name == "TypeAliasType":
                kind = kind.__value__
            elif name == "InitVar":
                kind = kind.type
            elif name_of(getattr(kind, "__origin__", None)) in STRIPPED:
                kind = kind.__args__[0]
            elif kind is object or (name_of(kind) == "Any" and getattr(kind, "__module__", "").startswith("typing")):
                return ANY
            else:
                return kind
        return ANY

    def _evaluated(self, text: str, at: str, scope: dict[str, Any]) -> Any:
        try:
            return eval(text, scope)  # noqa: S307 (an annotation of the user's own code, in the user's own process)
        except Exception as error:
            self._note(
                f"The annotation `{text}` of {at} cannot be resolved ({type(error).__name__}: {error}), so the value "
                "is passed as it was sent."
            )
            return ANY

    def _as_it_is(self, kind: Any, value: Any, at: str) -> Any:
        self._note(
            f"{at} is annotated as {words_of(kind)}, which JSON cannot be made into: it is passed as it was sent."
        )
        return value

    # Unions, literals, Annotated

    def _union(self, members: list[Any], value: Any, at: str, scope: dict[str, Any]) -> Any:
        kinds = [self._settled(member, at, scope) for member in members]
        if value is None and type(None) in kinds:
            return None
        if type(value) in (int, float) and type(value) in kinds:
            return value  # whichever of the two stands first
        others = [kind for kind in kinds if kind is not type(None)]
        if len(others) > 1 and all(hasattr(kind, "model_validate_json") for kind in others):
            return self._adapted(sys.modules["typing"].Union[tuple(others)], value, at)
        problems, notes = list(self.problems), list(self.notes)
        refusals: list[list[str]] = []
        for kind in others:
            self.problems, self.notes = [], list(notes)
            made = self.convert(kind, value, at, scope)
            if made is not REFUSED:
                self.problems = problems
                return made
            refusals.append(self.problems)
        self.problems, self.notes = problems, notes
        structured = [found for found in refusals if any(not each.startswith(f"{at} ") for each in found)]
        if len(others) == 1 or (isinstance(value, (dict, list)) and len(structured) == 1):
            self.problems += refusals[0] if len(others) == 1 else structured[0]
            return REFUSED
        return self._refuse(at, f"must be {either(sorted({words_of(kind) for kind in kinds}))}, {but(value)}")

    def _literal(self, choices: tuple[Any, ...], value: Any, at: str) -> Any:
        for choice in choices:
            plain = choice.value if is_a(type(choice), "enum", "Enum") else choice
            if type(plain) is type(value) and plain == value:
                return choice
        return self._refuse(at, f"must be {either([shown(choice) for choice in choices])}, {but(value)}")

    def _annotated(self, kind: Any, value: Any, at: str, scope: dict[str, Any]) -> Any:
        pydantic = sys.modules.get("pydantic")
        rules = [type(rule).__module__.partition(".")[0] for rule in kind.__metadata__]
        has_rules = hasattr(pydantic, "TypeAdapter") and {"pydantic", "annotated_types"} & set(rules)
        if has_rules and all(hasattr(member, "model_validate_json") for member in members_of(kind.__origin__)):
            return self._adapted(kind, value, at)  # whose rule may be which of the models it is
        made = self.convert(kind.__origin__, value, at, scope)
        if made is REFUSED or not has_rules:
            return made
        return self._validated(lambda: pydantic.TypeAdapter(kind).validate_python(made), at)  # type: ignore[union-attr]

    # Classes

    def _class(self, kind: Any, args: tuple[Any, ...], value: Any, at: str, scope: dict[str, Any]) -> Any:
        simple = SIMPLE.get(kind)
        if simple is not None:
            made = simple(value)
            return self._refuse(at, f"must be {WORDS[kind]}, {but(value)}") if made is REFUSED else made
        if type(kind).__name__ == "_TypedDictMeta":  # before all that asks issubclass(), which it refuses
            return self._typed_dict(kind, value, at)
        if is_pydantic(kind):
            return self._pydantic(kind, value, at)
        if hasattr(kind, "__dataclass_fields__"):
            return self._dataclass(kind, value, at)
        if is_a(kind, "enum", "Enum"):
            return self._enum(kind, value, at)
        for module, name, words, make in TEXTS:
            if is_a(kind, module, name):
                return self._from_text(kind, words, make, value, at)
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return self._named_tuple(kind, value, at)
        return self._container(kind, args, value, at, scope)

    def _container(self, kind: Any, args: tuple[Any, ...], value: Any, at: str, scope: dict[str, Any]) -> Any:
        if issubclass(kind, tuple):
            return self._tuple(kind, args, value, at, scope)
        if issubclass(kind, (set, frozenset)) or kind.__name__ in ("Set", "MutableSet"):
            return self._set(kind, args, value, at, scope)
        if issubclass(kind, dict) or (kind.__module__ == "collections.abc" and kind.__name__ in DICTS):
            return self._dict(kind, args, value, at, scope)
        if issubclass(kind, list) or (kind.__module__ == "collections.abc" and kind.__name__ in LISTS):
            items = self._items(args[0] if args else ANY, value, at, scope)
            return items if items is REFUSED or not issubclass(kind, list) or kind is list else kind(items)
        if is_a(kind, "collections", "deque"):
            items = self._items(args[0] if args else ANY, value, at, scope)
            return items if items is REFUSED else kind(items)
        for base in (bool, int, float, str):
            if issubclass(kind, base):
                return self._derived(kind, self._class(base, (), value, at, scope), at)
        if has_schema(kind):
            return self._with_adapter(kind, value, at)
        return self._as_it_is(kind, value, at)

    def _derived(self, kind: Any, value: Any, at: str) -> Any:
        return value if value is REFUSED else self._made(lambda: kind(value), at)

    def _items(self, kind: Any, value: Any, at: str, scope: dict[str, Any]) -> Any:
        if not isinstance(value, list):
            return self._refuse(at, f"must be a list, {but(value)}")
        kind = self._settled(kind, at, scope)
        if kind is ANY:
            return value
        if isinstance(kind, type) and kind in SIMPLE and all(type(item) is kind for item in value):
            return value  # a million numbers need no million calls
        made = [self.convert(kind, item, f"{at}/{index}", scope) for index, item in enumerate(value)]
        return REFUSED if any(item is REFUSED for item in made) else made

    def _tuple(self, kind: Any, args: tuple[Any, ...], value: Any, at: str, scope: dict[str, Any]) -> Any:
        if not args or (len(args) == 2 and args[1] is Ellipsis):
            items = self._items(args[0] if args else ANY, value, at, scope)
            return items if items is REFUSED else kind(items)
        kinds = () if args == ((),) else args
        if not isinstance(value, list) or len(value) != len(kinds):
            return self._refuse(at, f"must be a list of {len(kinds)}, {but(value)}")
        made = [
            self.convert(each, item, f"{at}/{index}", scope)
            for index, (each, item) in enumerate(zip(kinds, value))  # noqa: B905 (Python 3.8 knows no strict)
        ]
        return REFUSED if any(item is REFUSED for item in made) else kind(made)

    def _set(self, kind: Any, args: tuple[Any, ...], value: Any, at: str, scope: dict[str, Any]) -> Any:
        items = self._items(args[0] if args else ANY, value, at, scope)
        if items is REFUSED:
            return REFUSED
        try:
            return kind(items) if issubclass(kind, (set, frozenset)) else set(items)
        except TypeError:
            return self._refuse(at, "must be a list of texts and numbers, and has lists or objects in it")

    def _dict(self, kind: Any, args: tuple[Any, ...], value: Any, at: str, scope: dict[str, Any]) -> Any:
        if not isinstance(value, dict):
            return self._refuse(at, f"must be an object, {but(value)}")
        key_kind, value_kind = (self._settled(arg, at, scope) for arg in (args if len(args) == 2 else (str, ANY)))
        if (key_kind is not str and key_kind is not ANY) or value_kind is not ANY:
            made = {}
            for key, item in value.items():
                inside = f"{at}/{escaped(key)}"
                made_key = self._key(key_kind, key, inside, scope)
                made_item = self.convert(value_kind, item, inside, scope)
                made[made_key] = REFUSED if made_key is REFUSED else made_item
            if any(item is REFUSED for item in made.values()):
                return REFUSED
            value = made
        if is_a(kind, "collections", "defaultdict"):
            return kind(None, value)
        return value if kind is dict or not issubclass(kind, dict) else kind(value)

    def _key(self, kind: Any, key: str, at: str, scope: dict[str, Any]) -> Any:
        """A key of an object, which JSON has as text only, as ``kind``."""
        if kind is ANY or kind is str:
            return key
        if isinstance(kind, type) and kind in (int, float, bool):
            try:
                value = jsons.loads(key)
            except ValueError:
                value = key
            return self.convert(kind, value, at, scope)
        return self.convert(kind, key, at, scope)

    def _enum(self, kind: Any, value: Any, at: str) -> Any:
        for member in kind:
            plain = list(member.value) if isinstance(member.value, tuple) else member.value
            if plain == value and isinstance(plain, bool) == isinstance(value, bool):
                return member
        if isinstance(value, str) and value in kind.__members__:
            return kind[value]
        if not isinstance(value, bool):  # which is an integer to an enum
            try:
                return kind(value)  # flags together, and what its own _missing_ finds
            except Exception:  # noqa: S110 (that is their code, and what it does not find is said below)
                pass
        choices = [shown(member.value) for member in kind]
        return self._refuse(at, f"must be {either(choices)}, {but(value)}")

    def _from_text(self, kind: Any, words: str, make: Callable[[Any, Any], Any], value: Any, at: str) -> Any:
        try:
            return make(kind, value)
        except (ValueError, TypeError, ArithmeticError):
            return self._refuse(at, f"must be {words}, {but(value)}")

    def _typed_dict(self, kind: Any, value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            return self._refuse(at, f"must be an object, {but(value)}")
        from .calling import annotations_of  # noqa: PLC0415 (it imports this module)

        hints = annotations_of(kind)
        required = getattr(kind, "__required_keys__", hints if kind.__total__ else ())
        made = dict(value)
        for name, hint in hints.items():
            inside = f"{at}/{escaped(name)}"
            if name in value:
                made[name] = self.convert(hint, value[name], inside, self._scope_of(kind, name))
            elif name in required and not says_not_required(hint):
                self._refuse(inside, "is missing")
                made[name] = REFUSED
        return REFUSED if any(item is REFUSED for item in made.values()) else made

    def _named_tuple(self, kind: Any, value: Any, at: str) -> Any:
        if isinstance(value, list):
            if len(value) > len(kind._fields):
                return self._refuse(at, f"must be a list of {len(kind._fields)}, {but(value)}")
            value = dict(zip(kind._fields, value))  # noqa: B905 (Python 3.8 knows no strict)
        from .calling import annotations_of  # noqa: PLC0415 (it imports this module)

        hints = annotations_of(kind)
        fields = [(name, hints.get(name, ANY), kind._field_defaults.get(name, REFUSED)) for name in kind._fields]
        return self._built(kind, fields, value, at)

    def _dataclass(self, kind: Any, value: Any, at: str) -> Any:
        absent = sys.modules["dataclasses"].MISSING
        fields = [
            (field.name, field.type, field.default if field.default_factory is absent else field.default_factory)
            for field in kind.__dataclass_fields__.values()
            if field.init and field._field_type.name != "_FIELD_CLASSVAR"
        ]
        fields = [(name, hint, REFUSED if default is absent else default) for name, hint, default in fields]
        return self._built(kind, fields, value, at)

    def _built(self, kind: Any, fields: list[tuple[str, Any, Any]], value: Any, at: str) -> Any:
        """An instance of ``kind``, whose ``fields`` are names, annotations and defaults (REFUSED: there is none)."""
        if not isinstance(value, dict):
            return self._refuse(at, f"must be an object, {but(value)}")
        made: dict[str, Any] = {}
        before = len(self.problems)
        for name, hint, default in fields:
            inside = f"{at}/{escaped(name)}"
            scope = self._scope_of(kind, name)
            if name in value and value[name] is None and default is None:
                made[name] = None  # as `x: int = None` means it
            elif name in value:
                made[name] = self.convert(hint, value[name], inside, scope)
            elif default is REFUSED:
                if has_none(members_of(self._settled(hint, inside, scope))):
                    made[name] = None
                else:
                    self._refuse(inside, "is missing")
        for name in value:
            if name not in {field[0] for field in fields}:
                self._note(f"{at}/{escaped(name)} is no field of {kind.__name__}: ignored.")
        if len(self.problems) > before:
            return REFUSED
        return self._made(lambda: kind(**made), at)

    # Pydantic, of either version

    def _adapted(self, kind: Any, value: Any, at: str) -> Any:
        """What pydantic 2 makes of it: of several models it finds the best, and names what each of them lacks."""
        adapter = sys.modules["pydantic"].TypeAdapter(kind)
        text = json_of(value)
        if text is None:
            return self._validated(lambda: adapter.validate_python(value), at)
        return self._validated(lambda: adapter.validate_json(text), at)

    def _pydantic(self, kind: Any, value: Any, at: str) -> Any:
        if hasattr(kind, "model_validate_json"):
            text = json_of(value)
            if text is None:
                return self._validated(lambda: kind.model_validate(value), at)
            return self._validated(lambda: kind.model_validate_json(text), at)
        if hasattr(kind, "parse_obj"):
            return self._validated(lambda: kind.parse_obj(value), at)
        return self._with_adapter(kind, value, at)  # a dataclass of theirs

    def _with_adapter(self, kind: Any, value: Any, at: str) -> Any:
        pydantic: Any = sys.modules.get("pydantic")
        if hasattr(pydantic, "TypeAdapter") and hasattr(kind, "__get_pydantic_core_schema__"):
            return self._adapted(kind, value, at)
        if hasattr(pydantic, "parse_obj_as"):
            return self._validated(lambda: pydantic.parse_obj_as(kind, value), at)
        return self._as_it_is(kind, value, at)

    def _validated(self, validate: Callable[[], Any], at: str) -> Any:
        try:
            return validate()
        except Exception as error:
            if type(error).__name__ != "ValidationError" or not callable(getattr(error, "errors", None)):
                raise
            for found in error.errors():  # type: ignore[attr-defined]
                places = [part for part in found["loc"] if part != "__root__"]
                words = "is missing" if "missing" in found["type"] else f"is refused: {found['msg']}"
                self._refuse("".join([at, *(f"/{escaped(str(part))}" for part in places)]), words)
            return REFUSED

    def _made(self, make: Callable[[], Any], at: str) -> Any:
        """What the user's class makes of its own values; what it raises for a wrong one is a problem of the input."""
        try:
            return self._validated(make, at)
        except (ValueError, TypeError, AssertionError) as error:
            return self._refuse(at, f"is refused: {str(error) or type(error).__name__}")

    # Secrets and data pools

    def _from_outside(self, special: str, kind: Any, name: str, value: Any) -> Any:
        """A SecretValue or a DataPool of the user's own class, or None where there is none."""
        if special == "SecretValue":
            text = os.environ.get(secret_variable(name))
            return None if text is None else kind(text)
        folder = os.path.join(os.environ.get("DATAPOOL_DIRECTORY") or "/var/runtime/datapool", name)
        return kind(folder) if os.path.isdir(folder) else None

    def _scope_of(self, kind: Any, name: str) -> dict[str, Any]:
        """Where the annotation of the field ``name`` looks up its names: in the module of the class that has it."""
        if (kind, name) not in self._scopes:
            bases = getattr(kind, "__mro__", (kind,))
            owner = next((base for base in bases if name in vars(base).get("__annotations__", {})), kind)
            self._scopes[kind, name] = vars(sys.modules[owner.__module__]) if owner.__module__ in sys.modules else {}
        return self._scopes[kind, name]

    def _refuse(self, at: str, words: str) -> Any:
        self.problems.append(f"{at or '/'} {words}")
        return REFUSED

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def secret_variable(name: str) -> str:
    """`ibmToken` and `ibm_token` → `SECRET_IBM_TOKEN`; a name in capitals stays."""
    if name.isupper():
        return f"SECRET_{name}"
    parts = [f"_{letter}" if letter.isupper() and index else letter for index, letter in enumerate(name)]
    return "SECRET_" + "".join(parts).upper()
