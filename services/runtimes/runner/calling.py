"""Finds run() and gives it what it asks for, by the names of its parameters."""

from __future__ import annotations

import os
import sys

from .inputs import InvalidInput

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any, Callable

ALWAYS_SENT = ("data", "params")
BY_POSITION, BY_NAME = "position", "name"
FUNCTION = type(lambda: None)


class NoProgram(Exception):
    """There is nothing to call."""


def load(root: str) -> Callable[..., Any]:
    """The function run() of src/program.py below ``root``."""
    sys.path.insert(0, root)
    sys.argv = [os.path.join("src", "program.py")]
    __import__("src.program")  # unlike importlib.import_module it leaves no frame of its own in a traceback
    run = getattr(sys.modules["src.program"], "run", None)
    if not callable(run):
        raise NoProgram("src/program.py has no function run(). Add `def run(data, params):` that returns the result.")
    return run  # type: ignore[no-any-return]


def bind(run: Callable[..., Any], given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments for ``run``. Raises InvalidInput, naming every parameter that has neither a value nor a default."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    missing = []
    parameters, takes_rest = _parameters(run)
    left_out = False  # a positional parameter without a value: those after it cannot be filled by position
    for name, how, is_required in parameters:
        if name not in given:
            left_out = left_out or how == BY_POSITION
            if is_required:
                missing.append(name)
        elif how == BY_NAME:
            kwargs[name] = given[name]
        elif not left_out:
            args.append(given[name])
    if missing:
        raise InvalidInput(_words_for(missing, given))
    extra = {name: value for name, value in given.items() if name not in {parameter[0] for parameter in parameters}}
    if takes_rest:
        kwargs.update(extra)
    else:
        for name in sorted(set(extra) - set(ALWAYS_SENT)):
            print(f"The input has `{name}`, which run() does not take: ignored.", file=sys.stderr)
    return args, kwargs


def _words_for(missing: list[str], given: dict[str, Any]) -> str:
    names = ", ".join(f"`{name}`" for name in missing)
    has = ", ".join(f"`{name}`" for name in sorted(given)) or "nothing"
    return (
        f"run() requires {names}, and the input has {has}. "
        "Send what is missing as a top-level key of the input, or give the parameter a default."
    )


def _parameters(run: Callable[..., Any]) -> tuple[list[tuple[str, str, bool]], bool]:
    """Each parameter's name, how it is passed and whether it is required; and whether run() has a `**`."""
    if type(run) is FUNCTION and not hasattr(run, "__wrapped__") and not hasattr(run, "__signature__"):
        return _parameters_of_function(run)
    import inspect  # noqa: PLC0415 (5 ms that a plain function does not need)

    found = []
    takes_rest = False
    for parameter in inspect.signature(run).parameters.values():
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.POSITIONAL_ONLY:
            found.append((parameter.name, BY_POSITION, required))
        elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            found.append((parameter.name, BY_NAME, required))
        elif parameter.kind is parameter.VAR_KEYWORD:
            takes_rest = True
    return found, takes_rest


def _parameters_of_function(run: Callable[..., Any]) -> tuple[list[tuple[str, str, bool]], bool]:
    code = run.__code__
    names = code.co_varnames
    required = code.co_argcount - len(run.__defaults__ or ())
    found = [
        (names[index], BY_POSITION if index < code.co_posonlyargcount else BY_NAME, index < required)
        for index in range(code.co_argcount)
    ]
    keyword_only = names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    found += [(name, BY_NAME, name not in (run.__kwdefaults__ or {})) for name in keyword_only]
    has_varkeywords = 0x08  # inspect.CO_VARKEYWORDS
    return found, bool(code.co_flags & has_varkeywords)
