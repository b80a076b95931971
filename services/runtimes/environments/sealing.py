"""Making what a build wrote the system's own: read-only, and on disk once however many environments share it."""

import os
import shutil
import stat
from pathlib import Path

from services.runtimes import home
from services.runtimes.base import PlatformError


def seal(environment: Path, *, cache: Path, mounted_at: str) -> None:
    """Make all of ``environment`` the system's own and read-only.

    What uv linked to its cache becomes a hard link, so packages that several environments share lie on disk once.
    """
    if environment.is_symlink():
        raise PlatformError(f"{environment} is no folder.")
    places = (f"{mounted_at}/", f"{cache}/")
    real_cache = cache.resolve()
    for parent, _, names in os.walk(environment, topdown=False):
        for name in names:
            file = Path(parent, name)
            if file.is_symlink():
                target = str(file.readlink())
                place = next((place for place in places if target.startswith(place)), None)
                if place is None:
                    continue
                cached = cache / target.removeprefix(place)
                if not cached.resolve().is_relative_to(real_cache):
                    raise PlatformError(f"{file} links to {target}, which is not in the cache.")
                file.unlink()
                os.link(cached, file, follow_symlinks=False)
            _own(file)
        _own(Path(parent))


def _own(entry: Path) -> None:
    mode = entry.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise PlatformError(f"{entry} is neither a file nor a folder.")
    if home.is_root():
        os.chown(entry, 0, 0, follow_symlinks=False)
    entry.chmod(0o555 if stat.S_ISDIR(mode) or mode & 0o111 else 0o444)


def remove(folder: Path) -> None:
    """Remove a file or a folder that may be read-only; nothing happens where there is none."""
    if folder.is_dir() and not folder.is_symlink():
        if not home.is_root():
            for parent, _, _ in os.walk(folder):
                Path(parent).chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.unlink(missing_ok=True)
