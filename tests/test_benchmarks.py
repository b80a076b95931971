"""That the benchmarks still work. What they measure is nobody's test: absolute figures vary with load."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.__main__ import ALL
from benchmarks.instance import RUNNING
from benchmarks.token import NO_LIMITS
from tests.live_stack import LiveStack

STARTS_ITS_OWN = "sustained"  # with a package index beside it; the others may share one


@pytest.fixture(scope="module")
def stack():
    """An instance for all that need one."""
    stack = LiveStack(**NO_LIMITS)
    yield stack.start()
    stack.remove()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ALL)
def test_a_benchmark_runs(name, stack):
    running = {"home": str(stack.home), "port": stack.port, "bootstrap": stack.bootstrap}
    shared = {} if name == STARTS_ITS_OWN else {RUNNING: json.dumps(running)}
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--smoke"],
        env=os.environ | shared,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert " ms" in done.stdout
