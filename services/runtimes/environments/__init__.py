"""Environments: what a version's requirements install, content-addressed, read-only, with bytecode.

A wish (requirements, interpreter, version of uv) leads to a lock, which is kept; a lock to an environment, which this
host makes when it lacks it. Everything that touches a package runs in a sandbox, and no code of a package ever runs:
*fetch* has the network and unpacks wheels whose hashes it checks, *install and compile* has no network.
"""

import json
from functools import lru_cache
from hashlib import sha256

from django.conf import settings

from services.runtimes import sandbox
from services.runtimes.base import BuildSpec, Limits, Log, PlatformError, Prepared, UserError, say
from services.runtimes.environments import commons, locks, requirements
from services.runtimes.environments.places import COMMONS_AT, MOUNTED_AT, commons_of, exists, path
from services.runtimes.environments.requirements import Requirements
from services.runtimes.environments.workshop import FILES_MAX, CannotFetch, Workshop, header, workshop
from services.runtimes.slots import Slot

__all__ = ["COMMONS_AT", "MOUNTED_AT", "commons_of", "exists", "lack", "limits", "path", "prepare", "restore"]


def limits() -> Limits:
    """What a build may use."""
    return Limits(
        cpu_millis=settings.JOB_CPU_MILLIS_MAX,
        memory_bytes=settings.BUILD_MEMORY_MIB * 1024 * 1024,
        wall_seconds=settings.BUILD_TIME_LIMIT_SECONDS,
        processes=settings.JOB_PROCESSES_MAX,
        output_bytes=settings.BUILD_OUTPUT_MAX_BYTES,
        output_files=FILES_MAX,
    )


def prepare(spec: BuildSpec, slot: Slot, log: Log) -> Prepared:
    """Make the environment that the project of ``spec`` asks for. Raises UserError, or PlatformError."""
    interpreter = _wanted(spec.interpreter)
    wanted = requirements.read(spec.source, python=interpreter.version)
    _introduce(wanted, interpreter, log)
    beside = commons.find(interpreter) if commons.is_wanted(spec.source, wanted, interpreter) else ""
    if beside is not None:
        known = None if spec.fresh else locks.find(_wish(wanted, interpreter, beside))
        if known is not None and exists(known):
            say(log, f"The environment {known[:12]} has all of it already; nothing is to be done.")
            return Prepared(environment=known, reused=True)
    with workshop(slot, spec.limits, log, spec.stopped, interpreter) as bench:
        beside = beside if beside == "" else commons.ensure(bench, beside, fresh=spec.fresh)
        return _make(bench, wanted, beside, fresh=spec.fresh)


def restore(key: str, slot: Slot, log: Log) -> None:
    """Make an environment whose lock another host, or an earlier build, has kept. Nothing happens where it exists."""
    if exists(key):
        return
    text = locks.read(key)
    with workshop(slot, limits(), log, lambda: "", _interpreter(_tag_in(text))) as bench:
        beside = commons.named_in(text)
        if beside and not commons.make(bench, beside):
            raise PlatformError(f"The environment {beside}, which jobs of {key} see beside theirs, cannot be made.")
        bench.make(text, beside=beside)


def lack(key: str) -> str:
    """The Python that an environment was made for, in words, where neither is on this host; empty where it can run."""
    if exists(key):
        return ""
    try:
        tag = _tag_of(key)
    except (OSError, PlatformError):
        return ""  # who starts it is told
    known = {interpreter.tag for interpreter in sandbox.host().interpreters}
    return "" if tag in known else f"Python {_number(tag)}"


@lru_cache(maxsize=1024)
def _tag_of(key: str) -> str:
    return _tag_in(locks.read(key))


def _tag_in(lock: str) -> str:
    return lock.split("\n", 1)[0].removeprefix("# ").split(" ")[0]


def _number(tag: str) -> str:
    """`cpython-311` → `3.11`."""
    digits = tag.rpartition("-")[2]
    return f"{digits[:1]}.{digits[1:]}" if digits.isdigit() else tag


def _make(bench: Workshop, wanted: Requirements, beside: str, *, fresh: bool) -> Prepared:
    """The environment of ``wanted``, whose jobs see that called ``beside`` too: of the lock of last time, or anew."""
    wish = _wish(wanted, bench.interpreter, beside)
    known = None if fresh else locks.find(wish)
    if known is not None:
        try:
            return Prepared(environment=known, reused=not bench.make(locks.read(known), beside=beside))
        except CannotFetch:
            say(bench.log, "\nThe versions of the last build are not to be had any more, so others are looked for.")
    text = bench.resolve(wanted)
    text = commons.name_in(text, beside) if beside else text
    made = bench.make(text, beside=beside)
    return Prepared(environment=locks.save(text, wish=wish), reused=not made)


def _interpreter(tag: str = "") -> sandbox.Interpreter:
    host = sandbox.host()
    if host.problem:
        raise PlatformError(host.problem)
    for interpreter in host.interpreters:
        if tag in ("", interpreter.tag):
            return interpreter
    raise PlatformError(
        f"The environment was made for {tag}, and this host has no such Python. Install it for all users."
    )


def _wanted(number: str) -> sandbox.Interpreter:
    """The interpreter that a version asks for: `3.11`, or empty for the first of this host."""
    first = _interpreter()
    if not number:
        return first
    known = sandbox.host().interpreters
    for interpreter in known:
        if interpreter.number == number:
            return interpreter
    raise UserError(
        f"This version asks for Python {number}, which this host does not have or no longer has. Choose one of "
        f"{', '.join(dict.fromkeys(each.number for each in known))} in a new version, or ask the operator to install "
        f"Python {number} for all users and to restart Mercato; then rebuild."
    )


def _wish(wanted: Requirements, interpreter: sandbox.Interpreter, beside: str) -> str:
    asked = {
        "packages": wanted.packages,
        "constraints": wanted.constraints,
        "hashes": {name: sorted(hashes) for name, hashes in wanted.hashes.items()},
        "for": header(interpreter),
        "uv": sandbox.host().uv_version,
    }
    if beside:
        asked["beside"] = beside
    return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _introduce(wanted: Requirements, interpreter: sandbox.Interpreter, log: Log) -> None:
    say(log, f"Python {interpreter.version}")
    for note in wanted.notes:
        say(log, f"Note: {note}")
    if not wanted.origin:
        say(log, "The project names no requirements, so it gets the standard library alone.")
        return
    say(log, f"Requirements in {wanted.origin}: {', '.join(wanted.packages) or 'none'}")
    if wanted.constraints:
        say(log, f"Constraints: {', '.join(wanted.constraints)}")
