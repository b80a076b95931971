"""Taking over what a job left in its output folder, and handing it out again."""

import mimetypes
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from jobs.models import Job, JobFile

RESULT_NAME = "output.json"
PREVIEW_MAX_BYTES = 1_000_000
# A backslash, the colon behind the letter of a drive, and what makes a name look like another one: controls and signs
# that turn the direction of writing or cannot be seen.
UNSEEN = r"\x80-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
TRICK = re.compile(rf"\\|(?<=^[A-Za-z]):|(?<=/[A-Za-z]):|[{UNSEEN}]")
CODINGS = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
DEPTH_MAX = 64  # each level of folders costs the walk a descriptor, of which this process has not many


class OutputRefused(Exception):
    """The output folder holds something that is not taken over. The text says what and why."""


@dataclass(frozen=True)
class _Found:
    path: str  # as it lies in the folder
    size: int

    @property
    def name(self) -> str:
        """As it is kept: letters that can be written in two ways, in the one that other systems write, and without
        what would make it another file on Windows, where somebody may download it to, or look like another.
        """
        return TRICK.sub("_", unicodedata.normalize("NFC", self.path))


def collect(job: Job, folder: Path, *, max_bytes: int, max_files: int) -> list[JobFile]:
    """Copy the files of ``folder`` to storage; returns unsaved rows. Raises OutputRefused, OSError.

    The folder is foreign content: no link is followed, and only regular files are read. Copying twice is no error, so
    a successor can begin again where its predecessor died.
    """
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = list(_walk(root, max_files=max_files))
        _refuse_twins(found)
        total = sum(file.size for file in found)
        if total > max_bytes:
            raise OutputRefused(
                f"The output folder holds {total:,} bytes, and {max_bytes:,} are allowed. Write less, or compress it."
            )
        return [_store(job, root, file, number) for number, file in enumerate(found)]
    except PermissionError as error:
        raise OutputRefused(
            f"`{_shown(str(error.filename))}` in the output folder may not be read. Leave files and folders readable."
        ) from None
    finally:
        os.close(root)


def keep(job: Job, content: bytes) -> JobFile:
    """Store the result that ``job`` printed as the file that it did not write; returns an unsaved row."""
    return _saved(job, RESULT_NAME, len(content), ContentFile(content, name=RESULT_NAME), place="result")


def result_text(job: Job) -> tuple[str, bool]:
    """The JSON text of the result for a page, and whether it was cut there. Empty if there is none."""
    row = job.files.filter(name=RESULT_NAME).first()
    if row is None:
        return "", False
    try:
        with default_storage.open(row.key) as file:
            text = file.read(PREVIEW_MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return "", False
    return text, row.size > PREVIEW_MAX_BYTES


def open_file(row: JobFile) -> IO[bytes]:
    """The content of a result file. Raises FileNotFoundError."""
    return default_storage.open(row.key)


def delete(job_id: UUID) -> None:
    """Remove all files of a job from storage, also those that an attempt left which was cut off. Twice is no error."""
    _delete_folder(prefix(job_id))


def _delete_folder(folder: str) -> None:
    with suppress(FileNotFoundError):
        folders, files = default_storage.listdir(folder)
        for name in files:
            default_storage.delete(f"{folder}/{name}")
        for name in folders:
            _delete_folder(f"{folder}/{name}")
        default_storage.delete(folder)


def prefix(job_id: UUID) -> str:
    """Where the files of a job lie in storage."""
    return f"jobs/{job_id}"


def _walk(root: int, *, max_files: int) -> Iterator[_Found]:
    count = 0
    for path, folders, names, descriptor in os.fwalk(".", dir_fd=root, follow_symlinks=False):
        if path.count("/") > DEPTH_MAX:
            raise OutputRefused(
                f"The output folder holds folders in folders, more than {DEPTH_MAX} deep. Flatten them, or pack them "
                "into one archive."
            )
        folders.sort()
        for name in sorted(folders + names):  # a link to a folder is among the folders
            relative = os.path.normpath(os.path.join(path, name))  # noqa: PTH118 (fwalk speaks strings)
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                continue
            if not stat.S_ISREG(status.st_mode):
                raise OutputRefused(
                    f"`{_shown(relative)}` in the output folder is a link or a special file. "
                    "Only regular files are taken over: copy the content instead of linking to it."
                )
            _check_name(relative)
            count += 1
            if count > max_files:
                raise OutputRefused(
                    f"The output folder holds more than {max_files:,} files. Pack them into one archive."
                )
            yield _Found(relative, status.st_size)


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise OutputRefused(f"The file name `{_shown(name)}` is not UTF-8. Rename it.") from None
    if len(name) > 1000 or any(ord(character) < 32 or ord(character) == 127 for character in name):
        raise OutputRefused(f"The file name `{_shown(name)[:80]}` is too long or has control characters. Rename it.")


def _refuse_twins(found: list[_Found]) -> None:
    """Two names that are kept as one."""
    paths: dict[str, str] = {}
    for file in found:
        if file.name in paths:
            raise OutputRefused(
                f"`{_shown(paths[file.name])}` and `{_shown(file.path)}` in the output folder would both be kept as "
                f"`{_shown(file.name)}`. Rename one."
            )
        paths[file.name] = file.path


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode().encode("unicode_escape").decode()


def _store(job: Job, root: int, found: _Found, number: int) -> JobFile:
    folder = root
    *parents, leaf = found.path.split("/")
    opened: list[int] = []
    try:
        for parent in parents:  # one component at a time: O_NOFOLLOW guards only the last one of a path
            folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            opened.append(folder)
        descriptor = os.open(leaf, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        for each in opened:
            os.close(each)
    with os.fdopen(descriptor, "rb") as source:
        return _saved(job, found.name, found.size, File(source, name=leaf), place=str(number))


def _content_type(name: str) -> str:
    """What the bytes of a file are by its name: a compressed file is not what is in it."""
    kind, coding = mimetypes.guess_type(name)
    return (CODINGS.get(coding) if coding else kind) or "application/octet-stream"


def _saved(job: Job, name: str, size: int, content: "File[bytes]", *, place: str) -> JobFile:
    key = f"{prefix(job.pk)}/{job.attempt}/{place}"  # the name is foreign: storage knows others that it refuses
    if default_storage.exists(key):
        default_storage.delete(key)
    return JobFile(
        job=job,
        name=name,
        size=size,
        content_type=_content_type(name),
        key=default_storage.save(key, content),
    )
