"""What a project asks to have installed: read from its files, checked and normalised. Nothing is resolved here.

Only names of packages pass, because only those can be installed from wheels of the operator's index without running
foreign code, and mean the same on every host.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from services.runtimes.base import UserError

FILES_MAX_BYTES = 1024 * 1024  # of all requirement files of a project together
PACKAGES_MAX = 1000
REQUIREMENT_MAX_CHARACTERS = 1000  # without its hashes
SHOWN_MAX_CHARACTERS = 200
YAML_DEPTH_MAX = 50  # libyaml takes quadratic time for brackets in brackets
KEY = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
LONG_KEY = re.compile(rf"(?<![\w-]){KEY}(?:[ \t]*+\.[ \t]*+{KEY}){{60}}")  # for which tomllib takes quadratic time
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
VCS = ("git+", "hg+", "svn+", "bzr+")
ARCHIVES = (".whl", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz")

# What pip would do with these is what every build does anyway.
OPTIONS_WITHOUT_EFFECT = {"--prefer-binary", "--only-binary", "--require-hashes"}
OPTIONS_OF_INDEXES = {
    "-i", "--index-url", "--extra-index-url", "--no-index", "-f", "--find-links", "--trusted-host", "--pypi-url"
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What to install. ``packages`` and ``constraints`` are sorted PEP 508 texts, so equal wishes are equal texts."""

    origin: str  # the file they were read from; empty where the project names none
    packages: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)  # package → the SHA-256 that its file must have
    notes: tuple[str, ...] = ()  # for the log: what was noticed


def read(project: Path, *, python: str) -> Requirements:
    """What ``project`` needs on an interpreter of version ``python`` (like `3.11.2`). Raises UserError.

    The first of these that exists counts: requirements.txt, the pip part of environment.yml, pyproject.toml.
    """
    reader = _Reader(project, python)
    for name, read_file in (
        ("requirements.txt", reader.requirements_txt),
        ("environment.yml", reader.environment_yml),
        ("environment.yaml", reader.environment_yml),
        ("pyproject.toml", reader.pyproject_toml),
    ):
        if (project / name).is_file() and read_file(name):
            return reader.result(name)
    return reader.result("")


class _Reader:
    """Collects what the files of one project say."""

    def __init__(self, project: Path, python: str) -> None:
        self.project = project.resolve()
        self.python = python
        self.packages: set[str] = set()
        self.constraints: set[str] = set()
        self.hashes: dict[str, set[str]] = defaultdict(set)
        self.notes: list[str] = []
        self.seen: set[tuple[Path, bool]] = set()
        self.bytes_left = FILES_MAX_BYTES

    def result(self, origin: str) -> Requirements:
        return Requirements(
            origin=origin,
            packages=tuple(sorted(self.packages)),
            constraints=tuple(sorted(self.constraints)),
            hashes={name: frozenset(values) for name, values in sorted(self.hashes.items())},
            notes=tuple(self.notes),
        )

    def requirements_txt(self, name: str) -> bool:
        self._file(self.project / name, as_constraints=False)
        return True

    def environment_yml(self, name: str) -> bool:
        """False where it has no pip part: then it says nothing about pip, and the next file counts."""
        document = _load_yaml(self._text(self.project / name), name)
        dependencies = document.get("dependencies") if isinstance(document, dict) else None
        entries = dependencies if isinstance(dependencies, list) else []
        parts = [entry["pip"] for entry in entries if isinstance(entry, dict) and "pip" in entry]
        names = [re.split(r"[\s=<>!~]", entry)[0] for entry in entries if isinstance(entry, str)]
        if ignored := sorted(set(names) - {"python", "pip"}):
            self.notes.append(
                f"{name} names conda packages that are not installed: {', '.join(ignored)}. Only its pip part is read; "
                "move what the code needs there, or to requirements.txt."
            )
        if not parts:
            return False
        lines = [line for part in parts for line in (part if isinstance(part, list) else [part])]
        for line in lines:
            if not isinstance(line, str):
                raise UserError(
                    f"{name}: the pip part holds {_shown(line)}, which is no text. List one requirement a line."
                )
            self._line(line.strip(), f"{name}, pip part", self.project, as_constraints=False)
        return True

    def pyproject_toml(self, name: str) -> bool:
        text = self._text(self.project / name)
        if LONG_KEY.search(text):
            raise UserError(f"{name} has a key of more than 60 parts. Mend it, or put a requirements.txt beside it.")
        try:
            document = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{name} is not valid TOML: {error}. Mend it, or put a requirements.txt beside it."
            ) from None
        table = document.get("project")
        if not isinstance(table, dict):
            self.notes.append(f"{name} has no [project] table, so it names no dependencies that could be read.")
            return False
        dynamic = table.get("dynamic")
        if isinstance(dynamic, list) and "dependencies" in dynamic:
            raise UserError(
                f"{name} declares its dependencies as dynamic, and only running its build code could tell them, which "
                "a build here never does. List them under [project] dependencies, or in a requirements.txt."
            )
        self._check_python(name, table.get("requires-python"))
        dependencies = table.get("dependencies", [])
        if not isinstance(dependencies, list) or not all(isinstance(line, str) for line in dependencies):
            raise UserError(f'{name}: [project] dependencies is not a list of texts. Write dependencies = ["name", …].')
        for line in dependencies:
            self._requirement(line, f"{name}, [project] dependencies", as_constraints=False)
        return True

    def _check_python(self, name: str, wanted: object) -> None:
        if wanted is None:
            return
        try:
            fits = SpecifierSet(str(wanted)[:SHOWN_MAX_CHARACTERS]).contains(self.python, prereleases=True)
        except InvalidSpecifier:
            raise UserError(
                f'{name}: requires-python = {_shown(wanted)} is no version range. Write it like ">=3.10".'
            ) from None
        if not fits:
            raise UserError(
                f"{name} asks for Python {str(wanted)[:SHOWN_MAX_CHARACTERS]}, and code runs on Python "
                f"{self.python} here. "
                "Widen requires-python if the code allows it, or ask the operator for another interpreter."
            )

    def _file(self, path: Path, *, as_constraints: bool) -> None:
        if (path, as_constraints) in self.seen:
            return
        self.seen.add((path, as_constraints))
        name = path.relative_to(self.project).as_posix()
        for number, line in _logical_lines(self._text(path)):
            self._line(line, f"{name}, line {number}", path.parent, as_constraints=as_constraints)

    def _text(self, path: Path) -> str:
        name = path.relative_to(self.project).as_posix()
        if not path.resolve().is_relative_to(self.project):
            raise UserError(f"{name} is a link that leaves the project. Put the file itself into the zip.")
        with path.open("rb") as file:
            content = file.read(self.bytes_left + 1)
        self.bytes_left -= len(content)
        if self.bytes_left < 0:
            raise UserError(
                f"{name}: the requirement files have more than {FILES_MAX_BYTES:,} bytes together. "
                "List only what the code imports; what those packages need is found by itself."
            )
        encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            raise UserError(f"{name} is not text in UTF-8 (byte {error.start + 1:,}). Save it as UTF-8.") from None

    def _line(self, line: str, where: str, folder: Path, *, as_constraints: bool) -> None:
        if not line.startswith("-"):
            self._requirement(line, where, as_constraints=as_constraints)
            return
        match = re.match(r"(--[\w-]+|-\w)\s*=?\s*(.*)", line)
        option, value = match.groups() if match else (line, "")
        if option in ("-r", "--requirement", "-c", "--constraint"):
            constraints = as_constraints or option in ("-c", "--constraint")
            self._file(self._included(value.strip("\"'"), where, folder), as_constraints=constraints)
        elif option not in OPTIONS_WITHOUT_EFFECT:
            raise UserError(_refused_option(option, where))

    def _included(self, value: str, where: str, folder: Path) -> Path:
        if "://" in value:
            raise UserError(
                f"{where}: {value!r} is an address, and a build reads only files of its own project. "
                "Put that file into the zip and name it by its path."
            )
        path = (folder / value).resolve()
        if not path.is_relative_to(self.project):
            raise UserError(
                f"{where}: {value!r} lies outside the project, and only files of the zip can be included. "
                "Put that file into the zip and name it by its path."
            )
        if not path.is_file():
            raise UserError(f"{where}: there is no file {value!r} in the zip. Add it, or remove the line.")
        return path

    def _requirement(self, line: str, where: str, *, as_constraints: bool) -> None:
        text, *options = re.split(r"(?<=\s)(?=--)", line)
        requirement = _parse(text.rstrip(), where)
        name = canonicalize_name(requirement.name)
        for option in options:
            match = re.fullmatch(r"--hash[=\s]\s*(\w+):([0-9a-fA-F]+)", option.strip())
            if not match:
                raise UserError(_refused_option(option.split("=")[0].split()[0], where))
            if match[1] == "sha256":
                self.hashes[name].add(match[2].lower())
        if options and not self.hashes[name]:
            raise UserError(f"{where}: no hash of {name} is a SHA-256. Add --hash=sha256:…, or remove the hashes.")
        (self.constraints if as_constraints else self.packages).add(_normalised(requirement))
        if len(self.packages) > PACKAGES_MAX:
            raise UserError(
                f"{where}: the project asks for more than {PACKAGES_MAX:,} packages, and each one costs the index a "
                "question. Name those that the code imports; what they need comes along."
            )


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers: continued ones joined; without comments and blank ones. As pip reads them."""
    pending, begun = "", 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        begun = begun if pending else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            pending += line[:-1]
            continue
        whole, pending = re.sub(r"(^|(?<=\s))#.*$", "", pending + line).strip(), ""
        if whole:
            yield begun, whole


def _parse(text: str, where: str) -> Requirement:
    if len(text) > REQUIREMENT_MAX_CHARACTERS:
        raise UserError(
            f"{where}: {_shown(text)} is no requirement (it has more than {REQUIREMENT_MAX_CHARACTERS:,} characters). "
            "Write a name and versions: numpy>=2,<3."
        )
    try:
        requirement = Requirement(text)
    except (InvalidRequirement, RecursionError) as error:
        if refusal := _refused_place(text):
            raise UserError(f"{where}: {refusal}") from None
        reason = str(error).splitlines()[0].strip().removesuffix(".")
        raise UserError(
            f"{where}: {_shown(text)} is no requirement ({reason}). Write a name and versions: numpy>=2,<3."
        ) from None
    if requirement.url or requirement.name.lower().endswith(ARCHIVES):
        raise UserError(f"{where}: {_refused_place(requirement.url or requirement.name)}")
    return requirement


def _refused_place(place: str) -> str:
    """Why a requirement that says where its code lies, not how it is called, is refused; empty if it does not."""
    low = place.lower()
    place = re.sub(r"//[^/@]*@", "//", place)  # what is shown and logged holds no password
    if low.startswith(VCS):
        return (
            f"{place!r} is a repository. Installing from one runs its build code and gives other code tomorrow. "
            "Use a released wheel by its name, or copy the code into the project's src folder."
        )
    if "://" in low and not low.startswith("file:"):
        return (
            f"{place!r} is an address. Builds fetch packages only from the index that the operator has chosen. "
            "Use a released wheel by its name, or copy the code into the project's src folder."
        )
    if (
        low.startswith((".", "/", "~", "file:"))
        or low.split("#")[0].endswith(ARCHIVES)
        or re.match(r"[^\s\[;<>=]*/", low)
    ):
        return (
            f"{place!r} is a local path. Builds install released wheels by name, never files or folders, because those "
            "would have to be built, which runs their code. Copy the code into the project's src folder instead."
        )
    return ""


def _refused_option(option: str, where: str) -> str:
    if option in OPTIONS_OF_INDEXES:
        return (
            f"{where}: the option {option} is not allowed, because the operator decides where packages come from. "
            "Remove it; if a package is missing from the index, ask the operator to add it."
        )
    if option in ("-e", "--editable"):
        return (
            f"{where}: the option {option} is not allowed, because an editable install runs build code. "
            "The project's own src folder can be imported without it: remove the line."
        )
    if option == "--pre":
        return f"{where}: the option --pre is not allowed. Pin the pre-release that the code needs: name==2.0rc1."
    return (
        f"{where}: the option {option} is not allowed; only -r, -c and --hash are, because builds install wheels and "
        "never build anything. Remove it."
    )


def _normalised(requirement: Requirement) -> str:
    extras = ",".join(sorted(canonicalize_name(extra) for extra in requirement.extras))
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{canonicalize_name(requirement.name)}{f'[{extras}]' if extras else ''}{requirement.specifier}{marker}"


def _shown(value: object) -> str:
    """What somebody wrote, in quotation marks, as far as it fits into a message."""
    text = repr(value)
    return text if len(text) <= SHOWN_MAX_CHARACTERS else f"{text[:SHOWN_MAX_CHARACTERS]}…"


def _load_yaml(text: str, name: str) -> Any:
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise UserError(f"{name} uses YAML aliases (`*name`), which are not read. Write the values out.")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > YAML_DEPTH_MAX:
                raise UserError(f"{name} is nested deeper than {YAML_DEPTH_MAX} levels. Write it flatter.")
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{name} is not valid YAML: {error}. Mend it, or put a requirements.txt beside it.") from None
