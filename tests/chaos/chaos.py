"""Drives the runs: submits, waits for the step, strikes, and sees to it that every job is settled in time."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from random import Random
from uuid import UUID

from tests.chaos import checks, faults
from tests.chaos.client import GaveUp
from tests.chaos.databases import DatabaseAway, moment, wait_until
from tests.chaos.faults import FAULTS, LONG_SECONDS, Fault
from tests.chaos.runs import IN_SANDBOX, STEPS, Run
from tests.chaos.stack import Stack

RUNS_AT_A_TIME = 24
LONG_RUNS_AT_A_TIME = 12  # of those that last longer than a lease
SETTLED_SECONDS = 15.0
STEP_SECONDS = 8.0  # what is waited for a step before it is struck anyway
POLL_SECONDS = 0.001
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
AFTER_START = STEPS[3:]
MAY_BE_CLAIMED = ("during the POST", "queued", *IN_SANDBOX)


Plan = Iterable[tuple[Fault, Sequence[int]]]  # one strike after the other, each with the seeds of its runs


def by_chance(*, seed: int, count: int, database: str, victims: Sequence[str] = ()) -> Plan:
    """A plan of ``count`` runs from ``seed`` on, of the faults that there are on ``database``."""
    candidates = [fault for fault in FAULTS if fault.is_on(database) and (not victims or fault.victim in victims)]
    begin, end = seed, seed + count
    while begin < end:
        fault = Random(begin).choices(candidates, [fault.weight for fault in candidates])[0]
        runs = LONG_RUNS_AT_A_TIME if fault.ends_leases else RUNS_AT_A_TIME
        yield fault, range(begin, min(begin + runs, end))
        begin += runs


def in_turn(*, seed: int, victims: Sequence[str], runs_at_a_time: int) -> Plan:
    """A plan of one strike for each of ``victims``."""
    by_name = {fault.victim: fault for fault in FAULTS}
    for number, victim in enumerate(victims):
        begin = seed + number * runs_at_a_time
        yield by_name[victim], range(begin, begin + runs_at_a_time)


class Chaos:
    """All runs on one instance."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.runs: list[Run] = []
        self.readable: list[Run] = []  # succeeded, for others to read while something is struck
        self.strikes: Counter[str] = Counter()
        self.settled_after: list[float] = []  # seconds from when all was back
        self.outlived: list[float] = []  # seconds from the end of a lease to that of its sandbox
        self._pool = ThreadPoolExecutor(2 * RUNS_AT_A_TIME)
        self._checks: list[Future[None]] = []
        self._steps: dict[UUID, str] = {}

    def run(self, plan: Plan) -> Iterator[list[Run]]:
        """Do as ``plan`` says, and yield the runs of each strike."""
        for fault, seeds in plan:
            is_long = {seed: fault.ends_leases and seed % 2 == 0 for seed in seeds}
            runs = [Run.of(seed, steps=fault.steps, is_long=is_long[seed]) for seed in seeds]
            self.runs += runs
            self._strike(fault, runs, Random(seeds[0]))
            yield runs
        self._pool.shutdown()
        for check in self._checks:
            check.result()
        checks.check_archived(self.stack, self.runs, seconds=SETTLED_SECONDS)
        checks.check_leftovers(self.stack, self.runs)

    # One strike

    def _strike(self, fault: Fault, runs: list[Run], random: Random) -> None:
        readers = [run for run in runs if run.wanted == "reading" and self.readable]
        ahead = [run for run in runs if run.wanted in (*AFTER_START, "queued") and run not in readers]
        during = [run for run in runs if run.wanted == "during the POST"]
        now, back = threading.Event(), threading.Event()
        posts = [self._pool.submit(self._post, run, random.uniform(0, 0.6)) for run in ahead[1:]]
        posts += [self._pool.submit(self._post_at, run, now, random.uniform(0, 0.01)) for run in during]
        posts += [self._pool.submit(self._read_at, run, random.choice(self.readable), now, back) for run in readers]
        behind = [run for run in runs if run.wanted == "before the POST"]
        struck = threading.Event()
        posts += [self._pool.submit(self._post_at, run, struck, random.uniform(0, 1)) for run in behind]
        if ahead:
            wait_until(time.monotonic() + random.uniform(0, 0.6))
            posts.append(self._pool.submit(self._post, ahead[0], 0))
        if fault.strike is faults.no_fault:
            self._strike_sandboxes(ahead)
        else:
            if ahead:
                self._wait_for_step(ahead[0])
            now.set()
            wait_until(time.monotonic() + random.uniform(0, 0.012) * bool(during or readers))
            fault.strike(self.stack, lambda: self._notice(fault, runs, readers, struck))
            self.strikes[fault.victim] += 1
        now.set()
        struck.set()
        back.set()
        self._settle([run for run in runs if run not in readers], time.monotonic())
        for post in posts:
            post.result()
        for run in runs:
            if run not in readers:
                self._checks.append(self._pool.submit(self._check, run))

    def _check(self, run: Run) -> None:
        checks.check(self.stack, run)
        if run.outcome == "SUCCEEDED" and not run.violations:
            self.readable = [*self.readable[-20:], run]

    def _notice(self, fault: Fault, runs: list[Run], readers: list[Run], struck: threading.Event) -> None:
        leased = []
        for run in runs:
            step = "reading" if run in readers else self.step_of(run)
            run.strikes.append((fault.victim, step))
            run.may_fail |= fault.ends_sandboxes and step in IN_SANDBOX
            run.may_fail |= fault.ends_leases and step in MAY_BE_CLAIMED
            if fault.ends_leases and step in IN_SANDBOX:
                leased.append(run)
        if leased:
            ends = {run.seed: (run, *found) for run in leased if (found := self._lease(run))}
            threading.Thread(target=self._watch_leases, args=(ends,), daemon=True).start()
        struck.set()

    def _lease(self, run: Run) -> tuple[int, float] | None:
        """The attempt of ``run``, and when its lease ends."""
        with suppress(DatabaseAway):
            query = "SELECT attempt, lease_expires_at FROM jobs_job WHERE id = ?"
            attempt, expires_at = self.stack.database.rows(query, run.id)[0]
            return (int(attempt), moment(expires_at)) if expires_at else None
        return None

    def _watch_leases(self, ends: dict[int, tuple[Run, int, float]]) -> None:
        """See that what cannot renew its lease is dead when that ends."""
        until = time.time() + LONG_SECONDS
        while ends and time.time() < until:
            for run, attempt, end in list(ends.values()):
                assert run.id
                sandbox = self.stack.ledger.last(run.id, attempt)
                if sandbox is None or sandbox.has_ended() or not sandbox.pids():
                    if sandbox and sandbox.was_killed():  # else it came to its own end
                        self.outlived.append(time.time() - end)
                    del ends[run.seed]
                elif time.time() > end + 0.05 and "lease" not in {kind for kind, _ in run.violations}:
                    run.broken("lease", "its sandbox lived when its lease had ended")
            time.sleep(0.02)

    def _strike_sandboxes(self, runs: list[Run]) -> None:
        """Kill one process of each when it is at its step."""
        waiting = {run.seed: run for run in runs}
        deadline = time.monotonic() + STEP_SECONDS
        while waiting and time.monotonic() < deadline:
            for run in list(waiting.values()):
                step = self.step_of(run)
                if step not in STEPS or STEPS.index(step) < STEPS.index(run.wanted):
                    continue
                del waiting[run.seed]
                run.strikes.append(("sandbox", step))
                run.may_fail = True
                self.strikes["sandbox"] += faults.kill_one_process(run, self.stack, self._attempt(run))
            time.sleep(POLL_SECONDS)
        for run in waiting.values():
            run.strikes.append(("sandbox", self.step_of(run)))

    def _wait_for_step(self, run: Run) -> None:
        deadline = time.monotonic() + STEP_SECONDS
        wanted = STEPS.index(run.wanted)
        while STEPS.index(self.step_of(run)) < wanted and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def step_of(self, run: Run) -> str:
        """How far it is, from what everybody may see."""
        if run.id is None:
            return STEPS[1] if run.is_posting else STEPS[0]
        with suppress(DatabaseAway):
            query = "SELECT status, attempt, log_archived FROM jobs_job WHERE id = ?"
            found = self.stack.database.rows(query, run.id)
            if found:
                self._steps[run.id] = self._told(run, *found[0])
        return self._steps.get(run.id, "queued")

    def _told(self, run: Run, status: str, attempt: int, is_archived: bool) -> str:
        assert run.id
        sandbox = self.stack.ledger.last(run.id, attempt)
        is_here = sandbox is not None and sandbox.folder.exists()
        if status in ("QUEUED", "STARTING"):
            return "queued" if status == "QUEUED" else "starting"
        if status in FINAL:
            return "clearing up" if is_here else "archived" if is_archived else "archiving"
        if sandbox is None or not is_here:
            return "running, early"
        if (self.stack.home / "files" / "jobs" / str(run.id) / str(attempt)).exists():
            return "settling"
        if sandbox.has_ended():
            return "ended, not settled"
        return "running, late" if 2 * sandbox.printed().count(b"\nline ") > run.lines else "running, early"

    def _attempt(self, run: Run) -> int:
        with suppress(DatabaseAway):
            return int(self.stack.database.rows("SELECT attempt FROM jobs_job WHERE id = ?", run.id)[0][0])
        return 1

    # What the client does

    def _post(self, run: Run, delay: float) -> None:
        wait_until(time.monotonic() + delay)
        run.is_posting = True
        try:
            run.id = UUID(self.stack.caller.post(self.stack.endpoints[run.service], run.body(), run.key))
        except GaveUp as error:
            run.gave_up = str(error)

    def _post_at(self, run: Run, event: threading.Event, delay: float) -> None:
        event.wait()
        self._post(run, delay)

    def _read_at(self, run: Run, other: Run, now: threading.Event, back: threading.Event) -> None:
        """Read what ``other`` left, again and again while something is struck."""
        now.wait()
        while True:
            is_over = back.is_set()
            checks.check_reading(self.stack, run, other)
            if is_over:
                return

    def _settle(self, runs: list[Run], back_at: float) -> None:
        """Wait for the end of all. What has none in time is a violation."""
        waiting = runs
        while waiting := self._live(waiting):
            if time.monotonic() - back_at > SETTLED_SECONDS:
                break
            time.sleep(0.02)
        else:
            self.settled_after.append(time.monotonic() - back_at)
        for run in waiting:
            run.broken("unsettled", f"{self._state(run)} {SETTLED_SECONDS:g} s after everything was back")
        deadline = time.monotonic() + 60
        while (waiting := self._live(waiting)) and time.monotonic() < deadline:  # the next begin with free slots
            time.sleep(0.05)

    def _state(self, run: Run) -> str:
        return self.step_of(run) if run.id else f"not accepted: {run.gave_up or 'no answer yet'}"

    def _live(self, runs: Sequence[Run]) -> list[Run]:
        """Those of ``runs`` that have not ended."""
        asked = [run.id for run in runs if run.id]
        with suppress(DatabaseAway):
            query = f"SELECT id, status FROM jobs_job WHERE id IN ({', '.join('?' for _ in asked) or 'NULL'})"
            final = {UUID(str(pk)) for pk, status in self.stack.database.rows(query, *asked) if status in FINAL}
            return [run for run in runs if run.id not in final and not run.gave_up]
        return list(runs)
