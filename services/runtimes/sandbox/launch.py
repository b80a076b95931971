"""Starts a command in a sandbox, detached: it lives on when this process dies, and writes down how it ended.

A shell of a few lines waits until its limits and its record are in place, runs the sandbox under `timeout` and notes
the exit status. If we die before the record is complete, it goes away without having run anything.
"""

import contextlib
import fcntl
import json
import os
import resource
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from services.runtimes import home
from services.runtimes.base import Limits, PlatformError
from services.runtimes.sandbox import cgroups, mounts, procfs
from services.runtimes.sandbox.command import CHANNEL, INIT, Command, bwrap_options, without_bwrap
from services.runtimes.sandbox.probing import Host, host
from services.runtimes.sandbox.process import (
    CONTROL,
    ERR,
    EXIT,
    JOURNAL,
    MARK,
    OUT,
    RECORD,
    REPORT,
    STATUS,
    Process,
    Record,
    attach,
    attach_server,
    remove_run,
)
from services.runtimes.slots import RUN_PREFIX, WARM_PREFIX, Slot

# What stdout or stderr may spool. A log keeps 64 MiB, but a worker that is away must find every byte of an hour's
# output, and a job that writes a GiB of log has gone wild: it is stopped (RLIMIT_FSIZE) before it fills the disk.
SPOOL_MAX_BYTES = 1 << 30
ADDRESS_SPACE_MIN_BYTES = 2 << 30  # numpy reserves that much
OPEN_FILES_MAX = 16_384
REQUEST_MAX_BYTES = 1 << 20  # to a server: what fits into a pipe at once
FILES_BESIDE = 64  # folders, temporary names: inodes of an output folder beside the files that count
OOM_SCORE = 500  # should the host itself run out of memory, a job goes before the platform
KILL_AFTER_SECONDS = 2
# Its arguments: where to write the end, how many control groups to join, which, and the command.
WRAPPER = """
groups=$1; shift
while [ "$groups" -gt 0 ]; do echo 0 >"$1" || exit 125; shift; groups=$((groups - 1)); done
read -r go || exit 125
"$@" </dev/null
{ echo $?; times; } >"$0"
"""
LOCALE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def start(*, slot: Slot, command: Command, label: Mapping[str, str] | None = None) -> Process:
    """Start ``command`` in ``slot``, which the caller holds. What a dead supervisor left there is killed first.

    ``label`` comes back in the record of the Process, also to a successor. A server stays in the slot beside the runs
    of its jobs (services.runtimes.warm). Raises PlatformError.
    """
    found = host()
    if found.problem:
        raise PlatformError(found.problem)
    clear(slot)
    run = slot.folder / f"{WARM_PREFIX if command.is_server else RUN_PREFIX}{secrets.token_hex(4)}"
    group: dict[str, Path] = {}
    try:
        _make_folders(slot, command, run)
        if found.groups is not None:
            # What lies in the output folder is memory of the job's own group, so its quota comes on top of the limit:
            # a job may fill both. A folder on disk needs no such room.
            extra = command.limits.output_bytes if command.output and found.has_tmpfs else 0
            group = found.groups.create(_group_name(slot, run), command.limits, extra_bytes=extra)
        return _launch(found, slot, command, run, group, dict(label or {}))
    except OSError as error:
        remove_run(run, group)
        raise PlatformError(f"A sandbox could not be prepared in {slot.folder}: {error}") from error


def clear(slot: Slot) -> None:
    """Kill and remove whatever ``slot`` holds, a warm interpreter too; for its holder."""
    slot.cool()
    while (process := attach(slot) or attach_server(slot)) is not None:
        process.discard()
    for run in slot.folders():  # cut off in the middle of a start or of a clean-up
        parents = host().groups
        name = _group_name(slot, run)
        remove_run(run, {key: parent / name for key, parent in parents.folders.items()} if parents else {})


def _group_name(slot: Slot, run: Path) -> str:
    return f"mercato-{slot.name}-{run.name}"


def _make_folders(slot: Slot, command: Command, run: Path) -> None:
    run.mkdir(mode=0o710)
    _let_pass(run, slot)
    if command.inputs is not None:
        folder = run / "input"
        folder.mkdir(mode=0o750)
        _let_pass(folder, slot)
        write_inputs(slot, folder, command.inputs)
    if command.output:
        make_output(slot, run / "output", command.limits)
    if command.report:
        (run / REPORT).touch(mode=0o600)
        slot.give(run / REPORT)


def make_output(slot: Slot, folder: Path, limits: Limits) -> None:
    """Make an output folder for the slot's user, with a quota of its own where this host can mount one."""
    folder.mkdir(mode=0o700)
    if host().has_tmpfs:
        files = limits.output_files + FILES_BESIDE
        mounts.mount(folder, size=limits.output_bytes, files=files, uid=slot.uid)
    else:
        slot.give(folder)


def write_inputs(slot: Slot, folder: Path, inputs: Mapping[str, bytes]) -> None:
    """Write the files of an input folder, for the slot's user to read."""
    for name, content in inputs.items():
        if "/" in name or name in {"", ".", ".."}:
            raise PlatformError(f"{name!r} is no name for an input file.")
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as file:  # noqa: PTH123
            file.write(content)
        _let_pass(folder / name, slot)


def _let_pass(path: Path, slot: Slot) -> None:
    """The slot's user reads it as the group of it; only we write it."""
    if home.is_root():
        os.chown(path, 0, slot.uid)


def _launch(
    found: Host, slot: Slot, command: Command, run: Path, group: Mapping[str, Path], label: dict[str, str]
) -> Process:
    limits = command.limits
    watched = list(command.writable.values())
    if command.output and not found.has_tmpfs:
        watched.append(run / "output")
    with contextlib.ExitStack() as stack:
        out, err, status = (_open(stack, run / name) for name in (OUT, ERR, STATUS))
        for name in (OUT, ERR):  # so that the command can open /dev/stdout; others do not reach the folder
            slot.give(run / name)
        channel = _open_channel(stack, run) if command.is_server else []
        if channel:
            names = f"{channel[0]},{channel[1]}"
            command = replace(command, variables={**command.variables, CHANNEL: names})
        if found.is_unsafe:
            inner, passed = _unsafe_command(stack, slot, command, run, status)
        else:
            inner, passed = _sandboxed_command(stack, found, command, run, status)
        joined = [str(path) for path in cgroups.join_files(group)]
        argv = [
            "/bin/sh", "-c", WRAPPER, str(run / EXIT), str(len(joined)), *joined,
            _program("timeout"), "-k", str(KILL_AFTER_SECONDS), str(limits.wall_seconds),
            *home.as_user(slot.uid), *inner,
        ]  # fmt: skip
        started_at = os.fstat(status).st_mtime  # by the clock of files, which ticks; the end is read from one too
        child = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=out, stderr=err, pass_fds=[*passed, *channel], env=LOCALE, cwd="/",
            start_new_session=True,
        )  # fmt: skip
        child.returncode = 0  # its end is watched by pidfd and reaped there, also by a successor: not Popen's business
    assert child.stdin is not None
    with contextlib.closing(child.stdin) as go:
        record = Record(
            label=label,
            pid=child.pid,
            started_ticks=procfs.started_ticks(child.pid),
            boot_id=procfs.boot_id(),
            started_at=started_at,
            tier=found.tier,
            uid=slot.uid,
            group={name: str(path) for name, path in group.items()},
            watched=[str(path) for path in watched],
            output_is_mount=command.output and found.has_tmpfs,
            file_max_bytes=_file_max_bytes(limits),
            limits=asdict(limits),
        )
        _write_record(run, record)
        _set_limits(child.pid, found, limits, is_server=command.is_server)
        slot.check_lease()
        go.write(b"go\n")
    return Process(slot=slot, folder=run, record=record, pidfd=os.pidfd_open(child.pid), is_child=True)


def _open(stack: contextlib.ExitStack, path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, descriptor)
    return descriptor


def _open_channel(stack: contextlib.ExitStack, run: Path) -> list[int]:
    """A pipe with a name, so that a successor can ask as well, and the journal; both closed to the slot's user.

    Open for reading and writing, the pipe outlives its writers.
    """
    os.mkfifo(run / CONTROL, 0o600)
    control = os.open(run / CONTROL, os.O_RDWR | os.O_CLOEXEC)
    stack.callback(os.close, control)
    with contextlib.suppress(OSError):  # a smaller one takes a request of many variables only in part: see `ask`
        fcntl.fcntl(control, fcntl.F_SETPIPE_SZ, REQUEST_MAX_BYTES)
    return [control, _open(stack, run / JOURNAL)]


def _sandboxed_command(
    stack: contextlib.ExitStack, found: Host, command: Command, run: Path, status: int
) -> tuple[list[str], list[int]]:
    """bubblewrap and its options; these go through memory, because everybody on a host reads a command line."""
    assert found.tools is not None
    seccomp = os.open(found.tools.seccomp, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, seccomp)
    interpreters = found.interpreters if command.interpreters is None else command.interpreters
    options = bwrap_options(
        command, tools=found.tools, interpreters=interpreters, run=run, status=status, seccomp=seccomp
    )
    memory = _in_memory(stack, "bwrap-options", b"".join(option.encode() + b"\0" for option in options))
    return (
        [str(found.tools.bwrap), "--args", str(memory), "--", *(() if command.is_server else INIT), *command.argv],
        [status, seccomp, memory],
    )


def _unsafe_command(
    stack: contextlib.ExitStack, slot: Slot, command: Command, run: Path, status: int
) -> tuple[list[str], list[int]]:
    """The command as it is. Its variables are set after the user has changed: a shell of root must not obey them."""
    scratch = run / "tmp"
    for folder in (scratch, scratch / "datapool"):
        folder.mkdir(mode=0o700)
        slot.give(folder)
    argv, environment = without_bwrap(command, run=run, scratch=scratch)
    environment += f"export {MARK}={run.name}\n"
    memory = _in_memory(stack, "environment", environment.encode())  # no file: secrets are among the variables
    return ["/bin/sh", "-c", '. "$0" && exec "$@"', f"/proc/self/fd/{memory}", *argv], [status, memory]


def _in_memory(stack: contextlib.ExitStack, name: str, content: bytes) -> int:
    """A descriptor to read ``content`` from, which is nowhere on a disk and on no command line."""
    memory = os.memfd_create(name, os.MFD_CLOEXEC)
    stack.callback(os.close, memory)
    with open(memory, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(memory, 0, os.SEEK_SET)
    return memory


def _program(name: str) -> str:
    return shutil.which(name, path="/usr/bin:/bin") or name


def _write_record(run: Path, record: Record) -> None:
    fresh = run / f"{RECORD}.new"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:  # noqa: PTH123 (a descriptor)
        json.dump(asdict(record), file)
    fresh.replace(run / RECORD)


def _file_max_bytes(limits: Limits) -> int:
    return max(limits.output_bytes, SPOOL_MAX_BYTES)


def _set_limits(pid: int, found: Host, limits: Limits, *, is_server: bool) -> None:
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: _file_max_bytes(limits),
        resource.RLIMIT_NOFILE: OPEN_FILES_MAX,
        resource.RLIMIT_NPROC: limits.processes + cgroups.OWN_PROCESSES + _processes_of_others(),
    }
    if is_server:
        wanted[resource.RLIMIT_MSGQUEUE] = 0  # queues of POSIX outlive a job, and nobody in a sandbox sees them
    if found.groups is not None:
        # The group counts exactly. The kernel also counts what a predecessor in the slot has not quite ended for the
        # user, so that this second lock must not be the tighter one.
        wanted[resource.RLIMIT_NPROC] *= 2
    else:
        wanted[resource.RLIMIT_AS] = max(limits.memory_bytes, ADDRESS_SPACE_MIN_BYTES)
    for kind, value in wanted.items():
        _, hard = resource.prlimit(pid, kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.prlimit(pid, kind, (value, value))
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(OOM_SCORE))


def _processes_of_others() -> int:
    """Without root all jobs and we ourselves are one user, and RLIMIT_NPROC counts them together: threads too."""
    if home.is_root():
        return 0
    count, uid = 0, os.getuid()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if process.stat().st_uid == uid:
                    count += len(list((process / "task").iterdir()))
    return count
