"""Processes that tests start. They end with the test process however that ends, so no run leaves servers behind."""

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from portal.lib import lifeline


def of(pid: int) -> list[int]:
    """The pids of the children of ``pid``."""
    with suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 (no file of a disk)
        return [int(word) for word in file.read().split()]
    return []


def start(command: list[str], *, env: Mapping[str, str] | None = None, **options: Any) -> "subprocess.Popen[bytes]":
    """`subprocess.Popen`, tied to this process; what the child forks itself is tied to the child."""
    return subprocess.Popen(
        command,
        env={**(os.environ if env is None else env), lifeline.VARIABLE: str(os.getpid())},
        preexec_fn=partial(lifeline.end_with_parent, os.getpid()),
        **options,
    )
