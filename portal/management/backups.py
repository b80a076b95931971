"""One file with all that an instance cannot make again: database, stored files and keys. And back.

Not in it: the broker (rings and the logs of what runs at the moment; a finished log is a stored file) and what hosts
make from the rest by themselves (environments, static files).
"""

import contextlib
import fcntl
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

FORMAT = 1
KEYS = ("secret_key", "encryption_key", "demo.json")  # in the data folder, where the environment gives no others
DATABASES = {"sqlite": "database.sqlite3", "postgresql": "database.pgdump"}
MANIFEST = "manifest.json"


class BackupError(Exception):
    """It was not done. The text says why, and what to do."""


def write(target: Path) -> dict[str, Any]:
    """Write a backup of this instance, which may run meanwhile, to ``target``; returns its manifest."""
    if target.exists():
        raise BackupError(f"{target} exists already, and nothing is overwritten. Choose another name.")
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            part.touch(mode=0o600)  # it holds every secret of the instance
            with tarfile.open(part, "w") as archive:
                manifest = _fill(archive, Path(scratch))
        os.link(part, target)  # unlike a rename it overwrites nothing that came meanwhile
    except FileExistsError:
        raise BackupError(f"{target} came into being meanwhile, and nothing is overwritten.") from None
    except OSError as error:
        raise BackupError(f"The backup cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return manifest


def restore(source: Path, *, force: bool = False) -> dict[str, Any]:
    """Make this instance what ``source`` says; returns its manifest. ``force`` puts aside what is there."""
    with _stopped_instance(), _opened(source) as archive:
        manifest = json.loads(_read(archive, MANIFEST))
        if manifest["format"] != FORMAT:
            raise BackupError(f"{source} has format {manifest['format']}; this version of Mercato reads {FORMAT}.")
        if manifest["database"] != connection.vendor:
            raise BackupError(
                f"{source} holds a {manifest['database']} database, and this instance uses {connection.vendor}. "
                "Set DATABASE_URL to fit the backup."
            )
        if _holds_data():
            if not force:
                raise BackupError("This instance holds data. --force puts it aside and restores nevertheless.")
            _put_aside()
        for member in archive:
            _restore_member(archive, member)
    return manifest


def _fill(archive: tarfile.TarFile, scratch: Path) -> dict[str, Any]:
    # The database first: a file that it names is there as long as the row is, so what is read later holds at least it.
    dump = scratch / DATABASES[connection.vendor]
    _dump_sqlite(dump) if connection.vendor == "sqlite" else _postgres("pg_dump", "--format=custom", f"--file={dump}")
    archive.add(dump, dump.name)
    files = 0
    for name in _stored_files(""):
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile, with its row
            _add_stored_file(archive, name, scratch)
            files += 1
    keys = [name for name in KEYS if (settings.MERCATO_HOME / name).exists()]
    for name in keys:
        archive.add(settings.MERCATO_HOME / name, f"keys/{name}")
    manifest = {
        "format": FORMAT,
        "made_at": timezone.now().isoformat(timespec="seconds"),
        "database": connection.vendor,
        "files": files,
        "keys": keys,
    }
    _add_bytes(archive, MANIFEST, json.dumps(manifest, indent=2).encode())
    return manifest


def _dump_sqlite(target: Path) -> None:
    """Copy the database as it is at one moment, whoever writes to it."""
    name = connection.settings_dict["NAME"]
    with (
        contextlib.closing(sqlite3.connect(f"file:{name}?mode=ro", uri=True)) as live,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        if (said := copy.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise BackupError(f"The database is damaged: {said}")


def _postgres(program: str, *arguments: str) -> None:
    command, environment = connection.client.settings_to_cmd_args_env(connection.settings_dict, list(arguments))
    if host := connection.settings_dict["OPTIONS"].get("host"):  # given in the query of the URL: a folder of sockets
        environment = {"PGHOST": host, **(environment or {})}
    *options, database = command[1:]
    try:
        subprocess.run(
            [program, *options, f"--dbname={database}"],
            env=os.environ | (environment or {}),
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        raise BackupError(f"{program} is not installed. On Debian: apt-get install postgresql-client") from None
    except subprocess.CalledProcessError as error:
        raise BackupError(f"{program} failed: {error.stderr.strip()}") from None


def _stored_files(folder: str) -> Iterator[str]:
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        yield f"{folder}{name}"
    for name in folders:
        yield from _stored_files(f"{folder}{name}/")


def _add_stored_file(archive: tarfile.TarFile, name: str, scratch: Path) -> None:
    # A remote storage does not say how long a file is before it is read, and a tar wants to know.
    with default_storage.open(name) as file, tempfile.TemporaryFile(dir=scratch) as copy:
        for chunk in file.chunks():
            copy.write(chunk)
        info = tarfile.TarInfo(f"files/{name}")
        info.size, info.mode = copy.tell(), 0o600
        copy.seek(0)
        archive.addfile(info, copy)


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o600, int(time.time())
    archive.addfile(info, io.BytesIO(data))


@contextlib.contextmanager
def _stopped_instance() -> Iterator[None]:
    """Hold the lock of `up`, so that nothing serves the data while it changes."""
    with (settings.MERCATO_HOME / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"An instance runs on {settings.MERCATO_HOME}. Stop it first.") from None
        yield


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source) as archive:
            yield archive
    except FileNotFoundError:
        raise BackupError(f"There is no file {source}.") from None
    except (tarfile.TarError, KeyError, json.JSONDecodeError):
        raise BackupError(f"{source} is not a backup of Mercato, or it is damaged.") from None


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def _holds_data() -> bool:
    if connection.vendor == "sqlite":
        database = Path(connection.settings_dict["NAME"])
        has_rows = database.exists() and database.stat().st_size > 0
    else:
        has_rows = bool(connection.introspection.table_names())
        connection.close()
    return has_rows or next(_stored_files(""), None) is not None


def _put_aside() -> None:
    """Move what the data folder holds below a folder of its own. A PostgreSQL database is replaced, not moved."""
    home = settings.MERCATO_HOME
    aside = home / f"replaced-{timezone.now():%Y%m%d-%H%M%S}"
    aside.mkdir(mode=0o700)
    database = connection.settings_dict["NAME"]
    moved = [home / "valkey", *(home / name for name in KEYS)]
    if connection.vendor == "sqlite":
        connection.close()
        moved += [Path(f"{database}{suffix}") for suffix in ("", "-wal", "-shm")]
    with contextlib.suppress(NotImplementedError):  # a remote storage has no path; its files are replaced one by one
        moved.append(Path(default_storage.path("")))
    for path in moved:
        if path.exists():
            path.rename(aside / path.name)


def _restore_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    file = archive.extractfile(member)
    kind, _, name = member.name.partition("/")
    if file is None:
        return
    with file:
        if kind == "files":
            default_storage.delete(name)
            default_storage.save(name, File(file))
        elif kind == "keys" and name in KEYS:
            _write_private(settings.MERCATO_HOME / name, file)
        elif kind == DATABASES[connection.vendor]:
            _restore_database(file)


def _restore_database(file: IO[bytes]) -> None:
    connection.close()
    if connection.vendor == "sqlite":
        _write_private(Path(connection.settings_dict["NAME"]), file)
        return
    with tempfile.NamedTemporaryFile() as dump:
        shutil.copyfileobj(file, dump)
        dump.flush()
        _postgres("pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", dump.name)


def _write_private(path: Path, file: IO[bytes]) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    with path.open("wb") as written:
        shutil.copyfileobj(file, written)
