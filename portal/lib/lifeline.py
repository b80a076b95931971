"""Ties the life of a process to the one that started it, so that nothing of a group is left when its head is killed."""

import ctypes
import os
import signal

# Set for the children of `up`. A worker that somebody runs by hand or by systemd is its own master.
VARIABLE = "MERCATO_LIFELINE"
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send ``number`` to this process when the *thread* that forked it is gone, however it ended."""
    _libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def end_with_parent_in_group() -> None:
    """The same for a process that a child of `up` forked; nothing elsewhere. The kernel does not pass it down."""
    if VARIABLE in os.environ:
        end_with_parent()
