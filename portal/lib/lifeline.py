"""Ties the life of a process to the one that started it, so that nothing of a group is left when its head is killed."""

import ctypes
import os
import signal
from pathlib import Path

# The process id of the head, for the children of `up`. A worker that somebody runs by hand is its own master.
VARIABLE = "MERCATO_LIFELINE"
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send ``number`` to this process when the *thread* that forked it is gone, however it ended.

    ``parent`` is its process id; where that is gone already, this process ends now.
    """
    _libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def end_with_parent_in_group() -> None:
    """The same for a process that a child of `up` forked, to which the kernel does not pass it down; nothing elsewhere.

    Its parent is a child of the head, or it is gone and somebody else's child took its place.
    """
    if VARIABLE not in os.environ:
        return
    parent = os.getppid()
    end_with_parent(parent)
    if _parent_of(parent) != int(os.environ[VARIABLE]):
        os._exit(1)


def _parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return None
