"""A host that forbids sandboxes, as far as we can see of one: a bubblewrap that fails, and settings of a kernel."""

import secrets
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.runtimes.sandbox import probing, tools
from tests.settings import TESTS_HOME

# What bubblewrap says where nothing more special does: a container engine's own filter of system calls.
NOT_PERMITTED = "bwrap: Creating new namespace failed: Operation not permitted"
BWRAP = """#!/bin/sh
case "$1" in
--help) echo {options};;
--version) echo bubblewrap 0.8.0;;
*) echo {message} >&2; exit 1;;
esac
"""


@contextmanager
def forbidding_host(message: str = NOT_PERMITTED, sysctls: dict[str, str] | None = None) -> Iterator[Path]:
    """Within it, sandboxes fail with ``message`` and the kernel has ``sysctls`` (name below /proc/sys: value)."""
    folder = TESTS_HOME / f"forbidding-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    bwrap = folder / "bwrap"
    bwrap.write_text(
        BWRAP.format(options=shlex.quote(" ".join(tools.BWRAP_OPTIONS)), message=shlex.quote(message)),
    )
    bwrap.chmod(0o755)
    for name, value in (sysctls or {}).items():
        (folder / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "sys" / name).write_text(f"{value}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder), prepend=":")
        patch.setattr(probing, "SYSCTLS", folder / "sys")
        _forget()
        try:
            yield folder
        finally:
            _forget()
            shutil.rmtree(folder)


def _forget() -> None:
    probing._probe.cache_clear()
    tools.tools.cache_clear()
