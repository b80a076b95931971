"""Where environments lie on this host. A folder with the name of a key is complete: it got its name last."""

from pathlib import Path

from services.runtimes import home

MOUNTED_AT = "/opt/environment"  # where jobs see theirs
COMMONS_AT = "/opt/commons"  # where they see the one beside it


def folder() -> Path:
    """The folder of all environments."""
    return home.jobs_home() / "environments"


def path(key: str) -> Path:
    """The folder of an environment on this host, whether it exists or not."""
    return folder() / key


def exists(key: str) -> bool:
    """Whether this host has the environment and what lies beside it, and still has its interpreter."""
    beside = commons_link(key)
    return (path(key) / "bin" / "python").exists() and (not beside.is_symlink() or beside.exists())


def commons_link(key: str) -> Path:
    """The link from an environment to the one with `planqk.commons`; there is none where its jobs need none."""
    return folder() / ".commons" / key


def commons_of(key: str) -> Path | None:
    """The environment with `planqk.commons` that jobs of this one see beside it."""
    try:
        return folder() / commons_link(key).readlink().name
    except OSError:
        return None
