"""Reading a zip that somebody sent: its names are checked first, and its bytes are counted while they are inflated."""

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import IO

from django.conf import settings
from django.core.exceptions import ValidationError

from portal.lib.sizes import limit_in_words
from services.sources import directory

RATIO_MAX = 100
PATH_MAX_BYTES = 1000
NAME_MAX_BYTES = 255
DEPTH_MAX = 40
PROBLEMS_SHOWN = 20
CHUNK_BYTES = 256 * 1024
RATIO_CHECKED_FROM_BYTES = 1024 * 1024  # for a single entry: a small file of zeros beside others harms nobody
LOCAL_HEADER_BYTES = 30
OTHER_NAME = 0x7075  # an extra field: the name once more, in UTF-8
DRIVE = re.compile(r"[A-Za-z]:")
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
LEFT_OUT_FOLDERS = {"__MACOSX", "__pycache__"}  # what Finder adds, and bytecode of another machine
LEFT_OUT_NAMES = {".DS_Store"}
OTHER_FORMATS = (
    (b"\x1f\x8b", "a gzip file (.tar.gz)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"%PDF", "a PDF"),
    (b"PK\x07\x08", "one part of a zip of several parts"),
)
ZIP_AGAIN = "Zip the project again from inside its folder: zip -r ../project.zip ."
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


class SourceRejected(ValidationError):
    """The zip cannot become a service. ``messages``: each names the entry, what is wrong, why, and what to do.

    A message may have several lines (a syntax error carries its line and a caret): show it with its line breaks.
    """

    def __init__(self, problems: list[str]) -> None:
        shown_problems = problems[:PROBLEMS_SHOWN]
        if len(problems) > PROBLEMS_SHOWN:
            shown_problems.append(f"And {len(problems) - PROBLEMS_SHOWN} more of this kind.")
        super().__init__(shown_problems)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry, with the path that it gets on disk: relative, without `..`, unique."""

    path: str
    is_folder: bool
    is_executable: bool
    info: zipfile.ZipInfo


class Archive:
    """An open zip whose names are safe. Its content is not known to be until it is inflated."""

    def __init__(self, opened_zip: zipfile.ZipFile, entries: list[Entry], *, size: int) -> None:
        self.entries = entries
        self.inflated = 0
        self._zip = opened_zip
        self._size = size

    @property
    def files(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.is_folder]

    def kept(self) -> Iterator[Entry]:
        """The files that are worth unpacking."""
        for entry in self.files:
            path = PurePosixPath(entry.path)
            if path.name not in LEFT_OUT_NAMES and LEFT_OUT_FOLDERS.isdisjoint(path.parts):
                yield entry

    def inflate(self, entry: Entry) -> Iterator[bytes]:
        """The content of ``entry``. Raises SourceRejected as soon as the archive turns out too large or damaged."""
        size = 0
        try:
            with self._zip.open(entry.info) as packed:
                while chunk := packed.read(CHUNK_BYTES):
                    size += len(chunk)
                    self.inflated += len(chunk)
                    self._check_size(entry, size)
                    yield chunk
            if size != entry.info.file_size:
                raise zipfile.BadZipFile(f"it has {size:,} bytes and says that it has {entry.info.file_size:,}")
        except DAMAGED as error:
            if isinstance(error, ValidationError):
                raise
            raise SourceRejected(
                [f"{shown(entry.path)}: its content is damaged ({shown(str(error))}). {ZIP_AGAIN}"]
            ) from error

    def _check_size(self, entry: Entry, size: int) -> None:
        limit = settings.SOURCE_UNPACKED_MAX_BYTES
        if self.inflated > limit:
            raise SourceRejected(
                [
                    f"{shown(entry.path)}: with it the project is larger than {limit_in_words(limit)} unpacked, "
                    "the most that a source may have. Leave out data, models and virtual environments."
                ]
            )
        alone = size > RATIO_CHECKED_FROM_BYTES and size > RATIO_MAX * max(entry.info.compress_size, 1)
        if alone or self.inflated > RATIO_MAX * self._size:
            raise SourceRejected(
                [
                    f"{shown(entry.path)}: it unpacks to more than {RATIO_MAX} times its packed size, as zips that "
                    "are made to fill a disk do. If it is meant, zip without compression: zip -0 -r ../project.zip ."
                ]
            )


@contextmanager
def opened(file: IO[bytes], *, size: int) -> Iterator[Archive]:
    """The zip in ``file`` of ``size`` bytes, with every name checked. Raises SourceRejected."""
    _check_format(file)
    found = _directory(file, size=size)
    file.seek(0)
    try:
        opened_zip = zipfile.ZipFile(file)
    except UnicodeDecodeError as error:
        raise SourceRejected([_not_utf8(bytes(error.object))]) from error
    except DAMAGED as error:
        words = f"The zip is damaged ({shown(str(error))}), or its upload was cut short. {ZIP_AGAIN}"
        raise SourceRejected([words]) from error
    with opened_zip:
        yield Archive(opened_zip, _checked_entries(opened_zip.infolist(), end=found.start), size=size)


def plain_entry(path: PurePath) -> zipfile.ZipInfo:
    """An entry without date and owner, so that the same files make the same zip."""
    info = zipfile.ZipInfo(path.as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3  # Unix, whatever this runs on
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def shown(name: str) -> str:
    """A foreign name, fit for a message: no control characters, not too long."""
    printable = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)
    return printable if len(printable) <= 120 else f"{printable[:80]}…{printable[-39:]}"


def _check_format(file: IO[bytes]) -> None:
    file.seek(0)
    head = file.read(8)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return
    kind = next((words for magic, words in OTHER_FORMATS if head.startswith(magic)), "")
    what = f"it is {kind}" if kind else "it is empty" if not head else "its first bytes are not those of a zip"
    raise SourceRejected([f"The file is not a zip: {what}. {ZIP_AGAIN}"])


def _directory(file: IO[bytes], *, size: int) -> directory.Directory:
    """Where the list of entries lies. A flood of them is refused before `zipfile` makes an object of each."""
    try:
        found = directory.find(file, size=size, entries_max=settings.SOURCE_MAX_ENTRIES)
    except directory.Misleading as error:
        raise SourceRejected([f"The zip is damaged ({error}), or its upload was cut short. {ZIP_AGAIN}"]) from error
    if found.count > settings.SOURCE_MAX_ENTRIES:
        raise _too_many("entries", found.count)
    return found


def _too_many(what: str, count: int) -> SourceRejected:
    return SourceRejected(
        [
            f"The zip has {count:,} {what} or more; {settings.SOURCE_MAX_ENTRIES:,} are allowed. "
            "Leave out virtual environments, caches and data: the code and its requirements.txt are enough."
        ]
    )


def _checked_entries(infos: list[zipfile.ZipInfo], *, end: int) -> list[Entry]:
    problems: list[str] = []
    entries: list[Entry] = []
    for info in infos:
        name = _decoded_name(info)
        problem = _not_utf8(info.orig_filename.encode("cp437")) if name is None else _problem(name, info)
        if problem:
            problems.append(f"{shown(name)}: {problem}" if name is not None else problem)
        elif name and (path := "/".join(part for part in name.split("/") if part not in ("", "."))):
            mode = info.external_attr >> 16
            is_folder = name.endswith("/") or stat.S_ISDIR(mode)
            entries.append(Entry(path=path, is_folder=is_folder, is_executable=bool(mode & 0o111), info=info))
    problems += _collisions(entries) or _misplaced(infos, end=end)
    if problems:
        raise SourceRejected(problems)
    return entries


def _decoded_name(info: zipfile.ZipInfo) -> str | None:
    """The name as its author meant it: UTF-8 with or without the flag that says so. None where it is not."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode()
    except UnicodeError:
        return None


def _not_utf8(name: bytes) -> str:
    return (
        f"{shown(name.decode('utf-8', 'backslashreplace'))}: its name is not written in UTF-8, so nobody can tell what "
        "it is called. Rename it to plain letters and zip again."
    )


def _problem(name: str, info: zipfile.ZipInfo) -> str:
    """Why the entry must not be unpacked; empty where it may."""
    parts = name.split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    rules: Iterable[tuple[bool, str]] = (
        (not name.isprintable(), f"its name has control characters or invisible ones. Rename it. {ZIP_AGAIN}"),
        (
            "\\" in name,
            "its name has a backslash, as some old Windows programs write. Zip with another program: paths "
            "need forward slashes.",
        ),
        (
            name.startswith("/") or DRIVE.match(name) is not None,
            f"its path is absolute, so it would be written outside the project. {ZIP_AGAIN}",
        ),
        (".." in parts, f"its path has `..`, so it would be written outside the project. {ZIP_AGAIN}"),
        (
            len(name.encode("utf-8", "surrogatepass")) > PATH_MAX_BYTES
            or len(parts) > DEPTH_MAX
            or any(len(part.encode("utf-8", "surrogatepass")) > NAME_MAX_BYTES for part in parts),
            "its path is too long to be unpacked. Use shorter names and fewer folders.",
        ),
        (
            kind == stat.S_IFLNK,
            "it is a symbolic link, and a link may point outside the project. Put the file itself "
            "in its place (zip follows links unless you say -y).",
        ),
        (
            kind not in (0, stat.S_IFREG, stat.S_IFDIR),
            f"it is a special file, neither file nor folder. Leave it out. {ZIP_AGAIN}",
        ),
        (
            bool(info.flag_bits & (0x1 | 0x40 | 0x2000)),
            "it is encrypted, and the build has no password. Zip again without one.",
        ),
        (
            info.volume != 0,
            f"it lies in another part of a zip of several parts. {ZIP_AGAIN}",
        ),
        (
            info.compress_type not in METHODS,
            f"it is packed by method {info.compress_type}, which only some programs read. {ZIP_AGAIN}",
        ),
        (
            _other_name(info) not in ("", name),
            f"it has a second name, {shown(_other_name(info))}, and programs differ about which counts. {ZIP_AGAIN}",
        ),
    )
    return next((words for is_broken, words in rules if is_broken), "")


def _other_name(info: zipfile.ZipInfo) -> str:
    """The name in an extra field that counts for some programs; empty where there is none, or it is out of date."""
    name = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
    extra = info.extra
    while len(extra) >= 4:  # `zipfile` has checked the lengths
        kind, length = struct.unpack_from("<HH", extra)
        if kind == OTHER_NAME and extra[4:9] == struct.pack("<BL", 1, zlib.crc32(name)):
            return extra[9 : 4 + length].decode("utf-8", "backslashreplace")
        extra = extra[4 + length :]
    return ""


def _collisions(entries: list[Entry]) -> list[str]:
    """Entries that would land on one another, here or on a disk that knows neither case nor accents' spelling."""
    problems: list[str] = []
    known: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        path = entry.path if entry.is_folder else entry.path.rpartition("/")[0]
        while path and path not in known:
            known.add(path)
            folders.add(_same(path))
            path = path.rpartition("/")[0]
        if len(folders) > settings.SOURCE_MAX_ENTRIES:
            raise _too_many("folders", len(folders))
    seen: dict[str, str] = {}
    for entry in entries:
        key = _same(entry.path)
        if entry.is_folder:
            continue
        if key in folders:
            problems.append(f"{shown(entry.path)}: it is both a file and a folder. Rename one of them and zip again.")
        elif seen.get(key) == entry.path:
            problems.append(f"{shown(entry.path)}: it is in the zip twice, and only one can be unpacked. {ZIP_AGAIN}")
        elif key in seen:
            problems.append(
                f"{shown(entry.path)}: its name differs from {shown(seen[key])} only in the case or the encoding of "
                "letters, which not every disk can tell apart. Rename one of them and zip again."
            )
        seen.setdefault(key, entry.path)
    return problems


def _same(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _misplaced(infos: list[zipfile.ZipInfo], *, end: int) -> list[str]:
    """Entries that share packed bytes, which is how a small zip unpacks to a huge one without a suspicious ratio; and
    what lies before the first of them, which another program may take for the zip. ``end`` is that of their bytes.
    """
    if not infos:
        return []
    in_order = sorted(infos, key=lambda info: info.header_offset)
    if in_order[0].header_offset != 0:
        return [f"{shown(in_order[0].filename)}: it should begin the zip, and something is before it. {ZIP_AGAIN}"]
    ends = [*(info.header_offset for info in in_order), end][1:]
    return [
        f"{shown(info.filename)}: its bytes overlap with those of another entry or end outside the zip, as no zip "
        f"program writes. {ZIP_AGAIN}"
        for info, its_end in zip(in_order, ends, strict=True)
        if info.header_offset + LOCAL_HEADER_BYTES + info.compress_size > its_end
    ]
