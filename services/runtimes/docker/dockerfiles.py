"""What a Dockerfile may say here: it begins with images of registries and with stages of its own, never with an image
that the engine has for somebody else.

The engine takes the beginning of an id for a name, and the images of all accounts lie side by side in it. So each name
is read before the engine reads it, and what could be read in two ways is refused.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings

from services.runtimes import image_names
from services.runtimes.base import UserError

NAME = "Dockerfile"
MAX_BYTES = 256 * 1024
SHOWN_MAX_CHARACTERS = 200
EXPANDED_MAX_CHARACTERS = 1000
CONTINUES = re.compile(r"\\[ \t]*\Z")
COMMENT = re.compile(r"\s*#")
OTHER_ESCAPE = re.compile(r"\s*#\s*escape\s*=\s*[^\\\s]", re.IGNORECASE)
QUOTING = str.maketrans("", "", "'\"\\")
WORDS = re.compile(r"\A\s*(?:ONBUILD\s+)?([A-Z]+)\s+(.*)", re.IGNORECASE | re.DOTALL)
HERE_DOCUMENT = re.compile(r"<<-?\s*[\"']?\w")
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?([-+])([^{}$]*))?\})")
REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|git@", re.IGNORECASE)


def check(path: Path) -> list[str]:
    """Refuse what the engine would not refuse, or not in words. The images that it begins with. Raises UserError."""
    if not path.is_file():
        raise UserError(f"{NAME}: it is missing at the top of the project, and it says how the image is made.")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{NAME}: it is longer than {MAX_BYTES // 1024} KiB. Make it shorter.")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    names = _Names()
    names.check(text)
    return list(names.bases)


def check_triggers(triggers: Iterable[str]) -> None:
    """What a base image does in the builds of others (ONBUILD). Raises UserError."""
    names = _Names()
    for trigger in triggers:
        names.check(str(trigger))


def instructions(text: str) -> Iterator[str]:
    """The instructions of a Dockerfile, each in one line; comments are left out."""
    held = ""
    for line in _lines(text):
        if COMMENT.match(line) or (held and not line.strip()):
            continue
        if CONTINUES.search(line):
            held += f"{CONTINUES.sub('', line)} "
            continue
        if (held + line).strip():
            yield held + line
        held = ""
    if held.strip():
        yield held


class _Names:
    """The names of images in one Dockerfile, from the top to the bottom."""

    def __init__(self) -> None:
        self.stages: set[str] = set()
        self.count = 0
        self.has_documents = False  # what stands in one is an instruction to some engines only
        self.bases: dict[str, None] = {}
        self.arguments = _Values()
        self.variables = _Values()  # those of ENV too

    def check(self, text: str) -> None:
        for line in _lines(text):
            if not COMMENT.match(line):
                break
            if OTHER_ESCAPE.match(line):
                raise UserError(f"{NAME}: lines go on with a backslash here. Remove the line `{_shown(line)}`.")
        self.has_documents = HERE_DOCUMENT.search(text) is not None
        whole = list(instructions(text))
        for instruction in whole:
            self._read(instruction)
        # Engines differ in where an instruction ends. What could be one for some engine is looked at as one too.
        for line in set(_lines(text)) - set(whole):
            if re.match(r"\s*(?:ONBUILD\s+)?(?:FROM|COPY|ADD)\s", line, re.IGNORECASE):
                self._read(line, is_whole=False)

    def _read(self, line: str, *, is_whole: bool = True) -> None:
        found = WORDS.match(line)
        if found is None:
            return
        keyword, words = found[1].upper(), found[2].translate(QUOTING).split()
        if keyword in ("ARG", "ENV"):
            self._assign(keyword, words)
        elif keyword == "FROM":
            self._from(words, line, is_whole=is_whole)
        elif keyword in ("COPY", "ADD", "RUN"):
            for name in _sources(keyword, words):
                self._check(name, line)
            if keyword == "ADD":
                self._check_files(words, line)

    def _assign(self, keyword: str, words: list[str]) -> None:
        if keyword == "ENV" and len(words) > 1 and "=" not in words[0]:  # its older form, of a single one
            words = [f"{words[0]}={' '.join(words[1:])}"]
        for name, sign, value in (word.partition("=") for word in words):
            if sign:
                self.variables.assign(name, value)
                if keyword == "ARG":
                    self.arguments.assign(name, value)

    def _check_files(self, words: list[str], line: str) -> None:
        """Refuse addresses: the engine itself would fetch them, and the host's own network is within its reach."""
        for word in [word for word in words if not word.startswith("--")][:-1]:
            name = self.variables.expanded(word.strip("[],"))
            if "$" in name or REMOTE.match(name):
                why, advice = "builds have no network here", ""
                if settings.BUILD_NETWORK != "none":
                    why, advice = "the engine itself would fetch it, from its host's network", ", or fetch it in a RUN"
                raise UserError(
                    f"{NAME}: ADD takes files of the project only, because {why}: {_shown(line)}. Put the file into "
                    f"the project and COPY it by its name{advice}."
                )

    def _from(self, words: list[str], line: str, *, is_whole: bool) -> None:
        words = [word for word in words if not word.startswith("--")]
        base = self._check(self.arguments.expanded(words[0]), line) if words else ""
        if is_whole:
            if base:
                self.bases[base] = None
            self.count += 1
            if len(words) >= 3 and words[1].lower() == "as":
                self.stages.add(words[2].lower())

    def _check(self, name: str, line: str) -> str:
        """The image that ``name`` is; empty for a stage of this file."""
        is_stage = name.lower() in self.stages or (name.isdecimal() and int(name) < self.count)
        if name in ("", "scratch") or (is_stage and not (self.has_documents and image_names.may_be_id(name))):
            return ""
        if "$" in name:
            reason = "Write the name of the image out, or give its ARG one default before it."
        else:
            reason = image_names.problem_with_base(name)
        if not reason:
            return name
        raise UserError(f"{NAME}: `{_shown(line)}` names an image that is not taken. {reason}")


class _Values:
    """What variables are for certain, wherever in the file they are asked for."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.is_ambiguous: set[str] = set()

    def assign(self, name: str, value: str) -> None:
        if len(value) > EXPANDED_MAX_CHARACTERS or self.known.setdefault(name, value) != value:
            self.is_ambiguous.add(name)

    def expanded(self, text: str) -> str:
        """``text`` with values in it; a `$` stays where one is not known for certain."""
        for _ in range(10):
            if "$" not in text or len(text) > EXPANDED_MAX_CHARACTERS:
                break
            text = VARIABLE.sub(self._value, text)
        return text[: EXPANDED_MAX_CHARACTERS + 1]

    def _value(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        value = "$" if name in self.is_ambiguous else self.known.get(name, "")
        if found[3] == "+":
            return found[4] if value else ""
        if found[3] == "-":
            return value or found[4]
        return value or "$"


def _sources(keyword: str, words: Iterable[str]) -> Iterator[str]:
    """What the flags of a COPY or RUN name as the image or stage to take files from."""
    for word in words:
        flag, _, value = word.partition("=")
        if flag.lower() == "--from" and keyword != "RUN":
            yield value
        elif flag.lower() == "--mount" and keyword == "RUN":
            yield from (part.partition("=")[2] for part in value.split(",") if part.lower().startswith("from="))


def _lines(text: str) -> list[str]:
    """As an engine splits them: Python knows more ends of lines."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def _shown(line: str) -> str:
    return " ".join(line.split())[:SHOWN_MAX_CHARACTERS]
