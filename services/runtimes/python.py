"""Runs a Python project: the runner calls its run() in a sandbox, from an environment that environments.py made."""

import contextlib
import errno
import json
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from services.runtimes import environments, older_templates, sandbox, warm
from services.runtimes.base import (
    BuildSpec,
    ErrorReport,
    JobSpec,
    Limits,
    Log,
    Outcome,
    PlatformError,
    Prepared,
)
from services.runtimes.sandbox import Command, Ending, Process, ending
from services.runtimes.slots import Slot
from services.runtimes.warm import WarmProcess

SERVICE = "/opt/service"  # the project, which is also the current folder: `src` is importable, its files are readable
RUNNER = "/opt/mercato"
REPORT = "/run/mercato/report"
# The runner's folder is on the path only until its package is found, so that no import of the user's meets it.
# Last on it is what every job may import (the module mercato): whatever the user has of that name wins.
_BOOT = (
    f"import sys; sys.path.insert(0, '{RUNNER}'); from mercato_runner.%s; del sys.path[0]; "
    f"sys.path.append('{RUNNER}/importable'); "
)
BOOT = _BOOT % "main import main" + "main()"
BOOT_WARM = _BOOT % "warm import serve" + f"serve({BOOT!r}, %d)"

REPORT_MAX_BYTES = 64 * 1024
TEXT_MAX = 8000
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")  # tabs and newlines stay
FRAMES_MAX = 30
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PythonRuntime:
    """The driver called `python`."""

    name = "python"

    def unavailable(self) -> str:
        return sandbox.host().problem

    def tier(self) -> str:
        return sandbox.host().tier

    def prepare(self, spec: BuildSpec, slot: Slot, log: Log) -> Prepared:
        return environments.prepare(spec, slot, log)

    def is_prepared(self, environment: str) -> bool:
        return environments.exists(environment)

    def lack(self, environment: str) -> str:
        return environments.lack(environment)

    def restore(self, environment: str, spec: BuildSpec, slot: Slot, log: Log) -> None:
        environments.restore(environment, slot, log)

    def start(self, spec: JobSpec, slot: Slot) -> "PythonExecution":
        if not self.is_prepared(spec.environment):
            raise PlatformError(f"This host has no environment {spec.environment}; it must be restored first.")
        label = {"runtime": self.name, "job_id": str(spec.job_id), "attempt": str(spec.attempt)}
        command = _command(spec)
        if spec.warm and warm.is_possible():
            process, command = _start_warm(spec, slot, command, label)
            if process is not None:
                return PythonExecution(process)
        return PythonExecution(sandbox.start(slot=slot, command=command, label=label))

    def attach(self, slot: Slot) -> "PythonExecution | None":
        process = sandbox.attach(slot) or warm.attach(slot)
        if process is None or process.label.get("runtime") != self.name:
            return None
        return PythonExecution(process)

    def tidy(self, *, keep: set[str]) -> None:
        pass  # environments are shared by versions and small beside images; the operator removes them


class PythonExecution:
    """One call of run(), seen from the host."""

    def __init__(self, process: Process | WarmProcess) -> None:
        self.process = process
        self.job_id = UUID(process.label["job_id"])
        self.attempt = int(process.label["attempt"])
        self.output = process.output
        self.read = process.read
        self.wait = process.wait
        self.ended = process.ended
        self.kill = process.kill
        self.discard = process.discard

    def outcome(self) -> Outcome:
        """The host's own evidence first; where that is only "it failed", the report says more."""
        judged = sandbox.judge(self.process)
        report = _read_report(self.process.report)
        reason, detail = judged.reason, judged.detail
        if reason == "error" and report is not None:
            reason, detail = _refine(report, judged, self.process.limits, tier=self.process.tier)
        usage = judged.usage
        if usage.memory_peak_bytes is None and report is not None:
            usage = replace(usage, memory_peak_bytes=report.memory_peak_bytes)
        return Outcome(
            reason=reason,
            detail=detail,
            usage=usage,
            error=report.error if reason and report is not None else None,
            exit_code=judged.exit_code,
            was_started=judged.was_started,
        )


def _command(spec: JobSpec) -> Command:
    tools = sandbox.host().tools
    if tools is None:
        raise PlatformError(sandbox.host().problem)
    read_only = {
        environments.MOUNTED_AT: environments.path(spec.environment),
        SERVICE: spec.source,
        RUNNER: tools.runner,
    }
    variables = _variables(spec.limits) | older_templates.variables(spec.inputs) | dict(spec.variables)
    if (commons := environments.commons_of(spec.environment)) is not None:
        read_only[environments.COMMONS_AT] = commons
        variables["MERCATO_COMMONS"] = environments.COMMONS_AT
    return Command(
        argv=[f"{environments.MOUNTED_AT}/bin/python", "-u", "-I", "-c", BOOT],
        limits=spec.limits,
        read_only=read_only,
        links=older_templates.LINKS,
        interpreters=_interpreters_of(environments.path(spec.environment)),
        variables=variables,
        cwd=SERVICE,
        inputs=spec.inputs,
        output=True,
        report=REPORT,
    )


def _start_warm(
    spec: JobSpec, slot: Slot, command: Command, label: Mapping[str, str]
) -> tuple[WarmProcess | None, Command]:
    """The job in a warm interpreter; or None, and the command to start it cold."""
    own = {name: value for name, value in spec.variables.items() if name not in spec.version_variables}
    own = older_templates.variables(spec.inputs) | own
    server = replace(
        command,
        argv=[*command.argv[:-1], BOOT_WARM % warm.alone_seconds()],
        variables={name: value for name, value in command.variables.items() if name not in own},
        is_server=True,
    )
    owner = warm.key_of(spec.version_id, spec.account_id)
    if why := warm.unfit(server, owner):
        note = f"Mercato cannot start this program warm ({why} at its import). It starts cold.\n"
        return None, replace(command, argv=[*command.argv[:-1], f"import os; os.write(2, {note.encode()!r}); {BOOT}"])
    return warm.start(slot, command=server, owner=owner, variables=own, label=label), command


def _interpreters_of(environment: Path) -> list[sandbox.Interpreter]:
    """The interpreter that ``environment`` was made for."""
    home = (environment / "bin" / "python").resolve()
    return [interpreter for interpreter in sandbox.host().interpreters if interpreter.path == home]


def _variables(limits: Limits) -> dict[str, str]:
    return {
        "PATH": f"{environments.MOUNTED_AT}/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": environments.MOUNTED_AT,
        "PYTHONUNBUFFERED": "1",  # for a Python that the code itself starts; the runner's has -u
        "INPUT_DIRECTORY": sandbox.INPUT,
        "OUTPUT_DIRECTORY": sandbox.OUTPUT,
        "DATAPOOL_DIRECTORY": sandbox.DATAPOOL,
        "LOG_LEVEL": "INFO",
        "MPLCONFIGDIR": f"{sandbox.TMP}/matplotlib",
        # Libraries count the CPUs of the host and would start a thread for each, to share what the job may use.
        "OMP_NUM_THREADS": str(max(1, math.ceil(limits.cpu_millis / 1000))),
        "MERCATO_REPORT": REPORT,
    }


# The report. It comes from the process of the user's code, so it may be anything.


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the runner says, as far as it has the right form."""

    reason: str
    detail: str
    error: ErrorReport | None
    kinds: tuple[str, ...]  # names of the exception's classes
    errno: int | None
    memory_peak_bytes: int | None


def _read_report(path: Path) -> Report | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = file.read(REPORT_MAX_BYTES + 1)
    if len(content) > REPORT_MAX_BYTES:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(content)
        if isinstance(document, dict):
            return _parse_report(document)
    return None


def _parse_report(document: Mapping[str, Any]) -> Report:
    error = None
    if isinstance(document.get("type"), str):
        found = document.get("frames")
        error = ErrorReport(
            type=_clean(document["type"])[:200],
            message=_clean(document.get("message")),
            frames=[_clean(frame)[:500] for frame in found[:FRAMES_MAX]] if isinstance(found, list) else [],
        )
    kinds = document.get("kinds")
    return Report(
        reason=_clean(document.get("reason")),
        detail=_clean(document.get("detail")),
        error=error,
        kinds=tuple(kind for kind in kinds if isinstance(kind, str)) if isinstance(kinds, list) else (),
        errno=_whole(document.get("errno"), maximum=4096),
        memory_peak_bytes=_whole(document.get("memory_peak_bytes"), maximum=1 << 50),
    )


def _clean(value: object) -> str:
    """A text that every database, page and terminal can take: no controls, no half of a surrogate pair, not endless."""
    text = value[:TEXT_MAX] if isinstance(value, str) else ""
    return CONTROL.sub("�", text.replace("\r\n", "\n")).encode(errors="replace").decode()


def _whole(value: object, *, maximum: int) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and isinstance(value, int) and 0 <= value <= maximum else None


def _refine(report: Report, judged: Ending, limits: Limits, *, tier: str) -> tuple[str, str]:
    if report.reason in ("invalid_input", "invalid_result") and report.detail:
        return report.reason, report.detail
    error = report.error
    if error is None:
        return judged.reason, judged.detail
    if report.reason == "error_response":
        return "error", f"The service answered with an error: {_named(error)}"
    if "MemoryError" in report.kinds:
        return "out_of_memory", ending.out_of_memory(limits)
    if report.errno in NO_ROOM:
        return "output_too_large", ending.no_room(limits)
    refused_fork = report.errno == errno.EAGAIN and tier == "rlimit"
    if refused_fork or error.message == "can't start new thread":
        return "too_many_processes", ending.too_many_processes(limits)
    return "error", _raised(error)


def _raised(error: ErrorReport) -> str:
    where = f" at {error.frames[-1]}" if error.frames else ""
    return f"The code raised {_named(error)}{where}. The log has the whole traceback."


def _named(error: ErrorReport) -> str:
    first_line = error.message.partition("\n")[0][:500]
    return f"{error.type}: {first_line}" if first_line else error.type
