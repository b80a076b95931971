"""The tables of what came of it, in Markdown: docs/reliability.md quotes them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.chaos.faults import FAULTS
from tests.chaos.runs import STEPS, Run

COLUMNS = ("runs", "succeeded", "failed, with the reason", "lost", "doubled", "unsettled", "lines missing", "other")
COLUMN_OF = {"lost": "lost", "doubled": "doubled", "unsettled": "unsettled", "lines": "lines missing"}


def table(runs: Iterable[Run]) -> str:
    """What became of the jobs, by victim; and how far they were when it was struck."""
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    hits: dict[str, Counter[str]] = defaultdict(Counter)
    failures: dict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        victim, step = run.strikes[-1] if run.strikes else ("nothing", STEPS[0])
        for row in (outcomes[victim], outcomes["**all**"]):
            row.update(_outcome(run))
        hits[step][victim] += 1
        failures[step][victim] += run.outcome == "FAILED"
    victims = [name for name in (*(fault.victim for fault in FAULTS), "nothing") if name in outcomes]
    rows = [(name, *(str(outcomes[name][column]) for column in COLUMNS)) for name in (*victims, "**all**")]
    seen = [step for step in STEPS if step in hits]
    steps = [(victim, *(_cell(hits[step][victim], failures[step][victim]) for step in seen)) for victim in victims]
    return "\n\n".join((_markdown(("victim", *COLUMNS), rows), _markdown(("victim", *seen), steps)))


def _outcome(run: Run) -> Counter[str]:
    found: Counter[str] = Counter(runs=1)
    found["succeeded"] += run.outcome in ("SUCCEEDED", "read")
    found["failed, with the reason"] += run.outcome == "FAILED"
    for kind in {COLUMN_OF.get(kind, "other") for kind, _ in run.violations}:
        found[kind] += 1
    return found


def _cell(runs: int, failed: int) -> str:
    return f"{runs} ({failed} failed)" if failed else str(runs or "")


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
