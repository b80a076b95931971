"""What can be told about `run()` by reading `src/program.py`. The file is parsed with `ast` and never imported.

This is also the program of the children of `reading`, so it imports only the standard library, and little of it.
"""

import ast
import json
import re
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

NODES_MAX = 200_000  # of a syntax tree, 600 bytes each; and of all other modules together
IMPORTS_RUN = re.compile(rb"^[ \t]*from[ \t]+(?:src)?\.program[ \t]+import\b.*\brun\b", re.MULTILINE)


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


def answer() -> None:
    """Read a project from stdin; write lines of JSON: what is told of its program, then each module that is tame."""
    cpu_seconds, memory_bytes = (int(argument) for argument in sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.load(sys.stdin)
    problems: list[str] = []
    warnings: list[str] = []
    content = asked["program"].encode("latin-1")
    run = read_run(content, filename=asked["filename"], main=asked["main"], problems=problems, warnings=warnings)
    _say({"run": run and asdict(run), "problems": problems, "warnings": warnings})
    left = NODES_MAX
    for path, text in asked["modules"].items():
        try:
            left -= _nodes(ast.parse(text, path), most=left)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # it describes nothing then
        if left < 0:
            return
        _say(path)


def _say(told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def read_run(
    content: bytes, *, filename: str, main: str, problems: list[str], warnings: list[str]
) -> RunSignature | None:
    """The signature of ``run()`` in ``content``; None with a problem where there is none.

    ``main`` is the file that is run where there is no such function; empty without one.
    """
    try:
        tree = ast.parse(content, filename)
        if _nodes(tree, most=NODES_MAX) > NODES_MAX:
            problems.append(
                f"{filename}: it has more than {NODES_MAX:,} names, values and operations. Move data out of it into "
                "files of its own, and code into other modules below src."
            )
            return None
        return _run_of(tree, filename=filename, main=main, problems=problems, warnings=warnings)
    except SyntaxError as error:
        problems.append(_in_words(error, content, filename))
    except (ValueError, RecursionError, MemoryError) as error:
        problems.append(
            f"{filename}: Python cannot read it ({str(error) or 'nested too deeply'}). Split it into several files."
        )
    return None


def _nodes(tree: ast.AST, *, most: int) -> int:
    """How many nodes ``tree`` has, or one more than ``most``."""
    count = 0
    for _ in ast.walk(tree):
        count += 1
        if count > most:
            break
    return count


def _run_of(
    tree: ast.Module, *, filename: str, main: str, problems: list[str], warnings: list[str]
) -> RunSignature | None:
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
    if main:
        return without_run(main, filename=filename, warnings=warnings)
    problems.append(
        f"{filename}: it has no function named run, and that is what a job calls. "
        f"{_similar(tree)}Add it at the top level of the file: def run(data, params): …"
    )
    return None


def calls_run(main: bytes) -> bool:
    """Whether the file ``main`` takes ``run`` from the program, so that it can do nothing where there is none."""
    return IMPORTS_RUN.search(main) is not None


def without_run(main: str, *, filename: str, warnings: list[str]) -> RunSignature:
    """The signature of a project that starts itself, as those of 2022 could: nothing is known of its input."""
    warnings.append(
        f"{filename}: it has no function named run, so a job runs {main}, as `python -m src` does. It must read its "
        "input from /var/runtime/input and write its result to /var/runtime/output/output.json, or print it as the "
        "templates of 2022 did."
    )
    return RunSignature(line=0)


def _statements_of_module(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that bind names of the module, also those inside if, try and with. An `elif` is one in another."""
    waiting = body[::-1]
    while waiting:
        statement = waiting.pop()
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.TryStar | ast.With):
            inner: list[ast.stmt] = []
            for name in ("body", "handlers", "orelse", "finalbody"):
                for child in getattr(statement, name, []):
                    inner += child.body if isinstance(child, ast.ExceptHandler) else [child]
            waiting += inner[::-1]


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
            annotation=_written(argument.annotation),
            required=required,
        )
        for argument, required in pairs
    )


def _written(annotation: ast.expr | None) -> str:
    if annotation is None:
        return ""
    try:
        return ast.unparse(annotation)[:200]
    except RecursionError:  # it can be parsed deeper than that
        return ""


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
    shown = "".join(char if char.isprintable() else " " for char in text.strip()[:160])
    caret = min(max(column - 1 - indent, 0), len(shown))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    excerpt = f"\n    {shown}\n    {' ' * caret}^" if shown else ""
    return f"{filename}, line {line}: {error.msg} (read as Python {version}). Mend the line and zip again.{excerpt}"


if __name__ == "__main__":
    answer()
