"""File systems in memory with a size: how root bounds an output folder. Done by system call, mount(8) costs 1 ms."""

import ctypes
import functools
import os
from pathlib import Path

MS_NOSUID, MS_NODEV = 2, 4
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8


def mount(folder: Path, *, size: int, files: int, uid: int) -> None:
    """Mount a file system in memory over ``folder``: ``size`` bytes and ``files`` files at most, owned by ``uid``."""
    options = f"size={max(size, 4096)},nr_inodes={files},mode=0700,uid={uid},gid={uid}"
    done = _libc().mount(b"tmpfs", bytes(folder), b"tmpfs", MS_NOSUID | MS_NODEV, options.encode())
    if done != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(folder))


def unmount(folder: Path) -> None:
    """Take the mount over ``folder`` away; no error where there is none."""
    _libc().umount2(bytes(folder), MNT_DETACH | UMOUNT_NOFOLLOW)


def is_full(folder: Path) -> bool:
    """Whether there is no room in it for another byte or another file."""
    room = os.statvfs(folder)
    return room.f_bavail == 0 or room.f_favail == 0


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def are_allowed(jobs_home: Path) -> bool:
    """Whether this process can mount below ``jobs_home``."""
    folder = jobs_home / f"mount-probe-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    try:
        mount(folder, size=4096, files=8, uid=0)
    except OSError:
        return False
    else:
        unmount(folder)
        return True
    finally:
        folder.rmdir()
