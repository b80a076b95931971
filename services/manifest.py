"""`planqk.json` and `qhub.json`: what a project of those platforms says about itself, taken where nobody chose else.

Foreign input: what has another form than it should is left out, and said.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

NAMES = ("qhub.json", "planqk.json")  # the newer one first
MAX_BYTES = 64 * 1024
NAME_MAX_CHARACTERS = 100
MIB_A_GB = 1024  # their "4 GB" are the 4 GiB of an engine


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What the file says, as far as it means something here. None: nothing."""

    file: str = ""
    name: str = ""
    description: str = ""
    runtime: str | None = None
    cpu_millis: int | None = None
    memory_mib: int | None = None
    notes: list[str] = field(default_factory=list)  # what is left out, for the provider


def read(text: str, *, file: str) -> Manifest:
    """The manifest in ``text``, which lay in the project as ``file``."""
    if not text:
        return Manifest(file=file)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Manifest(file=file, notes=[f"{file}: it is not valid JSON ({error}), so nothing of it counts. Mend it."])
    if not isinstance(found, dict):
        return Manifest(file=file, notes=[f"{file}: it is no JSON object, so nothing of it counts. Mend it."])
    asked = found.get("resources")
    resources: dict[str, Any] = asked if isinstance(asked, dict) else {}
    notes: list[str] = []
    cpu = _number(resources, "cpu", file=file, notes=notes)
    memory = _number(resources, "memory", file=file, notes=notes)
    if resources.get("gpu"):
        notes.append(f"{file}: it asks for a GPU, and this instance has none to give. The code runs without.")
    runtime = found.get("runtime")
    kinds = {"PYTHON_TEMPLATE": "python", "DOCKER": "docker"}
    if runtime is not None and runtime not in list(kinds):
        notes.append(f"{file}: its runtime is none of {' and '.join(kinds)}, so the files of the project decide.")
    return Manifest(
        file=file,
        name=_words(found, "name")[:NAME_MAX_CHARACTERS],
        description=_words(found, "description"),
        runtime=kinds.get(runtime) if isinstance(runtime, str) else None,
        cpu_millis=None if cpu is None else round(cpu * 1000),
        memory_mib=None if memory is None else round(memory * MIB_A_GB),
        notes=notes,
    )


def within(manifest: Manifest, *, cpu_millis: tuple[int, int], memory_mib: tuple[int, int]) -> dict[str, int]:
    """The resources that the manifest asks for, each brought between the least and the most that is possible."""
    bounds = {"cpu_millis": cpu_millis, "memory_mib": memory_mib}
    asked = {name: getattr(manifest, name) for name in bounds}
    return {name: min(max(value, bounds[name][0]), bounds[name][1]) for name, value in asked.items() if value}


def note(manifest: Manifest, taken: dict[str, int], words: dict[str, Callable[[int], str]]) -> list[str]:
    """What was taken of the resources, in words for the provider; ``words`` say a value of each."""
    if not taken:
        return []
    said = " and ".join(words[name](value) for name, value in taken.items())
    less = [words[name](asked) for name, value in taken.items() if value != (asked := getattr(manifest, name))]
    instead = f" (it asks for {' and '.join(less)}, which this instance does not allow)" if less else ""
    return [f"{manifest.file}: {said} are taken from it{instead}. Choose others in the form of the next version."]


def _words(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    return " ".join(value.split()) if isinstance(value, str) and value.isprintable() else ""


def _number(resources: dict[str, Any], key: str, *, file: str, notes: list[str]) -> float | None:
    value = resources.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1_000_000:
        notes.append(f"{file}: resources.{key} is no number above zero, so it does not count. Mend it.")
        return None
    return float(value)
