"""The faults: what is struck, and when it is back. Each gets the instance and the runs that are under way."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import redis

from tests.chaos.databases import wait_until
from tests.chaos.runs import IN_SANDBOX, STEPS, Run
from tests.chaos.stack import LEASE_SECONDS, Stack
from tests.waiting import wait_for

BACK_SECONDS = 60.0
SHORT_SECONDS = 2.0  # within the lease
LONG_SECONDS = LEASE_SECONDS + 4.0  # beyond it
POLL_SECONDS = 0.01

Notice = Callable[[], None]  # to be called in the moment of the strike


@dataclass(frozen=True)
class Fault:
    """A kind of fault: its victim, how often it is chosen, and what it is allowed to cost."""

    victim: str
    weight: int
    strike: Callable[[Stack, Notice], None]  # returns when what was struck is back
    steps: tuple[str, ...] = STEPS  # at which it is of interest
    ends_sandboxes: bool = False  # so that jobs may end as lost
    ends_leases: bool = False  # so that sandboxes have to be dead by then


def kill_child(*names: str) -> Callable[[Stack, Notice], None]:
    """Kill -9 of children of `up`, which starts them again."""

    def strike(stack: Stack, notice: Notice) -> None:
        pids = {name: stack.pid(name) for name in names}
        since = stack.log_length()
        with _stopped(*pids.values()):  # so that what is noticed is what it leaves
            notice()
            for pid in pids.values():
                os.kill(pid, signal.SIGKILL)
        for name, pid in pids.items():
            _wait(lambda name=name, pid=pid: stack.has_started_again(name, since=pid), f"{name} to start again")
        workers = [name for name in names if name in ("work", "system")]
        _wait(lambda: not workers or stack.has_ready_workers(*workers, since=since), "the workers")
        _wait_for_all(stack)

    return strike


def kill_web_worker(stack: Stack, notice: Notice) -> None:
    """Kill -9 of the process that answers; the web server forks another one."""
    with _stopped(*(victims := _children(stack.pid("web")))):
        notice()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
    _wait(lambda: set(_children(stack.pid("web"))) - set(victims), "a web worker")
    _wait_for_all(stack)


def kill_platform(stack: Stack, notice: Notice) -> None:
    """Kill -9 of everything but the sandboxes; then `up` again."""
    stack.kill_platform(notice)
    _start_again(stack)


def kill_host(stack: Stack, notice: Notice) -> None:
    """Kill -9 of everything with the sandboxes, as a host does that loses power; then `up` again."""

    def kill_sandboxes() -> None:
        notice()
        for sandbox in stack.ledger.alive():
            sandbox.kill()

    stack.kill_platform(kill_sandboxes)
    _start_again(stack)


def pause_worker(seconds: float) -> Callable[[Stack, Notice], None]:
    """Stop the worker for a while, and let it go on as if nothing had been."""

    def strike(stack: Stack, notice: Notice) -> None:
        with _stopped(stack.pid("work")):
            notice()
            wait_until(time.monotonic() + seconds)
        _wait_for_all(stack)

    return strike


def cut_database(seconds: float) -> Callable[[Stack, Notice], None]:
    """Nobody reaches the database for a while."""

    def strike(stack: Stack, notice: Notice) -> None:
        began = time.monotonic()
        with stack.database.cut(notice):
            wait_until(began + seconds)
        _wait_for_all(stack)

    return strike


def no_fault(stack: Stack, notice: Notice) -> None:
    """The victims are the sandboxes of the jobs themselves: see Chaos."""


FAULTS = (
    Fault("worker", 26, kill_child("work")),
    Fault("sandbox", 22, no_fault, steps=IN_SANDBOX, ends_sandboxes=True),
    Fault("web server", 10, kill_child("web")),
    Fault("web worker", 6, kill_web_worker),
    Fault("system worker", 8, kill_child("system")),
    Fault("Valkey", 12, kill_child("valkey")),
    Fault("both workers", 4, kill_child("work", "system")),
    Fault("all but sandboxes", 4, kill_platform),
    Fault("all, sandboxes too", 3, kill_host, ends_sandboxes=True),
    Fault("worker, paused shortly", 2, pause_worker(SHORT_SECONDS)),
    Fault("worker, paused long", 2, pause_worker(LONG_SECONDS), steps=IN_SANDBOX, ends_leases=True),
    Fault("database, away shortly", 4, cut_database(SHORT_SECONDS)),
    Fault("database, away long", 3, cut_database(LONG_SECONDS), ends_leases=True),
)


def kill_one_process(run: Run, stack: Stack, attempt: int) -> bool:
    """Kill -9 of one process of the sandbox of ``run``, whichever. False if it has none any more."""
    assert run.id
    sandbox = stack.ledger.last(run.id, attempt)
    pids = sandbox.pids() if sandbox else []
    with suppress(ProcessLookupError):
        if pids:
            os.kill(run.random.choice(pids), signal.SIGKILL)
            return True
    return False


@contextmanager
def _stopped(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _start_again(stack: Stack) -> None:
    since = stack.log_length()
    stack.launch("--no-demo")
    _wait(lambda: stack.has_ready_workers(since=since), "the workers")
    _wait_for_all(stack)


def _wait_for_all(stack: Stack) -> None:
    """Until the web server and the broker answer."""
    _wait(stack.answers, "the web server")
    with redis.Redis(unix_socket_path=str(stack.run_dir / "valkey.sock"), socket_timeout=2) as client:
        _wait(lambda: _pings(client), "Valkey")


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _children(pid: int) -> list[int]:
    with suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 (no file of a disk)
        return [int(word) for word in file.read().split()]
    return []


def _wait(condition: Callable[[], object], what: str) -> None:
    wait_for(condition, what=what, seconds=BACK_SECONDS, interval=POLL_SECONDS)
