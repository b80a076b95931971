"""Folders that nobody else may read or plant something in."""

import os
import stat
from pathlib import Path


class NotOurs(Exception):
    """The folder belongs to somebody else, who may have made it to listen in."""


def make_private(folder: Path) -> Path:
    """Make ``folder`` if need be, readable by its owner only; refuse one of somebody else, and a link."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise NotOurs(f"{folder} is not a folder of this user. Remove it, or choose another place.")
    folder.chmod(0o700)
    return folder
