"""One run: a job, the fault that its seed says, and how far the job was when it was struck."""

from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any
from uuid import UUID

# How far a job can be. What a step is, is told by what lies in the database, in the slot and in storage: see `step_of`.
STEPS = (
    "before the POST",
    "during the POST",
    "queued",
    "starting",
    "running, early",
    "running, late",
    "ended, not settled",
    "settling",
    "clearing up",
    "archiving",
    "archived",
    "reading",
)
IN_SANDBOX = ("starting", "running, early", "running, late", "ended, not settled", "settling")
SECRET = "sesame-{nonce}"


@dataclass
class Run:
    """A job as its client knows it, and what befell it."""

    seed: int
    random: Random
    wanted: str  # the step at which it is to be struck
    is_retryable: bool
    is_warm: bool  # of a version with warm start
    nonce: str
    lines: int
    pause: float
    files: int
    repeat: int
    id: UUID | None = None
    is_posting: bool = False
    gave_up: str = ""
    strikes: list[tuple[str, str]] = field(default_factory=list)  # victim, step
    may_fail: bool = False  # its sandbox was among the victims, or its lease could not be renewed
    outcome: str = ""
    violations: list[tuple[str, str]] = field(default_factory=list)  # kind, words

    @classmethod
    def of(cls, seed: int, *, steps: tuple[str, ...], is_long: bool) -> "Run":
        """The run of ``seed``, to be struck at one of ``steps``; a long one does not end by itself within its lease."""
        random = Random(seed)
        return cls(
            seed=seed,
            random=random,
            wanted=random.choice(steps),
            is_retryable=random.random() < 0.3,
            is_warm=random.random() < 0.3,
            nonce=sha256(str(seed).encode()).hexdigest()[:16],
            lines=40 if is_long else random.choice((3, 30, 60)),
            pause=0.2 if is_long else random.choice((0.002, 0.015, 0.03)),
            files=random.choice((1, 1, 3, 40)),
            repeat=random.choice((1, 2_000, 20_000)),
        )

    @property
    def service(self) -> tuple[bool, bool]:
        """Which of SERVICES it calls."""
        return self.is_retryable, self.is_warm

    @property
    def key(self) -> str:
        """Its Idempotency-Key."""
        return f"chaos-{self.nonce}"

    @property
    def secret(self) -> str:
        return SECRET.format(nonce=self.nonce)

    def body(self) -> dict[str, Any]:
        """What is sent."""
        wanted = {"nonce": self.nonce, "lines": self.lines, "pause": self.pause}
        data = wanted | {"files": self.files, "repeat": self.repeat}
        return {"data": data, "params": {}, "$secrets": {"token": self.secret}}

    def output(self, execution: str) -> str:
        """All that its code prints when it is begun and comes to its end."""
        lines = "".join(f"line {number} {self.nonce}\n" for number in range(self.lines))
        return f"begin {execution}\n{lines}end {execution}\n"

    def file(self, number: int) -> bytes:
        """What the file ``number`` holds."""
        return f"{self.nonce} {number}\n".encode() * self.repeat

    def broken(self, kind: str, words: str) -> None:
        """Note what must not be."""
        self.violations.append((kind, words))
