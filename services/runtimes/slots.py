"""Slots: the places of this host where one job or one build runs, each a folder with a lock, a user and a lease.

The lock is held by the process that supervises. It dies with its holder and the folder does not: what a dead
supervisor left behind is the first that `acquire` gives away.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from services.runtimes.base import PlatformError
from services.runtimes.home import is_root, jobs_home

KINDS = ("job", "build")
RUN_PREFIX = "run-"  # the folder of the execution that a slot holds; sandbox makes and removes it
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

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def is_held(self) -> bool:
        """Whether it was acquired through this object and not released yet."""
        return self._lock is not None

    def runs(self) -> list[Path]:
        """The folders of what was started here and not discarded; at most one but after a crash."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(path for path in self.folder.iterdir() if path.name.startswith(RUN_PREFIX))
        return []

    def give(self, path: Path) -> None:
        """Make ``path`` (one file or folder, not what is below it) belong to the slot's user."""
        if is_root():
            os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def lease(self, expires_at: datetime) -> None:
        """Note until when the holder may supervise; `expired` gives the slot to the host's watch afterwards."""
        fresh = self.folder / f"lease.{os.getpid()}.{threading.get_ident()}"
        fresh.write_text(f"{expires_at.timestamp():.6f}\n")
        fresh.replace(self.folder / "lease")

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
                with contextlib.suppress(FileNotFoundError):
                    (self.folder / "lease").unlink()
            lock, self._lock = self._lock, None
            os.close(lock)


def acquire(kind: str) -> Slot | None:
    """Take a slot of ``kind`` that nobody holds; None where all are held.

    What a dead supervisor left behind comes first (its `runs()` are not empty), also where there are fewer slots now
    than when it was left.
    """
    regular = [jobs_home() / "slots" / f"{kind}-{number}" for number in range(_count(kind))]
    left = [folder for folder in _folders(kind) if folder not in regular]
    slots = [_slot(folder) for folder in regular + left]
    for slot in sorted(slots, key=lambda slot: not slot.runs()):
        if (slot.runs() or slot.folder in regular) and _try_lock(slot):
            if slot.runs() or slot.folder in regular:  # again: somebody else may have cleared it meanwhile
                try:
                    slot.uid = _user_of(slot)
                except BaseException:
                    slot.release()
                    raise
                return slot
            slot.release()
    return None


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


def expired(kind: str) -> Iterator[Slot]:
    """Slots of ``kind`` whose lease has passed, whoever holds them. Their holder must be kept from going on: kill."""
    for folder in _folders(kind):
        slot = _slot(folder)
        expires_at = slot.lease_expires_at()
        if expires_at is not None and expires_at <= datetime.now(UTC):
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
