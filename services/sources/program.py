"""What can be told about `run()` by reading `src/program.py`. The file is parsed with `ast` and never imported."""

import ast
import platform
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of ``run()``: its annotation as written (empty without one), and whether it has a default."""

    name: str
    annotation: str = ""
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class RunSignature:
    """What `ast` tells about ``run()``. ``parameters`` is None where the name is imported or assigned."""

    line: int
    is_async: bool = False
    parameters: tuple[Parameter, ...] | None = None


def read_run(content: bytes, *, filename: str, problems: list[str], warnings: list[str]) -> RunSignature | None:
    """The signature of ``run()`` in ``content``; None with a problem where there is none."""
    try:
        tree = ast.parse(content, filename)
    except SyntaxError as error:
        problems.append(_in_words(error, content, filename))
        return None
    except (ValueError, RecursionError, MemoryError) as error:
        problems.append(
            f"{filename}: Python cannot read it ({str(error) or 'nested too deeply'}). Split it into several files."
        )
        return None
    found: ast.stmt | None = None
    for statement in _statements_of_module(tree.body):
        if "run" in _names_bound_by(statement):
            found = statement  # the last one wins, as it does when Python runs the file
    if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
        is_async = isinstance(found, ast.AsyncFunctionDef)
        return RunSignature(line=found.lineno, is_async=is_async, parameters=_parameters(found.args))
    if found is not None:
        how = "imported" if isinstance(found, ast.Import | ast.ImportFrom) else "assigned"
        warnings.append(
            f"{filename}, line {found.lineno}: run is {how} here, so its parameters are not known before a job. "
            "To have them checked and described, write def run(data, params) in this file."
        )
        return RunSignature(line=found.lineno)
    problems.append(
        f"{filename}: it has no function named run, and that is what a job calls. "
        f"{_similar(tree)}Add it at the top level of the file: def run(data, params): …"
    )
    return None


def _statements_of_module(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that bind names of the module, also those inside if, try and with."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.TryStar | ast.With):
            for name in ("body", "handlers", "orelse", "finalbody"):
                for child in getattr(statement, name, []):
                    yield from _statements_of_module(child.body if isinstance(child, ast.ExceptHandler) else [child])


def _names_bound_by(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            bound = {alias.asname or alias.name.split(".")[0] for alias in names}
            return bound | ({"run"} if "*" in bound else set())  # who knows what a star brings
        case ast.Assign(targets=targets):
            return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            return {name}
        case _:
            return set()


def _parameters(arguments: ast.arguments) -> tuple[Parameter, ...]:
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    pairs = [(argument, index < first_default) for index, argument in enumerate(positional)]
    pairs += [
        (argument, default is None)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return tuple(
        Parameter(
            name=argument.arg,
            annotation=ast.unparse(argument.annotation)[:200] if argument.annotation else "",
            required=required,
        )
        for argument, required in pairs
    )


def _similar(tree: ast.Module) -> str:
    """A hint where the function exists, but not where or how it is looked for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name == "run":
                kind = "a class" if isinstance(node, ast.ClassDef) else "inside something else"
                return f"(The run in line {node.lineno} is {kind}.) "
            if node.name.lower() in ("run", "main"):
                return f"(Did you mean {node.name} in line {node.lineno}?) "
    return ""


def _in_words(error: SyntaxError, content: bytes, filename: str) -> str:
    line, column = error.lineno or 1, error.offset or 1
    text = error.text
    if text is None:
        lines = content.decode("utf-8", "replace").splitlines()
        text = lines[line - 1] if 0 < line <= len(lines) else ""
    text = text.rstrip("\r\n")
    indent = len(text) - len(text.lstrip())
    shown = text.strip()[:160]
    caret = min(max(column - 1 - indent, 0), len(shown))
    version = ".".join(platform.python_version_tuple()[:2])
    excerpt = f"\n    {shown}\n    {' ' * caret}^" if shown else ""
    return f"{filename}, line {line}: {error.msg} (read as Python {version}). Mend the line and zip again.{excerpt}"
