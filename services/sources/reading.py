"""Has a child parse foreign code, because that may take for ever, or all memory, and the kernel ends a child in time.

A formatted string of 1 MB takes Python minutes, half a million statements take a gigabyte, and some encodings are
decoded in quadratic time. What a child has read within its limits, others may parse again.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.lib.sizes import limit_in_words
from services.sources import program
from services.sources.program import Parameter, RunSignature

CPU_SECONDS = 3
WALL_SECONDS = 60  # a host so busy that three seconds of CPU take longer has other worries
MEMORY_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Read:
    """What is told of a program; ``run`` is None where it has problems. ``modules`` are those that are tame."""

    run: RunSignature | None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    modules: tuple[str, ...] = ()


def read(content: bytes, *, filename: str, main: str, modules: Mapping[str, str]) -> Read:
    """What `program.read_run` tells of ``content``, and which of the ``modules`` (path: text) may be parsed."""
    limits = (str(CPU_SECONDS), str(MEMORY_BYTES))
    asked = {"filename": filename, "main": main, "program": content.decode("latin-1"), "modules": dict(modules)}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-W", "ignore", program.__file__, *limits],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=WALL_SECONDS,
            check=False,
        )
        said = done.stdout
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
    lines = said[: said.rfind(b"\n") + 1].splitlines()
    if not lines:
        words = (
            f"{filename}: Python needs more than {CPU_SECONDS} s or {limit_in_words(MEMORY_BYTES)} to read "
            "it, which code that people write hardly does. Move data out of it into files of its own."
        )
        return Read(run=None, problems=[words])
    first, *tame = (json.loads(line) for line in lines)
    run = first["run"] and _signature(first["run"])
    return Read(run=run, problems=first["problems"], warnings=first["warnings"], modules=tuple(tame))


def _signature(document: dict[str, Any]) -> RunSignature:
    parameters = document.pop("parameters")
    if parameters is not None:
        parameters = tuple(Parameter(**parameter) for parameter in parameters)
    return RunSignature(**document, parameters=parameters)
