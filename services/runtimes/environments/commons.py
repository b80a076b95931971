"""`planqk.commons` and `qhub.commons`, which code may import without listing them: one environment for all that do.

It is locked and made like any other, and jobs see it beside their own, where it is looked at last. The lock of an
environment names it, so a version runs for ever with what it was built with.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from services.runtimes import sandbox
from services.runtimes.base import PlatformError, UserError, say
from services.runtimes.environments import locks, places
from services.runtimes.environments.requirements import Requirements
from services.runtimes.environments.workshop import CannotFetch, Workshop, header

PACKAGES = ("planqk-commons>=1.32,<2", "qhub-commons>=1.2,<2")
# The pin `pydantic<2.10` of planqk-commons is in its metadata only; newer Pythons have no wheel of what it allows.
OVERRIDES = ("pydantic>=2.9,<3",)
OLDEST_PYTHON = (3, 10)
IMPORT = re.compile(
    rb"^[ \t]*(?:from|import)[ \t]+(planqk|qhub|loguru|pydantic|yaml)\b|\b(planqk|qhub)\.commons\b", re.MULTILINE
)
LISTED_AS = {  # what may be imported → the package that has it
    "planqk": "planqk-commons",
    "qhub": "qhub-commons",
    "loguru": "loguru",
    "pydantic": "pydantic",
    "yaml": "pyyaml",
}
FILES_MAX, FILE_MAX_BYTES = 2_000, 1_000_000
MARK = "# commons "


def is_wanted(source: Path, listed: Requirements, interpreter: sandbox.Interpreter) -> bool:
    """Whether the code in ``source`` imports anything of it that is not ``listed``, and ``interpreter`` can have it."""
    numbers = tuple(int(part) for part in interpreter.version.split(".")[:2])
    names = {re.split(r"[^a-z0-9-]", package)[0] for package in listed.packages}
    imported = {
        LISTED_AS[(found[1] or found[2]).decode()] for text in _texts(source) for found in IMPORT.finditer(text)
    }
    return numbers >= OLDEST_PYTHON and not imported <= names


def find(interpreter: sandbox.Interpreter) -> str | None:
    """The key of its lock for ``interpreter``; None where it was never resolved."""
    return locks.find(_wish(interpreter))


def ensure(bench: Workshop, key: str | None, *, fresh: bool) -> str:
    """Have it on this host: that of the lock ``key``, or where that is None or not to be had any more, a new one.

    So it is where a build is to look for versions ``fresh``; if the index has none now, those of ``key`` stay.

    Returns the key of its lock; empty, with a note in the log, where the index has none of it.
    """
    if key and not fresh and make(bench, key):
        return key
    key = resolve(bench) or key
    return key if key and make(bench, key) else ""


def resolve(bench: Workshop) -> str:
    """Lock it: both packages, or what the index has of them. Returns the key; empty, with a note, where it has none."""
    say(bench.log, "\nThe code imports planqk.commons, qhub.commons or a package of theirs, which it need not list.")
    for packages in (PACKAGES, *((package,) for package in PACKAGES)):
        try:
            text = bench.resolve(Requirements(origin="", packages=packages), overrides=OVERRIDES)
        except CannotFetch as error:  # the other two tries would wait for the same
            say(bench.log, f"Note: so of these only the classes SecretValue and DataPool can be imported. {error}")
            return ""
        except UserError:
            continue
        first, rest = text.split("\n", 1)
        return locks.save(f"{first}\n{MARK}itself\n{rest}", wish=_wish(bench.interpreter))
    say(
        bench.log,
        "Note: the package index has neither planqk-commons nor qhub-commons, so of these only the classes SecretValue "
        "and DataPool can be imported. What else the code needs must be listed in its requirements.",
    )
    return ""


def make(bench: Workshop, key: str) -> bool:
    """Make the environment ``key`` on this host; False, with a note, where it cannot be downloaded."""
    if not places.exists(key):
        try:
            bench.make(locks.read(key), mounted_at=places.COMMONS_AT)
        except (UserError, PlatformError) as error:
            say(bench.log, f"Note: planqk.commons and qhub.commons could not be installed: {error}")
            return False
    return True


def named_in(text: str) -> str:
    """The key that the lock ``text`` of another environment names; empty for none."""
    second = text.split("\n", 2)[1] if text.count("\n") > 1 else ""
    key = second.removeprefix(MARK)
    return key if second.startswith(MARK) and key != "itself" else ""


def name_in(text: str, key: str) -> str:
    """The lock ``text``, naming ``key``."""
    first, rest = text.split("\n", 1)
    return f"{first}\n{MARK}{key}\n{rest}"


def _wish(interpreter: sandbox.Interpreter) -> str:
    return locks.key_of("\n".join(("commons", header(interpreter), *PACKAGES, *OVERRIDES)))


def _texts(source: Path) -> Iterator[bytes]:
    """The Python files below ``source``, and what they list."""
    for number, path in enumerate(sorted(source.rglob("*.py"))):
        if number == FILES_MAX:
            return
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                yield file.read(FILE_MAX_BYTES)
