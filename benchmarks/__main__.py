"""Runs every benchmark. `python -m benchmarks [--smoke]`; `--smoke` does little and proves that each still works."""

import argparse
import subprocess
import sys

ALL = ("sandbox", "job_latency", "log_stream", "pages", "streams", "token", "gateway", "queue", "warm", "sustained")


def main() -> None:
    """Run them one after the other: side by side they would measure each other."""
    parser = argparse.ArgumentParser(description="Print figures; docs/contributing.md says what they are for.")
    parser.add_argument("--smoke", action="store_true", help="do little, to see that each works")
    flags = ["--smoke"] if parser.parse_args().smoke else []
    for name in ALL:
        print(f"\n== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *flags], check=True)


if __name__ == "__main__":
    main()
