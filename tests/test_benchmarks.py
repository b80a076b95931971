"""That the benchmarks still work. What they measure is nobody's test: absolute figures vary with load."""

import subprocess
import sys

import pytest

from benchmarks.__main__ import ALL


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ALL)
def test_a_benchmark_runs(name):
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--smoke"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert " ms" in done.stdout
