"""The input: one JSON file a top-level key."""

from __future__ import annotations

import os

from . import jsons

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any


class InvalidInput(Exception):
    """The input does not fit the program. The text is for whoever sent it."""


def read(folder: str) -> dict[str, Any]:
    """The values of the files in ``folder``, by the names of the files without `.json`."""
    values = {}
    for entry in sorted(os.listdir(folder)):
        name, extension = os.path.splitext(entry)
        if extension == ".json":
            values[name] = _load(os.path.join(folder, entry), name)
    return values


def _load(path: str, name: str) -> Any:
    with open(path, encoding="utf-8-sig") as file:
        try:
            return jsons.loads(file.read())
        except RecursionError:
            raise InvalidInput(f"The input `{name}` is nested too deeply. Send it flatter.") from None
        except ValueError as error:
            raise InvalidInput(f"The input `{name}` is no valid JSON: {error}.") from None
