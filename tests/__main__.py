"""`python -m tests` runs the whole suite in two lanes side by side, because much of it waits for something.

One lane has what uses a whole instance, then what uses the database of a test, on PostgreSQL; the other has the rest.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from tests.live_stack import SHARED

UNCACHED = ("-p", "no:cacheprovider")
FIRST = (("pytest", "-m", "not stack"),)
SECOND = (("pytest", "-m", "stack", *UNCACHED), ("tests.postgres", "-m", "postgres", *UNCACHED))


def main() -> int:
    """Run both; what the second prints follows what the first does."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else hundreds of processes compile all of it again
    with (
        tempfile.TemporaryDirectory(prefix="mercato-shared-") as shared,
        tempfile.TemporaryFile("w+") as printed,
        ThreadPoolExecutor(1) as lane,
    ):
        os.environ[SHARED] = shared
        second = lane.submit(run, SECOND, into=printed)
        code = run(FIRST)
        code_of_second = second.result()
        printed.seek(0)
        sys.stdout.write(f"\n== with a whole instance, and on PostgreSQL\n{printed.read()}")
    return code or code_of_second


def run(modules: Sequence[Sequence[str]], *, into: IO[str] | None = None) -> int:
    """Run one after the other; the first exit code that is no success, else 0."""
    codes = [
        subprocess.run([sys.executable, "-m", *module], stdout=into, stderr=into, check=False).returncode
        for module in modules
    ]
    return next(filter(None, codes), 0)


if __name__ == "__main__":
    sys.exit(main())
