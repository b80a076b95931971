"""Processes that tests start. They end with the test process however that ends, so no run leaves servers behind."""

import os
import subprocess
from collections.abc import Mapping
from functools import partial
from typing import Any

from portal.lib import lifeline


def start(command: list[str], *, env: Mapping[str, str] | None = None, **options: Any) -> "subprocess.Popen[bytes]":
    """`subprocess.Popen`, tied to this process; what the child forks itself is tied to the child."""
    return subprocess.Popen(
        command,
        env={**(os.environ if env is None else env), lifeline.VARIABLE: str(os.getpid())},
        preexec_fn=partial(lifeline.end_with_parent, os.getpid()),
        **options,
    )
