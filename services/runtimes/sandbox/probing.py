"""What this host offers, found once a process: tools, interpreters, how limits hold, and what forbids sandboxes."""

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from services.runtimes import home
from services.runtimes.base import Limits, PlatformError
from services.runtimes.sandbox import cgroups, command, mounts
from services.runtimes.sandbox.tools import Interpreter, Tools, chosen_paths, compile_runner, interpreters, tools

PROBE_LIMITS = Limits(
    cpu_millis=1000, memory_bytes=1 << 28, wall_seconds=10, processes=8, output_bytes=1 << 20, output_files=8
)

SYSCTLS = Path("/proc/sys")
CURES: tuple[tuple[Callable[[str], bool], str, str], ...] = (
    # (what stands in bubblewrap's message or holds on the host, cause, cure)
    (
        lambda message: "mount proc" in message,
        "parts of /proc are masked, as a container engine does, so no new /proc can be mounted",
        "start the container with `--security-opt systempaths=unconfined` (Docker) or `--security-opt unmask=ALL` "
        "(Podman)",
    ),
    (
        lambda _: _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1",
        "AppArmor keeps users without privileges from making user namespaces (the default of Ubuntu 24.04)",
        "run `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` and keep it in /etc/sysctl.d/, or give "
        "bubblewrap an AppArmor profile with `userns,` (docs/sandbox.md has one)",
    ),
    (
        lambda _: _sysctl("kernel/unprivileged_userns_clone") == "0",
        "the kernel keeps users without privileges from making user namespaces",
        "run `sysctl -w kernel.unprivileged_userns_clone=1` and keep it in /etc/sysctl.d/",
    ),
    (
        lambda _: _sysctl("user/max_user_namespaces") == "0",
        "the kernel allows no user namespace (user.max_user_namespaces is 0)",
        "run `sysctl -w user.max_user_namespaces=65536` and keep it in /etc/sysctl.d/",
    ),
    (
        lambda message: "not permitted" in message or "No permissions" in message or "denied" in message,
        "something around this process forbids namespaces, most likely the system call filter of a container engine",
        "start the container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined`, or run Mercato outside of a container",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Host:
    """What was found. With a ``problem`` no sandbox starts here, and the rest may be missing."""

    problem: str
    tier: str
    home: Path = Path("/nonexistent")
    tools: Tools | None = None
    interpreters: tuple[Interpreter, ...] = ()
    groups: cgroups.Parents | None = None
    has_tmpfs: bool = False  # output folders can be mounts with a size

    @property
    def is_unsafe(self) -> bool:
        """Commands run without a sandbox, because the operator said so."""
        return self.tier == "unsafe"

    @property
    def interpreter(self) -> Interpreter:
        """The interpreter for jobs whose version names none."""
        return self.interpreters[0]

    @property
    def uv(self) -> Path | None:
        return self.tools.uv if self.tools else None

    @property
    def uv_version(self) -> str:
        return self.tools.uv_version if self.tools else ""


_probing = threading.Lock()


def host() -> Host:
    """This host under the current settings."""
    with _probing:
        return _probe(settings.JOB_PYTHON, settings.ALLOW_UNSAFE_RUNTIME, settings.JOBS_HOME, settings.MERCATO_HOME)


@functools.lru_cache
def _probe(python: str, allow_unsafe: bool, *_: object) -> Host:
    groups = cgroups.detect() if sys.platform == "linux" else None
    tier = groups.tier if groups else "rlimit"
    try:
        _check_commands()
        jobs_home = home.jobs_home()
        found = tools(jobs_home)
    except (PlatformError, OSError) as error:
        return Host(problem=str(error), tier=tier)
    pythons = interpreters(python)
    first = next(iter(chosen_paths(python)), None)
    if not pythons or (first and pythons[0].path != first.resolve()):
        return Host(problem=_no_python(str(first or "")), tier=tier, home=jobs_home, tools=found)
    for interpreter in pythons:
        compile_runner(found, interpreter)
    problem = _try_sandbox(found, pythons)
    if problem and allow_unsafe:
        tier, problem = "unsafe", ""
    return Host(
        problem=problem,
        tier=tier,
        home=jobs_home,
        tools=found,
        interpreters=pythons,
        groups=groups,
        has_tmpfs=home.is_root() and mounts.are_allowed(jobs_home),
    )


def _check_commands() -> None:
    if sys.platform != "linux":
        raise PlatformError("Jobs run on Linux only: they need its namespaces. Run Mercato on a Linux host.")
    needed = ["sh", "timeout"] + (["setpriv"] if home.is_root() else [])
    missing = [name for name in needed if shutil.which(name, path="/usr/bin:/bin") is None]
    if missing:
        raise PlatformError(
            f"The host lacks {' and '.join(missing)}. Install the packages `coreutils` and `util-linux` of your system."
        )


def _no_python(chosen: str) -> str:
    if chosen:
        return (
            f"JOB_PYTHON is {chosen}, which the users of jobs (uid {home.probe_uid()} and up) cannot run, or which is "
            "no Python 3.8 or newer. Name one that everybody on this host can read and run."
        )
    return (
        "No Python that the users of jobs can run was found in /usr/bin or /usr/local/bin (one below a home folder is "
        "closed to them). Install the package `python3`, or name an interpreter in JOB_PYTHON."
    )


def _try_sandbox(found: Tools, pythons: tuple[Interpreter, ...]) -> str:
    """Run `true` in a sandbox as a job would; the cause and the cure in words if that fails."""
    if home.try_as_user(found.bwrap, "--version").returncode != 0:
        return (
            f"The users of jobs (uid {home.probe_uid()} and up) cannot run {found.bwrap}. Set JOBS_HOME to a folder "
            "that all may pass through, on a file system that is not mounted noexec."
        )
    trial = command.Command(argv=["/bin/true"], limits=PROBE_LIMITS)
    with found.seccomp.open("rb") as seccomp, open(os.devnull, "wb") as status:  # noqa: PTH123 (a device)
        options = command.bwrap_options(
            trial, tools=found, interpreters=pythons[:1], run=found.folder,
            status=status.fileno(), seccomp=seccomp.fileno(),
        )  # fmt: skip
        tried = subprocess.run(
            [*home.as_user(home.probe_uid()), found.bwrap, *options, "--", *command.INIT, *trial.argv],
            capture_output=True,
            text=True,
            env=dict(command.VARIABLES),
            pass_fds=(seccomp.fileno(), status.fileno()),
            timeout=30,
            check=False,
        )
    if tried.returncode == 0:
        return ""
    message = " ".join(tried.stderr.split()) or f"it ended with exit status {tried.returncode}"
    for holds, cause, cure in CURES:
        if holds(message):
            return (
                f"This host forbids sandboxes, and code never runs without one: {cause}. To mend it, {cure}. "
                f"Then restart Mercato. (bubblewrap says: {message})"
            )
    return (
        f"No sandbox can be made on this host, and code never runs without one. bubblewrap says: {message}. "
        "See docs/sandbox.md."
    )


def _sysctl(name: str) -> str:
    try:
        return (SYSCTLS / name).read_text().strip()
    except OSError:
        return ""
