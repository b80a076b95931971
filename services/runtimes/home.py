"""JOBS_HOME: the folder where the users of jobs reach what they need, and nothing of the platform's own.

Below it lie tools, slots, environments and sources; sandbox, slots and environments each own their part.
"""

import functools
import os
import shutil
import subprocess
from pathlib import Path

from django.conf import settings

from services.runtimes.base import PlatformError

SETPRIV = "/usr/bin/setpriv"


def is_root() -> bool:
    """Whether this process may give each slot a user of its own."""
    return os.geteuid() == 0


def free_mib() -> int:
    """The room on the fuller of the disks that jobs write to: their own folder, and that of the instance."""
    folders = {jobs_home(), Path(settings.MERCATO_HOME)}
    return min(shutil.disk_usage(folder).free for folder in folders if folder.is_dir()) // 1024**2


def probe_uid() -> int:
    """The user as whom a host is probed. Slots begin one above it."""
    return settings.JOB_UID_BASE if is_root() else os.getuid()


def as_user(uid: int) -> list[str]:
    """What to put before a command so that it runs as ``uid``, without groups and for good."""
    if not is_root():
        return []
    return [SETPRIV, f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs", "--"]


def try_as_user(*argv: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run ``argv`` as a job's user would, to see whether it can.

    By way of a shell: setpriv itself still reaches what only root may, up to the moment of exec.
    """
    return subprocess.run(
        [*as_user(probe_uid()), "/bin/sh", "-c", 'exec "$0" "$@"', *argv],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        check=False,
    )


def jobs_home() -> Path:
    """The folder; made on first use. Raises PlatformError where there can be none."""
    return _resolve(settings.JOBS_HOME, settings.MERCATO_HOME, settings.INSTANCE)


@functools.lru_cache
def _resolve(chosen: str, data: Path, instance: str) -> Path:
    own = [Path(chosen).expanduser().resolve()] if chosen else []
    for folder in own or [data / "jobs", Path("/var/lib/mercato") / instance]:
        try:
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)  # to pass through, not to list
        except OSError as error:
            failure = str(error)
            continue
        if try_as_user("/bin/sh", "-c", 'cd "$0"', folder).returncode == 0:
            return folder
        failure = f"uid {probe_uid()} cannot enter {folder}"
    raise PlatformError(
        f"There is no folder for jobs: {failure}. Set JOBS_HOME to a folder whose parents are open to all (mode o+x)."
    )
