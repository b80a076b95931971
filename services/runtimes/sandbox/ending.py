"""From the facts of an end to its reason, in words for the one who must act: what happened, why, what to do next."""

import signal
from dataclasses import dataclass
from typing import Protocol

from portal.lib.sizes import limit_in_words
from services.runtimes.base import Limits, Usage
from services.runtimes.sandbox.process import Facts

SIGNALS = {
    signal.SIGSEGV: "a segmentation fault: it touched memory that is not its own",
    signal.SIGBUS: "a bus error: it touched memory that is not there",
    signal.SIGABRT: "an abort: a library found itself in a state that must not be",
    signal.SIGFPE: "an arithmetic error, such as an integer division by zero",
    signal.SIGILL: "an illegal instruction: a library was built for another processor",
    signal.SIGSYS: "a forbidden system call",
    signal.SIGKILL: "a kill signal",
    signal.SIGTERM: "a request to terminate",
    signal.SIGXFSZ: "a file larger than it may write",
}
KILLED = {
    "cancelled": "It was cancelled, and every process of it was ended.",
    "lost": "Its supervision was lost, so it was ended to keep it from running twice. Start it again.",
    "timeout": "It was ended because its time was over.",
}


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a command ended. ``reason`` is empty for exit code 0, else a value of jobs.models.Reason."""

    reason: str
    detail: str
    exit_code: int | None
    usage: Usage
    was_started: bool


class Ended(Protocol):
    """What can be judged."""

    limits: Limits

    def facts(self) -> Facts: ...


def judge(process: Ended) -> Ending:
    """The ending of an ended ``process``, as far as the host itself can tell."""
    facts = process.facts()
    reason, detail = reason_of(facts, process.limits)
    return Ending(
        reason=reason,
        detail=detail,
        exit_code=facts.exit_code,
        usage=facts.usage,
        was_started=facts.was_started,
    )


def reason_of(facts: Facts, limits: Limits) -> tuple[str, str]:
    """The reason that ``facts`` of an ended command lead to, and the words for it."""
    if facts.killed:
        too_large = facts.killed == "output_too_large"
        words = output_too_large(limits) if too_large else KILLED.get(facts.killed, f"It was ended: {facts.killed}.")
        return facts.killed, words
    if facts.timed_out:
        return "timeout", timeout(limits)
    if facts.exit_code == 0 and facts.output_gone:
        return "lost", "It succeeded, but its host restarted before its result was collected. Start it again."
    if facts.exit_code == 0:
        # A folder on disk is measured at the end too; a mount that is just full holds what it may.
        return ("output_too_large", output_too_large(limits)) if facts.output_exceeded else ("", "")
    return _judge_failure(facts, limits)


def _judge_failure(facts: Facts, limits: Limits) -> tuple[str, str]:
    if facts.oom_kills:
        return "out_of_memory", out_of_memory(limits)
    if facts.exit_code is None:
        return "lost", lost(facts)
    if facts.refused_forks:
        return "too_many_processes", too_many_processes(limits)
    if facts.spool_full:
        return "output_too_large", (
            "It wrote more than 1 GiB of log to one stream, which is more than is kept for anybody to read, and was "
            "stopped. Print less, or write large data to a file of the output folder."
        )
    if facts.output_full or facts.output_exceeded:
        return "output_too_large", output_too_large(limits)
    return "error", crash(facts.exit_code)


def timeout(limits: Limits) -> str:
    """Words for the time limit."""
    return (
        f"It ran for {_duration(limits.wall_seconds)}, which is its time limit, and was ended. "
        "Raise the time limit of the version, or give it less to do."
    )


def out_of_memory(limits: Limits) -> str:
    """Words for the memory limit."""
    return (
        f"It needed more memory than its limit of {limit_in_words(limits.memory_bytes)}. "
        "Raise the memory of the version, or work on smaller pieces of the data at a time."
    )


def too_many_processes(limits: Limits) -> str:
    """Words for the process limit."""
    return (
        f"It started more processes and threads than its limit of {limits.processes}. "
        "Start fewer at a time; many libraries take their number of threads from OMP_NUM_THREADS."
    )


def output_too_large(limits: Limits) -> str:
    """Words for the quota of what it writes."""
    return (
        f"It wrote more than it may: {limit_in_words(limits.output_bytes)} in {limits.output_files} files at most. "
        "Write less, or compress it first."
    )


def no_room(limits: Limits) -> str:
    """Words for a write that failed: the output folder is full, or /tmp."""
    return (
        f"It ran out of room for files: the output folder takes {limit_in_words(limits.output_bytes)} in "
        f"{limits.output_files} files, and /tmp takes half of the memory limit, "
        f"{limit_in_words(limits.memory_bytes // 2)}. "
        "Write less, or compress it first."
    )


def crash(exit_code: int) -> str:
    """Words for an exit that no limit explains."""
    if 128 < exit_code < 128 + 65:
        number = exit_code - 128
        try:
            name, words = signal.Signals(number).name, SIGNALS.get(signal.Signals(number), "a signal")
        except ValueError:
            name, words = f"signal {number}", "a signal"
        return (
            f"The program crashed with {words} ({name}). The cause lies in the program or in a library it loads; "
            "the end of the log shows where it was."
        )
    return (
        f"The program ended itself with exit code {exit_code}. The end of the log shows what it did last; "
        "it must end with 0 to count as a success."
    )


def lost(facts: Facts) -> str:
    """Words for an end that nobody saw."""
    if not facts.was_started:
        return "It could not be started on its host, or the host went away first. Start it again."
    return (
        "Its sandbox or its host went away while it ran, so nobody knows how far it came. "
        "Start it again if it is safe to run twice."
    )


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{left} s" if left else ""]
    return " ".join(part for part in parts if part) or "0 s"
