"""Which files of a project a .dockerignore keeps away from its build.

Matched without regular expressions: a line with ten stars would keep one busy for years, and all else with it.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from services.runtimes.base import UserError

NAME = ".dockerignore"
MAX_BYTES = 64 * 1024
PATTERNS_MAX = 300
LINE_MAX_CHARACTERS = 500
SECONDS_MAX = 10.0
ANY_DEPTH = "**"

Pattern = tuple[bool, tuple[str, ...]]  # whether it brings back, and what each folder and the file must look like


def files(project: Path, *, needed: str) -> list[str]:
    """The files and folders of ``project`` that a build gets, ``needed`` in any case. Raises UserError."""
    patterns = _patterns(project / NAME)
    chosen = {needed}
    until = time.monotonic() + SECONDS_MAX
    for path, is_kept in _walk(project, "", patterns, frozenset()):
        if is_kept:
            chosen.add(path)
        if time.monotonic() > until:
            raise UserError(f"{NAME}: it takes too long to match with the project. Use fewer lines with fewer stars.")
    return sorted(chosen)


def _walk(folder: Path, prefix: str, patterns: list[Pattern], above: frozenset[int]) -> Iterator[tuple[str, bool]]:
    """What lies in ``folder``, and whether the build gets it.

    ``above`` are the patterns that a folder above matches: what they say counts for all in it.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        parts = [*prefix.split("/")[:-1], entry.name]
        hits = above | {
            number for number, (_, wanted) in enumerate(patterns) if number not in above and _matches(parts, wanted)
        }
        last = max(hits, default=None)
        is_kept = last is None or patterns[last][0]
        is_folder = entry.is_dir(follow_symlinks=False)
        yield prefix + entry.name, is_kept
        if is_folder and (is_kept or any(brings_back for brings_back, _ in patterns)):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", patterns, hits)


def _patterns(path: Path) -> list[Pattern]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return []
    lines = [line.strip() for line in content.decode("utf-8-sig", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(content) > MAX_BYTES or len(lines) > PATTERNS_MAX or any(len(line) > LINE_MAX_CHARACTERS for line in lines):
        raise UserError(
            f"{NAME}: it has more than {PATTERNS_MAX} lines, {LINE_MAX_CHARACTERS} characters in one, or "
            f"{MAX_BYTES // 1024} KiB. Name folders instead of files."
        )
    found = []
    for line in lines:
        brings_back = line.startswith("!")
        parts = os.path.normpath(line.removeprefix("!").strip()).strip("/").split("/")
        if parts != ["."]:
            found.append((brings_back, tuple(parts)))
    return found


def _matches(parts: list[str], wanted: tuple[str, ...]) -> bool:
    """Whether a path, in its parts, is what a pattern says. `**` is any number of parts; at the end, one at least."""
    places = {0}  # in the pattern, where the parts so far may have led
    for part in parts:
        found = set()
        for place in _with_skipped(places, wanted):
            if wanted[place] == ANY_DEPTH:
                found |= {place, place + 1} if place + 1 == len(wanted) else {place}
            elif _fits(part, wanted[place]):
                found.add(place + 1)
        places = found
    return len(wanted) in places


def _with_skipped(places: set[int], wanted: tuple[str, ...]) -> set[int]:
    """``places`` and what comes behind a `**` that stands for nothing."""
    found = set(places)
    for place in range(len(wanted) - 1):
        if place in found and wanted[place] == ANY_DEPTH:
            found.add(place + 1)
    return found - {len(wanted)}


def _fits(name: str, pattern: str) -> bool:
    """Whether ``name`` is what ``pattern`` says: `*`, `?`, `[a-z]`, and a backslash before what is meant as it is."""
    at, place, star, retry = 0, 0, -1, 0
    while at < len(name):
        if place < len(pattern) and pattern[place] == "*":
            star, retry = place, at
            place += 1
            continue
        behind = _one(name[at], pattern, place)
        if behind:
            at, place = at + 1, behind
        elif star >= 0:  # the last star takes one more; no earlier one needs to
            retry += 1
            at, place = retry, star + 1
        else:
            return False
    return not pattern[place:].strip("*")


def _one(letter: str, pattern: str, place: int) -> int:
    """The place behind what stands for ``letter`` in ``pattern``; 0 where that is another one."""
    if place >= len(pattern):
        return 0
    kind = pattern[place]
    if kind == "?":
        return place + 1
    if kind == "[" and (end := pattern.find("]", place + 2)) > 0:
        return end + 1 if _is_in(letter, pattern[place + 1 : end]) else 0
    if kind == "\\" and place + 1 < len(pattern):
        place += 1
    return place + 1 if pattern[place] == letter else 0


def _is_in(letter: str, letters: str) -> bool:
    if is_not := letters[:1] == "^":
        letters = letters[1:]
    found = False
    while letters:
        if letters[1:2] == "-" and len(letters) > 2:
            found |= letters[0] <= letter <= letters[2]
            letters = letters[3:]
        else:
            found |= letters[0] == letter
            letters = letters[1:]
    return found is not is_not
