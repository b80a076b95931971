"""The children that check. Each goes on from check to check; one that dies of a check is replaced by the next one.

A schema that kills or cannot be compiled checks nothing for a while: its input is taken as it is, as if there were no
schema.
"""

import atexit
import contextlib
import json
import logging
import os
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portal.lib import sse
from services.checking.schema import Schema

log = logging.getLogger(__name__)

PROGRAM = Path(__file__).with_name("program.py")
CHILDREN_MAX = 2  # a process of ours
WAIT_SECONDS = 15.0  # for a child: schemas that take long must not gather all threads of the server here
UNUSABLE_SECONDS = 600
UNUSABLE_MAX = 256
LENGTH = struct.Struct(">I")


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One thing that is wrong. ``pointer`` (RFC 6901) leads to it from the root of the body."""

    pointer: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is wrong with an input; ``more`` counts what there was no room for."""

    violations: list[Violation] = field(default_factory=list)
    more: int = 0


NOTHING = Findings()


class Busy(Exception):
    """Every child had something else to check for a long time."""


class _Died(Exception):
    """The child did not answer."""


class _Child:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath},
            cwd="/",
        )

    def ask(self, schema: Schema, instance: bytes) -> dict[str, Any]:
        try:
            self._send(f"{schema.draft}:{schema.key}".encode(), instance)
            answer = self._receive()
            if "asks" in answer:
                self._send(schema.text.encode())
                answer = self._receive()
        except (OSError, ValueError) as error:
            raise _Died from error
        return answer

    def end(self) -> None:
        self.process.kill()
        self._close()
        self.process.wait()

    def leave(self) -> None:
        """In a process that was forked from its parent: it is not ours, and must not stay because we hold its input."""
        self._close()
        self.process.returncode = 0  # else its destructor warns of a process that still runs

    def _close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _send(self, *frames: bytes) -> None:
        assert self.process.stdin is not None
        for frame in frames:
            self.process.stdin.write(LENGTH.pack(len(frame)) + frame)
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        head = self.process.stdout.read(LENGTH.size)
        if len(head) < LENGTH.size:
            raise ValueError("the child ended")
        answer = json.loads(self.process.stdout.read(*LENGTH.unpack(head)))
        assert isinstance(answer, dict)
        return answer


_idle: list[_Child] = []
_places = threading.BoundedSemaphore(CHILDREN_MAX)
_unusable: dict[str, float] = {}


def check(schema: Schema, instance: str) -> Findings:
    """What is wrong with ``instance``, a JSON text; nothing where the schema cannot be used. Raises Busy."""
    if _unusable.get(schema.key, 0) > time.monotonic():
        return NOTHING
    places = _places
    if not places.acquire(blocking=False):
        sse.release_pooled_database()  # while others' checks take their time
        if not places.acquire(timeout=WAIT_SECONDS):
            raise Busy
    try:
        answer = _ask(schema, instance.encode())
    finally:
        places.release()
    if "unusable" in answer:
        _set_aside(schema, answer["unusable"])
        return NOTHING
    violations = [Violation(pointer=pointer, message=message) for pointer, message in answer["violations"]]
    return Findings(violations=violations, more=answer["more"])


def _ask(schema: Schema, instance: bytes) -> dict[str, Any]:
    try:
        child = _idle.pop()
    except IndexError:  # nothing between a look and the pop: another thread may take the last one
        child = _Child()
    if child.process.poll() is not None:  # somebody ended it while it waited
        child.end()
        child = _Child()
    try:
        answer = child.ask(schema, instance)
    except _Died:
        child.end()
        return {"unusable": f"its check took too long or too much ({child.process.returncode})"}
    _idle.append(child)
    return answer


def _set_aside(schema: Schema, reason: str) -> None:
    log.warning("The input schema %s checks nothing for %s s: %s", schema.key[:12], UNUSABLE_SECONDS, reason)
    if len(_unusable) >= UNUSABLE_MAX:
        _unusable.clear()
    _unusable[schema.key] = time.monotonic() + UNUSABLE_SECONDS


def _forget() -> None:
    """After a fork: the children and the places are our parent's."""
    global _places  # a lock that our parent held would never be released
    while _idle:
        _idle.pop().leave()
    _places = threading.BoundedSemaphore(CHILDREN_MAX)


def _end_all() -> None:
    while _idle:
        _idle.pop().end()


atexit.register(_end_all)  # without it they end too: they read the end of their input
os.register_at_fork(after_in_child=_forget)
