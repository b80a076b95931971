"""Zips of user code: foreign input that is checked before it is kept, and unpacked without being trusted.

Nothing of it is ever imported or run here. Running it is the runtimes' business, inside the sandbox.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage

from portal.lib.sizes import limit_in_words
from services import manifest
from services.manifest import Manifest
from services.runtimes import home
from services.sources import archive, layout, program, reading
from services.sources.archive import Archive, Entry, SourceRejected
from services.sources.layout import CONTAINER, MAIN, PROGRAM, PYTHON
from services.sources.program import Parameter, RunSignature
from services.sources.reading import Read

__all__ = [
    "PROGRAM",
    "Parameter",
    "RunSignature",
    "Source",
    "SourceRejected",
    "check",
    "from_folder",
    "kept",
    "materialise",
    "store",
    "unread",
]

PROGRAM_MAX_BYTES = 1024 * 1024
README_MAX_BYTES = 50_000
MODULES_MAX = 100  # read for the classes of the input; what is beyond is not described
MODULE_MAX_BYTES = 100_000
REQUIREMENT_FILES = ("requirements.txt", "environment.yml", "environment.yaml", "pyproject.toml")
OPENAPI_NAME = re.compile(r"openapi[^/]*\.(ya?ml|json)", re.IGNORECASE)
NOT_OF_A_PROJECT = {".git", ".hg", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
NO_SOURCE = "none"
NO_REQUIREMENTS = (
    "requirements.txt: there is none, so the service runs on Python's standard library alone. "
    "If the code needs packages, name them there, one a line."
)
CHUNK_BYTES = 1024 * 1024
IN_MEMORY_MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a checked zip is."""

    sha256: str
    size: int  # bytes, packed
    unpacked_size: int  # bytes, counted while inflating
    entries: int
    name: str
    run: RunSignature
    runtime: str = PYTHON  # what it is a project for: src/program.py, or a Dockerfile
    modules: dict[str, str] = field(default_factory=dict)  # texts of the Python files below src, program.py among them
    requirements: str = ""  # the file that names the dependencies: requirements.txt, environment.yml or pyproject.toml
    openapi: str = ""  # text of the OpenAPI description in the zip
    openapi_name: str = ""
    readme: str = ""  # text of README.md
    manifest: Manifest = field(default_factory=Manifest)  # planqk.json or qhub.json
    example_data: str = ""  # JSON text of input/data.json
    example_params: str = ""  # JSON text of input/params.json
    warnings: list[str] = field(default_factory=list)


def check(file: IO[bytes], name: str = "", *, runtime: str | None = None) -> Source:
    """Read every byte of the zip ``file`` (an UploadedFile will do) and say what it is.

    For which ``runtime`` it is read, its files and its planqk.json tell where that is None.
    Raises SourceRejected. The file is left open, at its beginning.
    """
    sha256, size = _measure(file)
    try:
        with archive.opened(file, size=size) as project:
            shown = PurePosixPath(name.replace("\\", "/")).name
            return _read(project, sha256=sha256, size=size, name=shown, runtime=runtime)
    finally:
        file.seek(0)


def store(file: IO[bytes], sha256: str) -> None:
    """Keep a checked zip in storage under its hash; nothing happens where it is kept already."""
    key = _key(sha256)
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(0)
    if default_storage.exists(key):
        if default_storage.size(key) == size:
            return
        default_storage.delete(key)  # a copy that was cut short by the death of its writer
    kept_as = default_storage.save(key, file if isinstance(file, File) else File(file))
    if kept_as != key:  # somebody kept the same bytes at the same moment
        default_storage.delete(kept_as)
    _flush(key)


def unread(sha256: str) -> Source:
    """A source of which nothing is known but its name in storage."""
    return Source(sha256=sha256, size=0, unpacked_size=0, entries=0, name="", run=RunSignature(line=0))


def kept(sha256: str, *, runtime: str | None = None) -> Source:
    """What the zip in storage is, checked as on its first day. Raises OSError where there is none."""
    with default_storage.open(_key(sha256)) as file:
        return check(file, runtime=runtime)


def materialise(sha256: str) -> Path:
    """The unpacked project on this host, read-only and readable by the users of jobs; unpacked on first use.

    Of a version that is an image and has no source: an empty folder.
    """
    sources = home.jobs_home() / "sources"
    folder = sources / (sha256 or NO_SOURCE)
    if not sha256:
        folder.mkdir(mode=0o555, parents=True, exist_ok=True)
    if folder.is_dir():
        return folder
    sources.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{sha256[:12]}-", dir=sources))
    try:
        with default_storage.open(_key(sha256)) as file:
            found, size = _measure(file)
            if found != sha256:
                raise OSError(f"sources/{sha256}.zip is damaged in storage: its SHA-256 is {found}.")
            with archive.opened(file, size=size) as project:
                _unpack(project, fresh)
        with contextlib.suppress(OSError):  # another process unpacked it in the meantime: the same bytes
            fresh.rename(folder)
    finally:
        _remove(fresh)
    return folder


def from_folder(folder: Path) -> IO[bytes]:
    """A zip of the project in ``folder``: the same content makes the same bytes. The caller closes it."""
    files = list(_files_of(folder))
    if links := [path.relative_to(folder) for path in files if path.is_symlink()]:
        raise SourceRejected(
            [
                f"{link}: it is a symbolic link, and a project must hold its files itself. Put a copy in its place."
                for link in links
            ]
        )
    if special := [path.relative_to(folder) for path in files if not path.is_file()]:
        raise SourceRejected([f"{path}: it is a special file, neither file nor folder. Remove it." for path in special])
    packed: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_MAX_BYTES)  # noqa: SIM115 (the caller closes)
    with zipfile.ZipFile(packed, "w") as target:
        for path in files:
            with path.open("rb") as content, target.open(archive.plain_entry(path.relative_to(folder)), "w") as entry:
                shutil.copyfileobj(content, entry, CHUNK_BYTES)
    packed.seek(0)
    return packed


def _key(sha256: str) -> str:
    return f"sources/{sha256}.zip"


def _measure(file: IO[bytes]) -> tuple[str, int]:
    """SHA-256 and size, reading no further than the limit."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        if size > settings.SOURCE_MAX_BYTES:
            raise SourceRejected(
                [
                    f"The zip is larger than {limit_in_words(settings.SOURCE_MAX_BYTES)}, the most that a source may "
                    "have. Leave out data, models and virtual environments: code and requirements.txt are enough."
                ]
            )
    return digest.hexdigest(), size


def _read(project: Archive, *, sha256: str, size: int, name: str, runtime: str | None) -> Source:
    files = {entry.path: entry for entry in project.files}
    openapi_name, *other_openapi_names = sorted(filter(OPENAPI_NAME.fullmatch, files)) or [""]
    manifest_name = next((path for path in manifest.NAMES if path in files), "")
    modules = sorted(path for path in files if path.startswith("src/") and path.endswith(".py") and path != PROGRAM)
    wanted = _wanted(openapi_name, manifest_name, modules[:MODULES_MAX])
    texts, unpacked_size = _inflate_all(project, wanted)

    described = manifest.read(_text(texts.get(manifest_name, b"")), file=manifest_name)
    is_container = layout.is_container(files, asked=runtime, hinted=described.runtime)
    problems = layout.container_problems(files) if is_container else layout.program_problems(files, name=name)
    problems += [
        _too_long(path, wanted[path]) for path in (PROGRAM, openapi_name) if path in files and path not in texts
    ]
    found = Read(run=RunSignature(line=0)) if is_container else _program(files, texts, modules[:MODULES_MAX])
    problems += found.problems
    if problems or found.run is None:
        raise SourceRejected(problems)
    requirements = next((path for path in REQUIREMENT_FILES if path in files), "")
    warnings = [*found.warnings]
    if not requirements and not is_container:
        warnings.append(NO_REQUIREMENTS)
    if other_openapi_names:
        warnings.append(f"{openapi_name} describes the API; {', '.join(other_openapi_names)} is ignored.")
    warnings += described.notes
    return Source(
        sha256=sha256,
        size=size,
        unpacked_size=unpacked_size,
        entries=len(project.entries),
        name=name,
        run=found.run,
        runtime=CONTAINER if is_container else PYTHON,
        modules={path: _text(texts[path]) for path in (PROGRAM, *found.modules) if path in texts and not is_container},
        requirements=requirements,
        openapi=_text(texts.get(openapi_name, b"")),
        openapi_name=openapi_name,
        readme=_text(texts.get("README.md", b"")),
        manifest=described,
        example_data=_example("input/data.json", texts, warnings),
        example_params=_example("input/params.json", texts, warnings),
        warnings=warnings,
    )


def _wanted(openapi_name: str, manifest_name: str, modules: list[str]) -> dict[str, int]:
    """The files whose texts matter, with the bytes that each may have."""
    return {
        PROGRAM: PROGRAM_MAX_BYTES,
        "README.md": README_MAX_BYTES,
        "input/data.json": settings.INPUT_MAX_BYTES,
        "input/params.json": settings.INPUT_MAX_BYTES,
        manifest_name: manifest.MAX_BYTES,
        openapi_name: settings.OPENAPI_MAX_BYTES,
        **dict.fromkeys(modules, MODULE_MAX_BYTES),
    }


def _program(files: dict[str, Entry], texts: dict[str, bytes], modules: list[str]) -> Read:
    """What is told of src/program.py, and of a project that starts itself without one."""
    if PROGRAM in texts:
        main = MAIN if MAIN in files and not program.calls_run(texts.get(MAIN, b"")) else ""
        others = {path: _text(texts[path]) for path in modules if path in texts}
        return reading.read(texts[PROGRAM], filename=PROGRAM, main=main, modules=others)
    warnings: list[str] = []
    starts_itself = MAIN in files and PROGRAM not in files
    run = program.without_run(MAIN, filename=PROGRAM, warnings=warnings) if starts_itself else None
    return Read(run=run, warnings=warnings)


def _inflate_all(project: Archive, wanted: dict[str, int]) -> tuple[dict[str, bytes], int]:
    """The wanted files that are not over their limit, and how many bytes there are in all."""
    texts: dict[str, bytes] = {}
    for entry in project.files:
        if entry.path in wanted:
            content = b"".join(project.inflate(entry))
            if len(content) <= wanted[entry.path]:
                texts[entry.path] = content
        else:
            for _ in project.inflate(entry):
                pass
    return texts, project.inflated


def _too_long(path: str, limit: int) -> str:
    return f"{path}: it is longer than {limit_in_words(limit)}. Move data out of it into files of its own."


def _text(content: bytes) -> str:
    """A text that every database takes."""
    return content.decode("utf-8-sig", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _example(path: str, texts: dict[str, bytes], warnings: list[str]) -> str:
    if path not in texts:
        return ""
    try:
        text = texts[path].decode("utf-8-sig")
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        warnings.append(
            f"{path}: it is not valid JSON ({error}), so it is not shown as an example. Mend it if it is one."
        )
        return ""
    return text


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} does not exist in JSON")


def _unpack(project: Archive, folder: Path) -> None:
    for entry in project.kept():
        path = folder / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            for chunk in project.inflate(entry):
                target.write(chunk)
        path.chmod(0o555 if entry.is_executable else 0o444)
    package = folder / "src" / "__init__.py"
    if package.parent.is_dir() and not package.exists():  # a container project may have none
        package.touch(mode=0o444)
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o555)


def _remove(folder: Path) -> None:
    """Remove a folder that may be read-only; nothing happens where there is none."""
    if not folder.exists():
        return
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o700)
    shutil.rmtree(folder)


def _flush(key: str) -> None:
    """Bring a file of a local storage to the disk: an upload that was answered survives the machine."""
    try:
        path = Path(default_storage.path(key))
    except NotImplementedError:  # a remote storage: its answer says that it has it
        return
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _files_of(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in NOT_OF_A_PROJECT)
        for name in folders:
            if stat.S_ISLNK(os.lstat(Path(parent) / name).st_mode):
                yield Path(parent) / name
        yield from (Path(parent) / name for name in sorted(files) if name != ".DS_Store")
