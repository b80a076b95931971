"""What a docstring says of parameters and attributes, in the manner of Sphinx (`:param x:`), Google or numpy."""

import re

LINES_MAX = 500
LINE_MAX_CHARACTERS = 500
DESCRIPTION_MAX_CHARACTERS = 1_000
SPHINX = re.compile(r"\s*:(?:param|ivar|cvar|var)\s+(?:\S+\s+)?(\w+):\s*(.*)")
OTHER_SPHINX = re.compile(r"\s*:\w+[^:]*:")
SECTION = re.compile(r"\s*(Args|Arguments|Parameters|Attributes|Params|Keyword Args|Other Parameters):?\s*")
UNDERLINE = re.compile(r"\s*-{3,}\s*")
GOOGLE_FIELD = re.compile(r"(\s+)(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
NUMPY_FIELD = re.compile(r"(\w+)\s*(?::.*)?")


def documented(text: str) -> dict[str, str]:
    """The words of each name that the docstring ``text`` tells about."""
    lines = [line[:LINE_MAX_CHARACTERS] for line in text.expandtabs().splitlines()[:LINES_MAX]]
    found = _sphinx(lines)
    for index, line in enumerate(lines):
        if not SECTION.fullmatch(line):
            continue
        is_numpy = index + 1 < len(lines) and UNDERLINE.fullmatch(lines[index + 1])
        if is_numpy:
            found |= _numpy(lines[index + 2 :])
        elif line.rstrip().endswith(":"):
            found |= _google(lines[index + 1 :])
    texts = {name: " ".join(filter(None, words))[:DESCRIPTION_MAX_CHARACTERS] for name, words in found.items()}
    return {name: words for name, words in texts.items() if words}


def first_paragraph(text: str) -> str:
    """What the docstring ``text`` says first, in one line; empty where it begins with its parameters."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())[:DESCRIPTION_MAX_CHARACTERS]
    return "" if OTHER_SPHINX.match(paragraph) or SECTION.match(paragraph.partition(":")[0] + ":") else paragraph


def _sphinx(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    words: list[str] | None = None
    for line in lines:
        if match := SPHINX.match(line):
            words = found[match[1]] = [match[2].strip()]
        elif not line.strip() or OTHER_SPHINX.match(line):
            words = None
        elif words is not None:
            words.append(line.strip())
    return found


def _google(lines: list[str]) -> dict[str, list[str]]:
    """The fields of a section: they are indented, and what goes on is indented more."""
    found: dict[str, list[str]] = {}
    words: list[str] = []
    indent: int | None = None
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if not line.strip():
            continue
        if depth == 0:
            break
        indent = depth if indent is None else indent
        match = GOOGLE_FIELD.fullmatch(line)
        if depth <= indent and match:
            words = found[match[2]] = [match[3].strip()]
        else:
            words.append(line.strip())
    return found


def _numpy(lines: list[str]) -> dict[str, list[str]]:
    """The fields of a section: names at the margin, words below them, until the next heading."""
    found: dict[str, list[str]] = {}
    words: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if UNDERLINE.fullmatch(following):
            break
        if line[:1].strip() and (match := NUMPY_FIELD.fullmatch(line.rstrip())):
            words = found[match[1]] = []
        elif line.strip():
            words.append(line.strip())
    return found
