"""Where environments lie on this host. A folder with the name of a key is complete: it got its name last."""

from pathlib import Path

from services.runtimes import home

MOUNTED_AT = "/opt/environment"  # where jobs see theirs


def folder() -> Path:
    """The folder of all environments."""
    return home.jobs_home() / "environments"


def path(key: str) -> Path:
    """The folder of an environment on this host, whether it exists or not."""
    return folder() / key


def exists(key: str) -> bool:
    """Whether this host has the environment, and still has its interpreter."""
    return (path(key) / "bin" / "python").exists()
