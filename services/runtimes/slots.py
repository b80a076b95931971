"""Slots: the places of this host where one job or one build runs, each a folder with a lock, a user and a lease.

The lock is held by the process that supervises. It dies with its holder and the folder does not: what a dead
supervisor left behind is the first that `acquire` gives away.
"""

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

from services.runtimes.base import PlatformError
from services.runtimes.home import is_root, jobs_home

KINDS = ("job", "build")
RUN_PREFIX = "run-"  # the folder of the execution that a slot holds; sandbox makes and removes it
WARM_PREFIX = "warm-"  # that of a warm interpreter, which is no execution: without one the slot is free
OVER_PREFIX = "over-"  # an execution that is being cleared up
CLAIM = "claim"  # a file: which job was claimed last for this slot
SEALED = "sealed.json"  # a file: what its output must not show, encrypted
WARM = "warm"  # a file: for whom the interpreter waits, and since when
USERS = Path("/run/mercato-uids")  # which slot of which instance on this host has which uid; gone with the boot
UIDS_MAX = 1000


@dataclass
class Slot:
    """One place. ``uid`` is its user on this host, and nobody else's while the folder exists."""

    kind: str
    number: int
    folder: Path
    uid: int
    _lock: int | None = field(default=None, repr=False)
    _may_start_until: datetime | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def is_held(self) -> bool:
        """Whether it was acquired through this object and not released yet."""
        return self._lock is not None

    def runs(self) -> list[Path]:
        """The folders of what was started here and not discarded; at most one but after a crash."""
        return self._folders(RUN_PREFIX)

    def servers(self) -> list[Path]:
        """The folders of warm interpreters, idle or not; at most one but after a crash."""
        return self._folders(WARM_PREFIX)

    def folders(self) -> list[Path]:
        """All that was made here for executions."""
        return self._folders(RUN_PREFIX, WARM_PREFIX, OVER_PREFIX)

    def warm_key(self) -> str:
        """For whom an interpreter waits here; empty where none does."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / WARM).read_text()
        return ""

    def idle_since(self) -> float:
        """When an interpreter began to wait here, in seconds of the epoch; 0 where none does."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / WARM).stat().st_mtime
        return 0.0

    def keep_warm(self, key: str) -> None:
        """Note that an interpreter waits for jobs of ``key``. The slot is free all the same."""
        fresh = self.folder / f"{WARM}.new"
        fresh.write_text(key)
        fresh.replace(self.folder / WARM)

    def cool(self) -> None:
        """Take the note away: the interpreter is to work, or to end."""
        (self.folder / WARM).unlink(missing_ok=True)

    def _folders(self, *prefixes: str) -> list[Path]:
        with contextlib.suppress(FileNotFoundError):
            names = os.listdir(self.folder)  # noqa: PTH208 (every look asks every slot, and few names are of interest)
            found = [self.folder / name for name in sorted(names) if name.startswith(prefixes)]
            return [path for path in found if path.is_dir()]
        return []

    def give(self, path: Path) -> None:
        """Make ``path`` (one file or folder, not what is below it) belong to the slot's user."""
        if is_root():
            os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def claim(self, name: str) -> None:
        """Note what the holder is about to start. Where it dies of it, `abandoned` finds the slot."""
        fresh = self.folder / f"{CLAIM}.new"
        fresh.write_text(name)
        fresh.replace(self.folder / CLAIM)

    def claimed(self) -> str:
        """What was noted last, whatever became of it."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / CLAIM).read_text()
        return ""

    def seal(self, name: str, sealed: Sequence[str]) -> None:
        """Keep what the output of ``name``, which was claimed, must not show: encrypted texts, while it runs here."""
        if not sealed:
            return
        fresh = self.folder / f"{SEALED}.new"
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps({"name": name, "sealed": list(sealed)}))
        fresh.replace(self.folder / SEALED)

    def sealed(self, name: str) -> list[str] | None:
        """What was kept for ``name``; None where that was nothing."""
        with contextlib.suppress(FileNotFoundError):
            kept = json.loads((self.folder / SEALED).read_text())
            return list(kept["sealed"]) if kept["name"] == name else None
        return None

    def lease(self, expires_at: datetime) -> None:
        """Note until when the holder may supervise; `expired` gives the slot to the host's watch afterwards."""
        fresh = self.folder / f"lease.{os.getpid()}.{threading.get_ident()}"
        fresh.write_text(f"{expires_at.timestamp():.6f}\n")
        fresh.replace(self.folder / "lease")
        self._may_start_until = expires_at

    def is_overdue(self) -> bool:
        """Whether the lease that we noted has passed meanwhile: another attempt may have begun."""
        return self._may_start_until is not None and self._may_start_until <= datetime.now(UTC)

    def check_lease(self) -> None:
        """For the last moment before a start. Raises OSError where we stood still until the lease had passed."""
        if self.is_overdue():
            raise TimeoutError("The lease ended before the start; the job is not ours any more.")

    def lease_expires_at(self) -> datetime | None:
        """The end of the lease; None without one."""
        try:
            return datetime.fromtimestamp(float((self.folder / "lease").read_text()), UTC)
        except (FileNotFoundError, ValueError):
            return None

    def release(self) -> None:
        """Let another take it. Twice is no error."""
        if self._lock is not None:
            if not self.runs():  # what still runs keeps the lease that a planned stop gave it
                for name in ("lease", SEALED):
                    with contextlib.suppress(FileNotFoundError):
                        (self.folder / name).unlink()
            lock, self._lock, self._may_start_until = self._lock, None, None
            os.close(lock)


def acquire(kind: str) -> Slot | None:
    """Take a slot of ``kind`` that nobody holds; None where all are held.

    What a dead supervisor left behind comes first (its `runs()` are not empty), also where there are fewer slots now
    than when it was left. Then come empty ones, then those whose warm interpreter waits longest.
    """
    regular = [jobs_home() / "slots" / f"{kind}-{number}" for number in range(_count(kind))]
    left = [folder for folder in _folders(kind) if folder not in regular]
    slots = [_slot(folder) for folder in regular + left]
    for slot in sorted(slots, key=lambda slot: (not slot.runs(), slot.idle_since())):
        if (slot.runs() or slot.folder in regular) and _try_lock(slot):
            if slot.runs() or slot.folder in regular:  # again: somebody else may have cleared it meanwhile
                return _with_user(slot)
            slot.release()
    return None


def exchange(held: Slot, key: str) -> Slot:
    """The slot where a warm interpreter waits for jobs of ``key``, if one is free: ``held`` is released for it.

    Else ``held`` itself: who has claimed a job keeps a place for it in any case.
    """
    if held.warm_key() == key:
        return held
    for number in range(_count(held.kind)):
        slot = _slot(jobs_home() / "slots" / f"{held.kind}-{number}")
        if slot.name == held.name or slot.warm_key() != key or not _try_lock(slot):
            continue
        if slot.warm_key() == key and not slot.runs():
            found = _with_user(slot)
            held.release()
            return found
        slot.release()
    return held


def is_regular(slot: Slot) -> bool:
    """Whether there shall still be this one."""
    return slot.number < _count(slot.kind)


def waiting(kind: str, *, before: float) -> Iterator[Slot]:
    """Slots of ``kind`` whose warm interpreter began to wait ``before``, each held while it is yielded."""
    for folder in _folders(kind):
        slot = _slot(folder)
        if (slot.servers() or slot.warm_key()) and slot.idle_since() <= before and _try_lock(slot):
            try:
                if not slot.runs() and slot.idle_since() <= before:
                    yield slot
            finally:
                slot.release()


def occupied(kind: str) -> Iterator[Slot]:
    """Slots of ``kind`` in which something runs or has run, held by somebody or by nobody."""
    for folder in _folders(kind):
        slot = _slot(folder)
        if slot.runs():
            yield slot


def left_behind(kind: str) -> Iterator[Slot]:
    """Slots of ``kind`` in which something runs or has run, and that nobody holds."""
    for slot in occupied(kind):
        if _try_lock(slot):
            slot.release()
            yield slot


def abandoned(kind: str, claims: Container[str]) -> Iterator[Slot]:
    """Slots of ``kind`` that nobody holds and for which one of ``claims`` was noted; each held while it is yielded."""
    for folder in _folders(kind):
        slot = _slot(folder)
        if slot.claimed() in claims and _try_lock(slot):
            try:
                yield slot
            finally:
                slot.release()


def expired(kind: str, *, within: float = 0.0) -> Iterator[Slot]:
    """Slots of ``kind`` whose lease passes ``within`` so many seconds, or has passed, whoever holds them.

    Their holder must be kept from going on: kill.
    """
    for folder in _folders(kind):
        slot = _slot(folder)
        expires_at = slot.lease_expires_at()
        if expires_at is not None and expires_at <= datetime.now(UTC) + timedelta(seconds=within):
            yield slot


def _count(kind: str) -> int:
    return int({"job": settings.JOB_SLOTS, "build": settings.BUILD_SLOTS}[kind])


def _folders(kind: str) -> list[Path]:
    home = jobs_home() / "slots"
    found = [path for path in home.iterdir() if path.name.startswith(f"{kind}-")] if home.is_dir() else []
    return sorted(found, key=lambda path: int(path.name.removeprefix(f"{kind}-")))


def _slot(folder: Path) -> Slot:
    kind, _, number = folder.name.partition("-")
    return Slot(kind=kind, number=int(number), folder=folder, uid=_recorded_user(folder))


def _try_lock(slot: Slot) -> bool:
    slot.folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    slot.folder.mkdir(mode=0o710, exist_ok=True)
    lock = os.open(slot.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    slot._lock = lock
    return True


# Users. Two instances on one host must not share one: files, signals and RLIMIT_NPROC know the uid only.


def _recorded_user(folder: Path) -> int:
    if not is_root():
        return os.getuid()
    try:
        return int((folder / "uid").read_text())
    except (FileNotFoundError, ValueError):
        return -1


def _with_user(slot: Slot) -> Slot:
    """``slot``, which we hold, with its user; released again where none is free."""
    try:
        slot.uid = _user_of(slot)
    except BaseException:
        slot.release()
        raise
    return slot


def _user_of(slot: Slot) -> int:
    """The uid of a slot that we hold; chosen on first use and after a reboot."""
    if not is_root():
        return os.getuid()
    USERS.mkdir(mode=0o700, exist_ok=True)
    if slot.uid >= 0 and _owner(slot.uid) == str(slot.folder):
        return slot.uid
    with (USERS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        uid = _free_user(slot)
        (USERS / str(uid)).write_text(str(slot.folder))
    (slot.folder / "uid").write_text(f"{uid}\n")
    os.chown(slot.folder, 0, uid)
    slot.folder.chmod(0o710)  # its own user passes through, others do not; listing it is for root
    return uid


def _free_user(slot: Slot) -> int:
    first = settings.JOB_UID_BASE + 1
    running = _users_of_processes()
    for uid in range(first, first + UIDS_MAX):
        owner = _owner(uid)
        if owner == str(slot.folder):
            return uid
        if not (owner and Path(owner).exists()) and uid not in running:
            return uid
    raise PlatformError(f"All users from {first} on belong to other slots of this host. Set JOB_UID_BASE apart.")


def _owner(uid: int) -> str:
    try:
        return (USERS / str(uid)).read_text()
    except FileNotFoundError:
        return ""


def _users_of_processes() -> set[int]:
    users = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                users.add(process.stat().st_uid)
    return users
