"""What a runtime is: it makes a version runnable and runs it. It never updates a status and never uploads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from services.runtimes.slots import Slot

Log = Callable[[str, bytes], None]  # channel (`out`, `err`, `system`), bytes


def say(log: Log, text: str) -> None:
    """A line of our own in the log."""
    log("system", f"{text}\n".encode())


class UserError(Exception):
    """Something that the provider or the consumer can mend. Its text is shown to them as written."""


class PlatformError(Exception):
    """Something that the operator must mend. The user reads a generic sentence, the log has it all."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one execution may use."""

    cpu_millis: int
    memory_bytes: int
    wall_seconds: int
    processes: int
    output_bytes: int
    output_files: int
    network: bool = False


@dataclass(frozen=True, kw_only=True)
class BuildSpec:
    """What a build needs. ``source`` is the unpacked project on this host."""

    build_id: UUID
    source: Path
    limits: Limits
    interpreter: str = ""  # such as 3.11; empty: the first of the host
    image: str = ""  # reference in a registry, where there is no source
    fresh: bool = False  # resolve requirements again, even where their lock is known
    stopped: Callable[[], str] = lambda: ""  # asked now and then; a reason ends the build with a PlatformError


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a build made: the key of the environment, and whether it existed already."""

    environment: str
    reused: bool


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What an execution needs; data only. ``inputs`` are the files of the input folder, `data.json` among them."""

    job_id: UUID
    attempt: int
    version_id: UUID
    account_id: UUID  # whose job it is: only jobs of one account and one version may share a warm interpreter
    source: Path
    environment: str
    warm: bool = False  # start from an interpreter that has imported the program already, if the runtime can
    inputs: Mapping[str, bytes] = field(repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)  # secrets among them
    version_variables: frozenset[str] = frozenset()  # which of them every job of the version has: set before imports
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class ErrorReport:
    """An uncaught exception of the user's code: its class, its message, and only the user's own frames."""

    type: str
    message: str
    frames: list[str]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an execution used. None where the host's tier cannot tell."""

    wall_seconds: float
    cpu_seconds: float | None
    memory_peak_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an execution ended. ``reason`` is empty for success, else a value of jobs.models.Reason."""

    reason: str
    detail: str
    usage: Usage
    error: ErrorReport | None = None
    exit_code: int | None = None
    was_started: bool = True  # False: none of the user's code ran


class Execution(Protocol):
    """A running or ended execution in a slot. It outlives the process that started it.

    Reading does not consume: the offsets are the caller's, so a successor goes on where its predecessor stopped.
    """

    job_id: UUID
    attempt: int
    output: Path  # the output folder, for collection; foreign content: follow no link in it

    def read(self, channel: str, offset: int, limit: int = 65536) -> bytes:
        """Bytes of ``out`` or ``err`` from ``offset``; empty where there is nothing new."""

    def wait(self, timeout: float) -> None:
        """Block until there is new output, until the end, or for ``timeout`` seconds."""

    def ended(self) -> bool:
        """Whether every process of it is gone and its exit status, if any, is written."""

    def kill(self, reason: str) -> None:
        """End every process of it now (SIGKILL); ``outcome().reason`` will be ``reason``. Twice is no error."""

    def outcome(self) -> Outcome:
        """How it ended; call it after `ended()`."""

    def discard(self) -> None:
        """Remove all it left on the host, so that its slot is free."""


class Runtime(Protocol):
    """A driver. One object a process."""

    name: str

    def unavailable(self) -> str:
        """Empty if this host can run it, else the cause and the cure in words."""

    def tier(self) -> str:
        """How this host holds the limits: `v2`, `v1` or `rlimit`; `unsafe` without any sandbox."""

    def prepare(self, spec: BuildSpec, slot: "Slot", log: Log) -> Prepared:
        """Make a version runnable. Raises UserError with the words to show, or PlatformError."""

    def is_prepared(self, environment: str) -> bool:
        """Whether this host has the environment; if not, `restore` makes it again."""

    def lack(self, environment: str) -> str:
        """What this host would need for `restore` and does not have, in words: a Python. Empty if it has all."""

    def restore(self, environment: str, spec: BuildSpec, slot: "Slot", log: Log) -> None:
        """Make ``environment`` on this host as it was made before: from its lock, or from what ``spec`` says that a
        build had. Raises UserError or PlatformError.
        """

    def start(self, spec: JobSpec, slot: "Slot") -> Execution:
        """Start an execution, detached from this process. Raises PlatformError."""

    def attach(self, slot: "Slot") -> Execution | None:
        """The execution that ``slot`` holds, running or ended; None for an empty slot."""

    def tidy(self, *, keep: set[str]) -> None:
        """Remove what this host does not need any more; ``keep`` are the environments that versions still have."""
