"""Finds run() and gives it what it asks for: by the names of its parameters, converted to what they are annotated as.

A parameter without an annotation, and a value that is what its annotation says, cost no import; all else is
converting.py's business.
"""

from __future__ import annotations

import os
import sys

from .inputs import InvalidInput

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any, Callable

ALWAYS_SENT = ("data", "params")
BY_POSITION, BY_NAME = "position", "name"
PROBLEMS_MAX = 50
FUNCTION = type(lambda: None)
NOTHING: Any = type("Nothing", (), {"__repr__": lambda self: "nothing"})()  # no default, no annotation, no value


class NoProgram(Exception):
    """There is nothing to call."""


class Parameter:
    """One parameter of run(). ``default`` and ``annotation`` are NOTHING where it has none."""

    __slots__ = ("annotation", "default", "how", "name")

    def __init__(self, name: str, how: str, default: Any, annotation: Any) -> None:
        self.name = name
        self.how = how
        self.default = default
        self.annotation = annotation


def load(root: str) -> Callable[..., Any]:
    """The function run() of src/program.py below ``root``; where there is none, what `python -m src` does."""
    sys.path.insert(0, root)
    sys.argv = [os.path.join("src", "program.py")]
    has_main = os.path.exists(os.path.join(root, "src", "__main__.py"))
    if has_main and not os.path.exists(os.path.join(root, "src", "program.py")):
        return _run_module
    __import__("src.program")  # unlike importlib.import_module it leaves no frame of its own in a traceback
    run = getattr(sys.modules["src.program"], "run", None)
    if callable(run):
        return run  # type: ignore[no-any-return]
    if has_main and run is None:
        return _run_module
    raise NoProgram("src/program.py has no function run(). Add `def run(data, params):` that returns the result.")


def bind(run: Callable[..., Any], given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments for ``run``. Raises InvalidInput, naming everything that does not fit."""
    if run is _run_module:
        return [], {}
    binding = _Binding(run, given)
    try:
        args, kwargs = binding.arguments()
    except RecursionError:
        raise InvalidInput(
            "The input is nested too deeply to be made into what run() takes. Send it flatter."
        ) from None
    binding.check()
    for note in binding.notes:
        print(note, file=sys.stderr)
    return args, kwargs


class _Binding:
    """Collects what does not fit, so that whoever sent it hears all of it at once."""

    def __init__(self, run: Callable[..., Any], given: dict[str, Any]) -> None:
        self.run = run
        self.given = given
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.lacks = False
        self.converter: Any = None

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Arguments by position and by name."""
        parameters, rest = _parameters(self.run)
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        extra = dict(self.given)
        for parameter in parameters:
            value = self.value(parameter, extra.pop(parameter.name, NOTHING))
            if parameter.how == BY_POSITION:
                args.append(parameter.default if value is NOTHING else value)
            elif value is not NOTHING:
                kwargs[parameter.name] = value
        for name in sorted(extra):
            if rest is not None:
                kwargs[name] = self.converted(name, rest, extra[name])
            elif name not in ALWAYS_SENT or extra[name] not in ({}, None):
                self.notes.append(f"The input has `{name}`, which run() does not take: ignored.")
        return args, kwargs

    def value(self, parameter: Parameter, value: Any) -> Any:
        """What ``parameter`` gets; NOTHING where its default counts."""
        annotation = parameter.annotation
        if annotation is not NOTHING and not _is_already(value, annotation):
            if value is None and parameter.default is None:
                return None  # as `data: dict = None` means it
            value = self._argument(parameter, value)
        if value is NOTHING and parameter.default is NOTHING:
            self.lacks = True
            self.problems.append(
                f"/{parameter.name}: it is missing, and run() requires it. Send it as a top-level key of the input."
            )
        return value

    def _argument(self, parameter: Parameter, value: Any) -> Any:
        converter = self._converter()
        before = len(converter.problems)
        made = converter.argument(parameter, value)
        may_be_unsent = value == {} and parameter.name in ALWAYS_SENT  # its file is there all the same
        if may_be_unsent and parameter.default is not NOTHING and len(converter.problems) > before:
            del converter.problems[before:]
            return NOTHING
        return made

    def converted(self, name: str, annotation: Any, value: Any) -> Any:
        """A further key of the input, for a `**` annotated with ``annotation``."""
        if annotation is NOTHING or _is_already(value, annotation):
            return value
        return self._converter().convert(annotation, value, f"/{name}")

    def check(self) -> None:
        """Raise InvalidInput if anything did not fit."""
        if self.converter is not None:
            self.problems += self.converter.problems
            self.notes += self.converter.notes
        if not self.problems:
            return
        count = len(self.problems)
        lines = self.problems[:PROBLEMS_MAX]
        if count > PROBLEMS_MAX:
            lines.append(f"and {count - PROBLEMS_MAX:,} more")
        if self.lacks:
            names = ", ".join(f"`{name}`" for name in sorted(self.given)) or "nothing"
            lines.append(f"The input has {names}.")
        where = "" if count == 1 else f" in {count:,} places"
        raise InvalidInput(
            f"The input does not fit run(){where}. Correct it and start the job again.\n" + "\n".join(lines)
        )

    def _converter(self) -> Any:
        if self.converter is None:
            from .converting import Converter  # noqa: PLC0415 (what needs no conversion does not wait for it)

            self.converter = Converter(_globals_of(self.run))
        return self.converter


def _is_already(value: Any, annotation: Any) -> bool:
    """Whether there is nothing to convert: the class itself, or the `Dict[str, Any]` of every template."""
    kind = type(value)
    if kind is annotation:
        return True
    if kind is not dict or getattr(annotation, "__origin__", None) is not dict:
        return False
    args: Any = getattr(annotation, "__args__", ())
    return len(args) == 2 and args[0] is str and args[1] is getattr(sys.modules.get("typing"), "Any", NOTHING)


def _run_module() -> None:
    """What `python -m src` does, in this process."""
    import runpy  # noqa: PLC0415 (a program of 2022 that starts itself)

    runpy.run_module("src", run_name="__main__", alter_sys=True)


def _parameters(run: Callable[..., Any]) -> tuple[list[Parameter], Any]:
    """The parameters that can be filled; and the annotation of a `**`, or None where run() has no `**`."""
    if type(run) is FUNCTION and not hasattr(run, "__wrapped__") and not hasattr(run, "__signature__"):
        return _parameters_of_function(run)
    import inspect  # noqa: PLC0415 (5 ms that a plain function does not need)

    try:
        signature = inspect.signature(run)
    except (TypeError, ValueError):
        raise NoProgram(
            f"run in src/program.py is {type(run).__name__} whose parameters cannot be known. "
            "Wrap it: def run(data, params): …"
        ) from None
    found = []
    rest = None
    for parameter in signature.parameters.values():
        default = NOTHING if parameter.default is parameter.empty else parameter.default
        annotation = NOTHING if parameter.annotation is parameter.empty else parameter.annotation
        if parameter.kind is parameter.POSITIONAL_ONLY:
            found.append(Parameter(parameter.name, BY_POSITION, default, annotation))
        elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            found.append(Parameter(parameter.name, BY_NAME, default, annotation))
        elif parameter.kind is parameter.VAR_KEYWORD:
            rest = type(None) if annotation is None else annotation
    return found, rest


def _parameters_of_function(run: Callable[..., Any]) -> tuple[list[Parameter], Any]:
    code = run.__code__
    names = code.co_varnames
    defaults = run.__defaults__ or ()
    first_default = code.co_argcount - len(defaults)
    annotations = annotations_of(run)
    found = [
        Parameter(
            names[index],
            BY_POSITION if index < code.co_posonlyargcount else BY_NAME,
            defaults[index - first_default] if index >= first_default else NOTHING,
            annotations.get(names[index], NOTHING),
        )
        for index in range(code.co_argcount)
    ]
    last = code.co_argcount + code.co_kwonlyargcount
    keyword_defaults = run.__kwdefaults__ or {}
    found += [
        Parameter(name, BY_NAME, keyword_defaults.get(name, NOTHING), annotations.get(name, NOTHING))
        for name in names[code.co_argcount : last]
    ]
    has_varargs, has_varkeywords = 0x04, 0x08  # inspect.CO_…
    if not code.co_flags & has_varkeywords:
        return found, None
    rest = names[last + (1 if code.co_flags & has_varargs else 0)]
    annotation = annotations.get(rest, NOTHING)
    return found, type(None) if annotation is None else annotation


def annotations_of(thing: Any) -> dict[str, Any]:
    """The annotations of a function or class. Python 3.14 evaluates them only now, and cannot always."""
    try:
        return getattr(thing, "__annotations__", None) or {}
    except Exception:
        import annotationlib  # type: ignore[import-not-found]  # noqa: PLC0415 (3.14 and later)

        found = annotationlib.get_annotations(thing, format=annotationlib.Format.FORWARDREF)
        return dict(found)


def _globals_of(run: Callable[..., Any]) -> dict[str, Any]:
    """Where the names in the annotations of ``run`` are looked up: its module, however it is wrapped."""
    found: Any = run
    for _ in range(100):
        inner = getattr(found, "__wrapped__", None) or getattr(found, "func", None) or getattr(found, "__func__", None)
        if inner is None and type(found) is not FUNCTION and not isinstance(found, type):
            inner = getattr(type(found), "__call__", None)  # noqa: B004 (it is looked at, not asked for)
        if inner is None or inner is found or not callable(inner):
            break
        found = inner
    scope = getattr(found, "__globals__", None)
    return scope if isinstance(scope, dict) else vars(sys.modules["src.program"])
