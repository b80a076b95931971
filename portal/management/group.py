"""Runs child processes as one group: prefixes their output, starts again what dies, ends all of them together.

One thread, one loop. That is not taste: the kernel ends a child when the *thread* that forked it ends, and code between
fork and exec is safe only while no other thread holds a lock.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from portal.lib import lifeline
from portal.lib.folders import NotOurs, make_private

BACKOFF_FIRST_SECONDS = 0.2
BACKOFF_MAX_SECONDS = 10.0
BACKOFF_RESET_SECONDS = 30.0  # a child that lived so long starts again as if for the first time
STOP_SECONDS = 3.0
STOP_LAST_SECONDS = 1.0
TWINS_SECONDS = 0.5
CHUNK_BYTES = 65_536


@dataclass(kw_only=True, eq=False)
class Child:
    """A process of the group, kept alive; with ``on_end`` one that runs once and whose standard output goes there."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    ends_last: bool = False  # the others need it until they have ended
    log: Path | None = None  # where to read more when it ended by itself
    folder: Path | None = None  # that it cannot start without: made again where somebody removed it
    on_end: Callable[[int, str], None] | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float | None = None  # when it starts again
    backoff: float = BACKOFF_FIRST_SECONDS
    printed: list[str] = field(default_factory=list)

    def is_running(self) -> bool:
        """Whether the process lives. It is not reaped here: until then nothing else gets the number of its group."""
        if self.process is None or self.process.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


class Group:
    """The children and their loop. ``show(name, line)`` prints; each child has a ``<name>.pid`` in ``pid_dir``."""

    def __init__(self, *, show: Callable[[str, str], None], pid_dir: Path, stop_seconds: float = STOP_SECONDS) -> None:
        self._show = show
        self._stop_seconds = stop_seconds  # between SIGTERM and SIGKILL
        self._pid_dir = pid_dir
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._asked_at: float | None = None  # when somebody asked to stop
        self._in_haste = False

    def add(self, child: Child) -> None:
        """Start ``child`` and keep it."""
        self._children.append(child)
        self._start(child)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start children in the block; after it they are kept alive until a signal asks to stop, and then all end.

        They end as well when the block fails. A signal during the block is heard after it.
        """
        with self._hearing_signals():
            try:
                yield
                while self._asked_at is None:
                    self._tend()
            finally:
                self._stop()

    @contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """While the block runs, SIGINT, SIGTERM and SIGHUP ask to stop, and SIGCHLD wakes the loop."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        before_fd = signal.set_wakeup_fd(writer)
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._hear(os.read(reader, 512)))
        try:
            yield
        finally:
            self._selector.unregister(reader)
            signal.set_wakeup_fd(before_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

    def _tend(self) -> None:
        """Settle who ended, start who is due, and wait until something happens."""
        for child in list(self._children):
            if child.process and not child.is_running():
                self._settle(child)
            if child.start_at is not None and child.start_at <= time.monotonic():
                self._start(child)
        starts = [child.start_at for child in self._children if child.start_at is not None]
        self._wait(max(0.0, min(starts) - time.monotonic()) if starts else None)

    def _stop(self) -> None:
        """End all: SIGTERM, after a grace SIGKILL; what the others need goes last. A second Ctrl-C skips the grace."""
        for ends_last, grace in ((False, self._stop_seconds), (True, STOP_LAST_SECONDS)):
            children = [child for child in self._children if child.process and child.ends_last == ends_last]
            for child in children:
                if child.is_running():
                    os.kill(_pid(child), signal.SIGTERM)
            deadline = time.monotonic() + grace
            while any(child.is_running() for child in children) and not self._in_haste:
                if (left := deadline - time.monotonic()) <= 0:
                    break
                self._wait(left)
            for child in children:
                if child.is_running():
                    self._show(child.name, "is killed" if self._in_haste else f"is killed after {grace:g} s")
                self._end_rest_of(child)

    def _start(self, child: Child) -> None:
        death_signal = signal.SIGTERM if child.ends_last else signal.SIGKILL
        with suppress(OSError, NotOurs):  # the child says what it lacks
            if child.folder:
                make_private(child.folder)
        child.process = subprocess.Popen(
            child.command,
            env={**child.environment, lifeline.VARIABLE: str(os.getpid())},
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # Ctrl-C in a terminal then reaches this process only, which ends the children in order
            preexec_fn=partial(lifeline.end_with_parent, os.getpid(), death_signal),  # no second thread, see above
        )
        child.started_at, child.start_at, child.printed = time.monotonic(), None, []
        self._write_pid(child)
        show = partial(self._show, child.name)
        self._read_lines(child.process.stdout, child.printed.append if child.on_end else show)
        self._read_lines(child.process.stderr, show)

    def _settle(self, child: Child) -> None:
        """A child ended by itself: clear what is left of it, and start it again after a while that grows."""
        status = self._end_rest_of(child)
        if child.on_end:
            self._children.remove(child)
            child.on_end(status, "\n".join(child.printed))
            return
        if time.monotonic() - child.started_at > BACKOFF_RESET_SECONDS:
            child.backoff = BACKOFF_FIRST_SECONDS
        more = f" (see {child.log})" if child.log else ""
        self._show(child.name, f"{_how_it_ended(status)}{more}; it starts again in {child.backoff:g} s")
        child.start_at = time.monotonic() + child.backoff
        child.backoff = min(child.backoff * 2, BACKOFF_MAX_SECONDS)

    def _end_rest_of(self, child: Child) -> int:
        """Kill what still lives in the process group of ``child``, read its last words, and return its exit status."""
        assert child.process
        with suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        status = child.process.wait()
        for stream in (child.process.stdout, child.process.stderr):
            if stream and not stream.closed:
                self._selector.get_key(stream).data()
        child.process = None
        self._pid_file(child).unlink(missing_ok=True)
        return status

    def _read_lines(self, stream: IO[bytes] | None, take: Callable[[str], None]) -> None:
        """Give the lines of ``stream`` to ``take`` as they come, until its end."""
        assert stream
        os.set_blocking(stream.fileno(), False)
        rest = b""

        def read() -> None:
            nonlocal rest
            data: bytes | None = b""
            while data := stream.read(CHUNK_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    take(line.decode(errors="replace"))
            if data is None:  # nothing now, more may come
                return
            if rest:
                take(rest.decode(errors="replace"))
            self._selector.unregister(stream)
            stream.close()

        self._selector.register(stream, selectors.EVENT_READ, read)

    def _wait(self, seconds: float | None) -> None:
        for key, _ in self._selector.select(seconds):
            key.data()

    def _hear(self, numbers: bytes) -> None:
        """Note who asks to stop. Twins of a signal come from a program between the terminal and us."""
        now = time.monotonic()
        for number in numbers:
            if number != signal.SIGCHLD and self._asked_at is None:
                self._asked_at = now
            elif number == signal.SIGINT and self._asked_at is not None and now - self._asked_at > TWINS_SECONDS:
                self._in_haste = True

    def _write_pid(self, child: Child) -> None:
        """Write it whole or not at all: who reads it meanwhile must not see an empty file."""
        new = self._pid_dir / f".{child.name}.pid"
        new.write_text(f"{_pid(child)}\n")
        new.replace(self._pid_file(child))

    def _pid_file(self, child: Child) -> Path:
        return self._pid_dir / f"{child.name}.pid"


def _pid(child: Child) -> int:
    assert child.process
    return child.process.pid


def _how_it_ended(status: int) -> str:
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
