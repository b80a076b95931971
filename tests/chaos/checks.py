"""What must be true of every job, whatever was struck. A breach is noted on the run, by its kind and in words."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.chaos.client import GaveUp
from tests.chaos.databases import ask
from tests.chaos.runs import Run
from tests.chaos.stack import Sandbox, Stack, WarmStart
from tests.waiting import wait_for

PRINTED = re.compile(rb"begin (\w+)\n(.*)end \1\n", re.DOTALL)
FREE_SECONDS = 15
ARCHIVED_SECONDS = 60  # faults that follow may delay it
FAILURES = ("lost", "error", "out_of_memory")  # a killed sandbox, and killed code in one


def check(stack: Stack, run: Run) -> None:
    """Look at a settled job from all sides."""
    if run.id is None:
        run.broken("lost", run.gave_up or "it was never accepted")
        return
    columns = "status, reason, detail, attempt, ended_at"
    found = ask(stack.database, f"SELECT {columns} FROM jobs_job WHERE id = ?", run.id)
    if not found:
        run.broken("lost", "it was accepted, and there is no row of it")
        return
    status, reason, detail, attempt, ended_at = found[0]
    if ended_at is None:
        return  # unsettled, which was noted
    run.outcome = status
    _check_end(run, status, reason, detail)
    _check_counts(stack, run, run.id)
    try:
        _wait_for_archive(stack, run.id)  # what waited for the broker gets there after the end of the job
        _check_log(stack, run, run.id, attempt)
        if status == "SUCCEEDED":
            _check_result(stack, run, run.id, attempt)
    except GaveUp as error:
        run.broken("lost", f"what it left cannot be read: {error}")


def check_reading(stack: Stack, run: Run, other: Run) -> None:
    """Read what ``other`` left, and note on ``run`` what is not as it should be."""
    before = len(other.violations)
    assert other.id
    try:
        _check_result(stack, other, other.id, _attempt(stack, other.id))
        _check_log(stack, other, other.id, _attempt(stack, other.id))
    except GaveUp as error:
        run.broken("lost", f"the result of another job could not be read: {error}")
    run.violations += other.violations[before:]
    del other.violations[before:]
    run.id, run.outcome = None, "read"


def check_archived(stack: Stack, runs: Sequence[Run], *, seconds: float) -> None:
    """Every log has to be in storage soon after the last fault, those of cut-off attempts too."""
    deadline = time.monotonic() + seconds
    queries = (
        "SELECT id FROM jobs_job WHERE NOT log_archived AND ended_at IS NOT NULL",
        "SELECT job_id FROM jobs_jobattempt WHERE NOT log_archived",
    )
    while (left := [row[0] for query in queries for row in ask(stack.database, query)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    by_id = {run.id: run for run in runs}
    for pk in left:
        by_id[UUID(str(pk))].broken("unsettled", f"its log is not archived {seconds:g} s after the last fault")


def check_leftovers(stack: Stack, runs: Sequence[Run]) -> None:
    """Nothing may be left in slots, mounts, control groups and processes."""
    slots = stack.home / "jobs" / "slots"
    runs[-1].violations += [("leftover", words) for words in _left(stack, slots, seconds=FREE_SECONDS)]


def _left(stack: Stack, slots: Path, *, seconds: float) -> list[str]:
    def found() -> list[str]:
        folders = [str(path.relative_to(slots)) for path in slots.glob("job-*/*-*")]
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if str(slots) in line]
        started = stack.ledger.all()
        groups = [path for sandbox in started for path in sandbox.record["group"].values() if Path(path).exists()]
        pids = [f"process {pid}" for sandbox in started for pid in sandbox.pids()]
        return folders + mounts + groups + pids

    try:
        wait_for(lambda: not found(), what="clean slots", seconds=seconds, interval=0.2)
    except AssertionError:
        return found()
    return []


def _wait_for_archive(stack: Stack, job: UUID) -> None:
    """Until the log is whole; `check_archived` says whether that is in time."""
    deadline = time.monotonic() + ARCHIVED_SECONDS
    while not ask(stack.database, "SELECT log_archived FROM jobs_job WHERE id = ?", job)[0][0]:
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _attempt(stack: Stack, job: UUID) -> int:
    return int(ask(stack.database, "SELECT attempt FROM jobs_job WHERE id = ?", job)[0][0])


def _check_end(run: Run, status: str, reason: str, detail: str) -> None:
    if status == "SUCCEEDED":
        return
    if not run.may_fail:
        run.broken("failed", f"{status} {reason}: {detail} (no fault was its own)")
    elif status != "FAILED" or reason not in FAILURES or not detail:
        run.broken("failed", f"{status} {reason}: {detail} (not what a lost sandbox is told as)")


def _check_counts(stack: Stack, run: Run, job: UUID) -> None:
    used = ask(stack.database, "SELECT outcome FROM services_usageevent WHERE job_id = ?", job)
    if [row[0] for row in used] != [run.outcome]:
        run.broken("doubled", f"counted as used: {used}, and it is {run.outcome}")
    if ask(stack.database, "SELECT 1 FROM jobs_jobinput WHERE job_id = ? AND secrets <> ''", job):
        run.broken("secret", "its secrets are still in the database")
    keys = ask(stack.database, "SELECT job_id FROM jobs_idempotencykey WHERE key = ?", run.key)
    if len(keys) != 1:
        run.broken("doubled", f"{len(keys)} jobs for one Idempotency-Key")
    starts = [_printed(run, sandbox) for sandbox in stack.ledger.of(job)]
    begun = sum(b"begin " in printed for printed in starts)
    ended = sum(PRINTED.fullmatch(printed) is not None for printed in starts)
    if not run.is_retryable and (begun > 1 or ended > 1):
        run.broken("doubled", f"its code was begun {begun} times and ended {ended} times")
    if any(run.secret.encode() in printed for printed in starts):
        run.broken("secret", "its secret was printed")


def _check_log(stack: Stack, run: Run, job: UUID, attempt: int) -> None:
    """Every line that its code printed, once and in order."""
    told = json.loads(stack.caller.get(f"{stack.endpoints[run.service]}/{job}/log"))
    sandboxes = stack.ledger.attempt(job, max(attempt, 1))
    for channel, is_error in (("out", False), ("err", True)):
        lines = [line["message"] for line in told if (line["severity"] == "ERROR") == is_error]
        wanted = b"".join(_printed(run, sandbox, channel) for sandbox in sandboxes).decode().splitlines()
        if lines == wanted or (_is_warm(sandboxes) and _go_on(run, channel, lines, wanted)):
            continue
        if len(lines) > len(wanted):
            more = lines[len(wanted)][:100]
            run.broken(
                "doubled", f"{len(lines)} lines of {channel} in its log, of {len(wanted)} that it printed: {more}"
            )
        else:
            at = next((n for n, pair in enumerate(zip(lines, wanted, strict=False)) if pair[0] != pair[1]), len(lines))
            run.broken("lines", f"{len(lines)} of {len(wanted)} lines of {channel} in its log, the same up to {at}")


def _printed(run: Run, sandbox: Sandbox, channel: str = "out") -> bytes:
    """What of it is of ``run``: who looked late saw the next job of a warm interpreter."""
    head, begun = f"begin {run.nonce}".encode(), sandbox.printed()[: len(f"begin {run.nonce}")]
    is_of_next = isinstance(sandbox, WarmStart) and not head.startswith(begun)
    return b"" if is_of_next else sandbox.printed(channel)


def _is_warm(starts: Sequence[Sandbox]) -> bool:
    return bool(starts) and isinstance(starts[-1], WarmStart)


def _go_on(run: Run, channel: str, told: list[str], seen: list[str]) -> bool:
    """Whether ``told`` has what was ``seen`` and goes on as its code does; to the end where it succeeded.

    Only the shell around a warm interpreter writes to ``err``, when that is killed: it may be after the end of the job.
    """
    if channel == "err":
        return {*told, *seen} == {"Killed"}
    if not told or not told[0].startswith(f"begin {run.nonce}") or told[: len(seen)] != seen:
        return False
    whole = run.output(told[0].removeprefix("begin "))
    return told == whole.splitlines() if run.outcome == "SUCCEEDED" else whole.startswith("\n".join(told))


def _execution(run: Run, sandbox: Sandbox | None, result: dict[str, Any]) -> str:
    """The one that printed. A warm interpreter may have emptied its spools before it was seen."""
    if isinstance(sandbox, WarmStart):
        told = str(result.get("execution"))
        begun = _printed(run, sandbox).partition(b"\n")[0].decode()
        return told if told.startswith(run.nonce) and begun in ("", f"begin {told}") else "unknown"
    whole = PRINTED.fullmatch(sandbox.printed()) if sandbox else None
    return whole[1].decode() if whole else "unknown"


def _check_result(stack: Stack, run: Run, job: UUID, attempt: int) -> None:
    """What a client gets is what the code of its last attempt returned."""
    endpoint = f"{stack.endpoints[run.service]}/{job}"
    result = json.loads(stack.caller.get(f"{endpoint}/result"))
    execution = _execution(run, stack.ledger.last(job, attempt), result)
    wanted = {"nonce": run.nonce, "execution": execution, "secret": len(run.secret)}
    if {name: result.get(name) for name in wanted} != wanted:
        run.broken("result", f"{str(result)[:300]} instead of {wanted}")
    files = {name for name in result["_links"] if name.startswith("part-")}
    if files != {f"part-{number}.txt" for number in range(run.files)}:
        run.broken("result", f"its files are {sorted(files)}")
    elif stack.caller.get(f"{endpoint}/result/part-0.txt") != run.file(0):
        run.broken("result", "its file has another content")
