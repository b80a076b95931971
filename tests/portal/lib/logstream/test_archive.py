"""An archived log is the same log, whenever its archiver died."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage
from pytest_django.fixtures import Settings

from portal.lib import logstream
from portal.lib.logstream import LogEnded, LogWriter, archive, segments
from tests.portal.lib.logstream.conftest import LogName, whole


@pytest.fixture
def written(log: LogName, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> LogName:
    """A log with several segments, a gap, events, both channels and bytes that are no text."""
    settings.LOG_MAX_BYTES = 200_000
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 50_000)
    writer = LogWriter(*log)
    writer.event("status", status="RUNNING")
    for number in range(2_000):
        writer.write("out", b"%05d %s\n" % (number, b"\xff\x00\x1b[31m" * 30))
        if number % 100 == 0:
            writer.write("err", b"warning, ")
    return log


def test_stream_and_archive_cannot_be_told_apart(written: LogName, expire: Callable[[LogName], None]) -> None:
    LogWriter(*written).close()
    entries, text = whole(written), list(logstream.text(*written))
    assert [entry.event for entry in entries if entry.event] == ["status", "gap", "end"]
    archive(*written)
    assert whole(written) == entries
    expire(written)
    assert whole(written) == entries
    assert b"".join(logstream.text(*written)) == b"".join(text)
    assert logstream.exists(*written)


def test_archiving_ends_a_log_that_nobody_ended(written: LogName, expire: Callable[[LogName], None]) -> None:
    archive(*written)
    expire(written)
    assert whole(written)[-1].event == "end"


def test_archiving_twice_changes_nothing(written: LogName, storage: Path, expire: Callable[[LogName], None]) -> None:
    archive(*written)
    files = sorted(storage.rglob("*"))
    archive(*written)
    assert sorted(storage.rglob("*")) == files
    expire(written)
    archive(*written)
    assert sorted(storage.rglob("*")) == files


def test_archiving_a_log_that_nobody_began_is_no_error(log: LogName, storage: Path) -> None:
    archive(*log)
    assert not list(storage.rglob("*"))


@pytest.mark.parametrize("files_before_the_crash", [0, 1, 2, "half an index"])
def test_an_archiver_that_died_is_repeated(
    written: LogName,
    monkeypatch: pytest.MonkeyPatch,
    files_before_the_crash: int | str,
    expire: Callable[[LogName], None],
) -> None:
    LogWriter(*written).close()
    entries = whole(written)
    save, saved = FileSystemStorage._save, []

    def save_some(self: FileSystemStorage, name: str, content: object) -> str:
        if len(saved) == files_before_the_crash:
            raise OSError("No space left on device")
        saved.append(name)
        name = save(self, name, content)
        if files_before_the_crash == "half an index" and name.endswith("index.json"):
            with Path(self.path(name)).open("r+b") as file:
                file.truncate(20)
            raise OSError("No space left on device")
        return name

    with monkeypatch.context() as broken:
        broken.setattr(FileSystemStorage, "_save", save_some)
        with pytest.raises(OSError, match="No space left"):
            archive(*written)
    assert whole(written) == entries
    archive(*written)
    expire(written)
    assert whole(written) == entries


def test_a_writer_finds_out_from_the_archive_where_the_log_ended(
    written: LogName, expire: Callable[[LogName], None]
) -> None:
    offsets = LogWriter(*written).offsets()
    archive(*written)
    expire(written)
    writer = LogWriter(*written)
    assert writer.offsets() == offsets
    writer.close()
    writer.write("err", b"warning, ", offset=0)
    with pytest.raises(LogEnded):
        writer.write("out", b"more")
    assert whole(written)[-1].event == "end"


def test_a_deleted_log_leaves_nothing(written: LogName, storage: Path, expire: Callable[[LogName], None]) -> None:
    other = (written[0], written[1], 2)
    for log in (written, other):
        LogWriter(*log).write("out", b"x\n")
        archive(*log)
    logstream.delete(*written)
    assert whole(written) == []
    assert not logstream.exists(*written)
    assert [entry.data for entry in whole(other)] == [b"x\n", b"{}"]
    logstream.delete(*other)
    assert not [path for path in storage.rglob("*") if path.is_file()]
    logstream.delete(*other)
