"""What shall run in a sandbox, and how bubblewrap is told: everything that a command sees of the host is named here."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.runtimes.base import Limits
from services.runtimes.sandbox.tools import UID, USER, Interpreter, Tools

INPUT = "/var/runtime/input"
OUTPUT = "/var/runtime/output"
DATAPOOL = "/var/runtime/datapool"
# The init of a sandbox: reaps orphans, and everything else dies with it. It is a process behind the filter like the
# command itself, because a job may write into any process of its own user that it sees.
#
# Of a command that was killed it says so by 247 (-9), so that 137 means: the init itself was killed, which only the
# host can do.
INIT = ("/bin/sh", "-c", '"$@"; code=$?; [ "$code" = 137 ] && code=247; exit "$code"', "init")
COMMAND_KILLED, INIT_KILLED = 247, 137
CHANNEL = "MERCATO_CHANNEL"  # the variable that names the two descriptors of a server
TMP = "/tmp"  # noqa: S108 (a tmpfs of the sandbox's own)
SHM = "/dev/shm"  # noqa: S108 (likewise)
VARIABLES = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": TMP,
    "TMPDIR": TMP,
    "USER": USER,
    "LOGNAME": USER,
}
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
NETWORK_FILES = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/crypto-policies",
)
SYSTEM_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives")


@dataclass(frozen=True, kw_only=True)
class Command:
    """One program and its whole world. Paths inside → paths on the host."""

    argv: Sequence[str]
    limits: Limits
    read_only: Mapping[str, Path] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)  # path inside → path inside that it leads to
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)  # secrets among them
    cwd: str = TMP
    inputs: Mapping[str, bytes] | None = field(default=None, repr=False)  # files of /var/runtime/input
    output: bool = False  # an output folder with a quota, at /var/runtime/output
    interpreters: Sequence[Interpreter] | None = None  # whose files it sees; None: of all that the host has
    report: str = ""  # where inside the command may leave one small file for the host
    is_server: bool = False  # it is the init itself, and has two descriptors: requests to read, a journal to write


def variables(command: Command) -> dict[str, str]:
    """The whole environment of ``command``."""
    passed = {}
    if command.limits.network:
        passed = {name: os.environ[name] for name in CERTIFICATE_VARIABLES if name in os.environ}
    return VARIABLES | passed | dict(command.variables)


def bwrap_options(
    command: Command, *, tools: Tools, interpreters: Sequence[Interpreter], run: Path, status: int, seccomp: int
) -> list[str]:
    """The options of bubblewrap for ``command``, whose files of this run lie in ``run``."""
    scratch = str(max(command.limits.memory_bytes // 2, 1 << 20))
    options = [
        "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        *([] if command.limits.network else ["--unshare-net"]),
        "--disable-userns", "--new-session", "--as-pid-1",
        # Its parent is `timeout`, never a thread of ours: what ends that, or the command, ends everything inside.
        "--die-with-parent",
        "--json-status-fd", str(status), "--seccomp", str(seccomp),
        "--uid", str(UID), "--gid", str(UID), "--hostname", "job",
        *_system(), "--ro-bind", str(tools.etc), "/etc",
        *_existing(SYSTEM_FILES),
        *_existing(NETWORK_FILES if command.limits.network else ()),
        # A job's user may write nothing of the kernel's own; a bind keeps that true if ever its uid should be root's.
        "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--ro-bind-try", "/proc/sysrq-trigger",
        "/proc/sysrq-trigger", "--dev", "/dev",
        "--size", scratch, "--tmpfs", SHM, "--remount-ro", "/dev",
        "--size", scratch, "--perms", "1777", "--tmpfs", TMP, "--symlink", TMP, "/var/tmp",  # noqa: S108 (a link to it)
        "--dir", DATAPOOL,
    ]  # fmt: skip
    for path in _outside_the_system(interpreters):
        options += ["--ro-bind", str(path), str(path)]
    for inside, outside, is_writable in binds(command, run):
        options += ["--bind" if is_writable else "--ro-bind", str(outside), inside]
    for place, target in command.links.items():
        options += ["--symlink", target, place]
    options += ["--remount-ro", "/", "--chdir", command.cwd, "--clearenv"]
    for name, value in variables(command).items():
        options += ["--setenv", name, value]
    return options


def binds(command: Command, run: Path) -> Iterator[tuple[str, Path, bool]]:
    """What of the host is mounted where, and whether it may be written."""
    for inside, outside in command.read_only.items():
        yield inside, outside, False
    for inside, outside in command.writable.items():
        yield inside, outside, True
    if command.inputs is not None:
        yield INPUT, run / "input", False
    if command.output:
        yield OUTPUT, run / "output", True
    if command.report:
        yield command.report, run / "report", True
    if command.limits.network:
        for name in CERTIFICATE_VARIABLES:
            path = os.environ.get(name, "")
            if path and not path.startswith(("/usr/", *NETWORK_FILES)) and Path(path).exists():
                yield path, Path(path), False


def without_bwrap(command: Command, *, run: Path, scratch: Path) -> tuple[list[str], str]:
    """For a host where sandboxes are forbidden: argv with host paths, and a shell text that sets the environment.

    There is no mount, so each path inside is replaced by its path on the host.
    """
    paths = {inside: str(outside) for inside, outside, _ in binds(command, run)}
    paths |= {TMP: str(scratch), DATAPOOL: str(scratch / "datapool")}
    pattern = re.compile(
        r"(?<![\w.-])(" + "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True)) + r")(?![\w.-])"
    )

    def on_host(text: str) -> str:
        return pattern.sub(lambda match: paths[match[1]], text)

    lines = [f"export {name}={shlex.quote(on_host(value))}" for name, value in variables(command).items()]
    lines.append(f"cd {shlex.quote(on_host(command.cwd))}")
    return [on_host(argument) for argument in command.argv], "\n".join(lines) + "\n"


def _system() -> list[str]:
    options = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM_LINKS:
        path = Path("/") / name
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    return options


def _existing(paths: Sequence[str]) -> list[str]:
    options = []
    for path in paths:
        if Path(path).exists():
            options += ["--ro-bind", path, path]
    return options


def _outside_the_system(interpreters: Sequence[Interpreter]) -> list[Path]:
    prefixes = {interpreter.prefix for interpreter in interpreters}
    return sorted(prefix for prefix in prefixes if not prefix.is_relative_to("/usr"))
