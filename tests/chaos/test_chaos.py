"""A few strikes of `make chaos`, in each run of the suite."""

import os

import pytest

from tests.chaos.chaos import Chaos, in_turn
from tests.chaos.stack import Stack
from tests.chaos.table import table

EMBEDDED = (
    *("worker", "sandbox", "web server", "Valkey", "system worker"),
    *("Valkey, emptied", "sandbox", "both workers", "all but sandboxes", "database, away shortly"),
)
ON_POSTGRES = ("database, away shortly", "worker", "database, frozen shortly")


def strike(*victims: str, seed: int, on_postgres: bool) -> None:
    stack = Stack(on_postgres=on_postgres)
    try:
        stack.start()
        stack.prepare()
        chaos = Chaos(stack)
        for _ in chaos.run(in_turn(seed=seed, victims=victims, runs_at_a_time=2)):
            pass
        broken = [(run.seed, run.id, run.strikes, *breach) for run in chaos.runs for breach in run.violations]
        assert not broken, f"{broken}\n{table(chaos.runs)}\n{stack.log[-20_000:]}"
    finally:
        stack.remove()


@pytest.mark.timeout(300)
def test_ten_strikes_cost_no_job_and_no_line() -> None:
    strike(*EMBEDDED, seed=1, on_postgres=False)


@pytest.mark.timeout(300)
@pytest.mark.postgres
@pytest.mark.skipif(
    "DATABASE_URL" not in os.environ, reason="PostgreSQL has a run of its own: python -m tests.postgres"
)
def test_restarts_of_postgresql_cost_no_job_and_no_line() -> None:
    strike(*ON_POSTGRES, seed=1, on_postgres=True)
