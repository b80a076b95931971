"""`python -m tests.chaos [--runs N] [--seed N] [--postgres] [--only VICTIM ...]`; ends with 1 on a breach."""

import argparse
import statistics
import sys
import time

from tests.chaos.chaos import Chaos, by_chance
from tests.chaos.faults import FAULTS
from tests.chaos.stack import Stack
from tests.chaos.table import table


def main() -> int:
    """Strike, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others follow")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, which is restarted too")
    parser.add_argument("--only", nargs="*", default=(), choices=[fault.victim for fault in FAULTS], metavar="VICTIM")
    parser.add_argument("--keep", action="store_true", help="leave the data folder, for a look at it")
    options = parser.parse_args()
    stack = Stack(on_postgres=options.postgres)
    try:
        stack.start()
        stack.prepare()
        chaos = Chaos(stack)
        plan = by_chance(seed=options.seed, count=options.runs, database=stack.database.name, victims=options.only)
        began = time.monotonic()
        try:
            for runs in chaos.run(plan):
                _tell(chaos, len(runs), began)
        finally:
            _report(chaos, stack, time.monotonic() - began)
    finally:
        if options.keep:
            stack.stop()
            stack.database.close()
            print(f"kept: {stack.home}")
        else:
            stack.remove()
    return int(any(run.violations for run in chaos.runs))


def _tell(chaos: Chaos, count: int, began: float) -> None:
    done = len(chaos.runs)
    seconds = time.monotonic() - began
    latest = chaos.runs[-1].strikes[-1:] or [("none", "")]
    took = f"{chaos.settled_after[-1]:.1f} s" if chaos.settled_after else "too long"
    line = f"{done} runs, {done / seconds:.1f} a second; {latest[0][0]}, settled after {took}"
    print(line, file=sys.stderr, flush=True)
    for run in chaos.runs[-count:]:
        for kind, words in run.violations:
            print(f"  seed {run.seed} job {run.id} {run.strikes}: {kind}: {words}", file=sys.stderr, flush=True)


def _report(chaos: Chaos, stack: Stack, seconds: float) -> None:
    print(table(chaos.runs))
    faults = sum(chaos.strikes.values())
    print(f"\n{len(chaos.runs)} runs and {faults} faults on {stack.database.name} in {seconds:.0f} s.")
    print(f"{stack.ledger.count_warm()} starts were in interpreters that are kept warm.")
    if chaos.settled_after:
        slowest = max(chaos.settled_after)
        print(f"All settled after p50 {statistics.median(chaos.settled_after):.1f} s, at most {slowest:.1f} s.")
    if chaos.outlived:
        print(f"Sandboxes that could not renew their leases ended {-max(chaos.outlived):.1f} s or more before them.")
    for run in chaos.runs:
        for kind, words in run.violations:
            print(f"BROKEN: seed {run.seed}, job {run.id}, {run.strikes}: {kind}: {words}")


if __name__ == "__main__":
    sys.exit(main())
