"""What the sandbox adds to the start and the end of a program, against a bare spawn of the same runner in one run.

`python -m benchmarks.sandbox [--smoke]`
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from uuid import uuid4

from benchmarks.instance import milliseconds, percentile


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="three runs, to see that it works")
    times = 3 if parser.parse_args().smoke else 100
    home = Path(tempfile.mkdtemp(prefix="mercato-bench-"))
    home.chmod(0o711)
    os.environ |= {"MERCATO_HOME": str(home), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    try:
        _measure(home, times)
    finally:
        shutil.rmtree(home)


def _measure(home: Path, times: int) -> None:
    import django  # noqa: PLC0415 (the environment is set only now)

    django.setup()
    from services.runtimes import environments, sandbox, slots  # noqa: PLC0415
    from services.runtimes.base import Limits  # noqa: PLC0415

    slot = slots.acquire("job")
    assert slot is not None
    python = str(sandbox.host().interpreter.path)
    argv = [python, "-I", "-c", "print(1)"]
    limits = Limits(
        cpu_millis=1000,
        memory_bytes=512 * 1024 * 1024,
        wall_seconds=60,
        processes=64,
        output_bytes=environments.limits().output_bytes,
        output_files=1000,
    )

    def sandboxed() -> None:
        process = sandbox.start(
            slot=slot, command=sandbox.Command(argv=argv, limits=limits), label={"id": str(uuid4())}
        )
        while not process.ended():
            process.wait(1)
        if process.read("out", 0) != b"1\n":
            raise SystemExit(f"The sandbox did not run the program: {process.read('err', 0).decode()}")
        process.discard()

    sandboxed()
    bare = milliseconds(lambda: subprocess.run(argv, capture_output=True, check=True), times)
    inside = milliseconds(sandboxed, times)
    slot.release()
    print(f"bare spawn   {statistics.median(bare):6.1f} ms p50  {percentile(bare, 95):6.1f} ms p95")
    print(f"sandboxed    {statistics.median(inside):6.1f} ms p50  {percentile(inside, 95):6.1f} ms p95")
    more = statistics.median(inside) - statistics.median(bare)
    ratio = statistics.median(inside) / statistics.median(bare)
    print(f"the sandbox adds {more:.1f} ms  (goal on an idle machine: ≤ 8), ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
