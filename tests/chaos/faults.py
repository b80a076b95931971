"""The faults: what is struck, and when it is back. Each gets the instance and the runs that are under way."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import redis

from tests import children
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
    database: str = ""  # where it can be struck only with one

    def is_on(self, database: str) -> bool:
        """Whether it can be struck on an instance with ``database``."""
        return self.database in ("", database)


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
    with _stopped(*(victims := children.of(stack.pid("web")))):
        notice()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
    _wait(lambda: set(children.of(stack.pid("web"))) - set(victims), "a web worker")
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


def kill_and_wipe_valkey(stack: Stack, notice: Notice) -> None:
    """Kill -9 of the broker, and nothing is left of its data folder when it is started again."""
    pid = stack.pid("valkey")
    with _stopped(pid):
        notice()
        shutil.rmtree(stack.home / "valkey")
        os.kill(pid, signal.SIGKILL)
    _wait(lambda: stack.has_started_again("valkey", since=pid), "Valkey to start again")
    _wait_for_all(stack)


def flush_valkey(stack: Stack, notice: Notice) -> None:
    """All that the broker knows is gone, while it goes on."""
    with _broker(stack) as client, _stopped(stack.pid("work"), stack.pid("system")):
        notice()
        client.flushall()
    _wait_for_all(stack)


def pause(name: str, seconds: float) -> Callable[[Stack, Notice], None]:
    """Stop a child of `up` for a while, and let it go on as if nothing had been."""

    def strike(stack: Stack, notice: Notice) -> None:
        with _stopped(stack.pid(name)):
            notice()
            wait_until(time.monotonic() + seconds)
        _wait_for_all(stack)

    return strike


def pause_host(seconds: float) -> Callable[[Stack, Notice], None]:
    """Stop everything for a while, as a machine that is suspended."""

    def strike(stack: Stack, notice: Notice) -> None:
        with _stopped(*stack.processes()):
            notice()
            with _stopped(*(pid for sandbox in stack.ledger.alive() for pid in sandbox.pids())):
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


def freeze_database(seconds: float) -> Callable[[Stack, Notice], None]:
    """The server of the database stands still for a while: connections stay open, and nobody answers on them."""

    def strike(stack: Stack, notice: Notice) -> None:
        processes = stack.database.processes()
        notice()  # before: nobody can ask it in the block
        with _stopped(*processes):
            wait_until(time.monotonic() + seconds)
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
    Fault("Valkey, killed and emptied", 4, kill_and_wipe_valkey),
    Fault("Valkey, emptied", 4, flush_valkey),
    Fault("Valkey, paused shortly", 2, pause("valkey", SHORT_SECONDS)),
    Fault("Valkey, paused long", 1, pause("valkey", LONG_SECONDS)),
    Fault("worker, paused shortly", 2, pause("work", SHORT_SECONDS)),
    Fault("worker, paused long", 2, pause("work", LONG_SECONDS), steps=IN_SANDBOX, ends_leases=True),
    Fault("system worker, paused long", 1, pause("system", LONG_SECONDS)),
    Fault("all, paused long", 2, pause_host(LONG_SECONDS)),
    Fault("database, away shortly", 4, cut_database(SHORT_SECONDS)),
    Fault("database, away long", 3, cut_database(LONG_SECONDS), ends_leases=True),
    Fault("database, frozen shortly", 4, freeze_database(SHORT_SECONDS), database="PostgreSQL"),
    Fault("database, frozen long", 3, freeze_database(LONG_SECONDS), ends_leases=True, database="PostgreSQL"),
)


def kill_one_process(run: Run, stack: Stack, attempt: int) -> bool:
    """Kill -9 of one process of the sandbox of ``run``, whichever. False if it has none any more."""
    assert run.id
    sandbox = stack.ledger.last(run.id, attempt)
    # The process that ends a warm start is nobody's any more, or of the next job.
    pids = sandbox.pids() if sandbox and sandbox.folder.exists() else []
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
    with _broker(stack) as client:
        _wait(lambda: _pings(client), "Valkey")


def _broker(stack: Stack) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(stack.run_dir / "valkey.sock"), socket_timeout=2)


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _wait(condition: Callable[[], object], what: str) -> None:
    wait_for(condition, what=what, seconds=BACK_SECONDS, interval=POLL_SECONDS)
