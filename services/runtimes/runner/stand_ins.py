"""What `planqk.commons` and `qhub.commons` offer to a program, for an environment that cannot have these packages."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import IO, Any


class SecretValue:
    """A secret that shows itself once, to who asks for it, and in no text."""

    def __init__(self, value: str) -> None:
        self._value = value
        self._locked = False

    @property
    def is_locked(self) -> bool:
        """Whether it was unwrapped."""
        return self._locked

    def unwrap(self) -> str:
        """The secret. A second call raises ValueError."""
        if self._locked:
            raise ValueError("The secret was unwrapped already. Keep what the first unwrap() returned.")
        self._locked = True
        return self._value

    def __str__(self) -> str:
        return "[redacted]"

    def __repr__(self) -> str:
        return "SecretValue([redacted])"


class DataPool:
    """A folder of files that is mounted for the job."""

    def __init__(self, path: str) -> None:
        if not os.path.exists(path):
            raise FileNotFoundError(f"There is no data pool at {path}.")
        if not os.path.isdir(path):
            raise NotADirectoryError(f"{path} is no folder, so it is no data pool.")
        self._path = path

    @property
    def name(self) -> str:
        """Its name, which is the parameter's."""
        return os.path.basename(self._path)

    @property
    def path(self) -> str:
        """Where it is mounted."""
        return self._path

    def list_files(self) -> dict[str, str]:
        """Its files: name and path."""
        paths = {name: os.path.join(self._path, name) for name in os.listdir(self._path)}
        return {name: path for name, path in paths.items() if os.path.isfile(path)}

    def open(self, name: str, mode: str = "r") -> IO[Any]:
        """A file of it."""
        path = os.path.join(self._path, name)
        if not os.path.isfile(path):
            raise FileNotFoundError(f"The data pool has no file {name}.")
        return open(path, mode)
