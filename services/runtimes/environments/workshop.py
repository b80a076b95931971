"""One build at work: uv and the compiler in a sandbox on the slot's bench, phase by phase."""

import contextlib
import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from portal.lib.sizes import limit_in_words
from services.runtimes import sandbox
from services.runtimes.base import Limits, Log, PlatformError, UserError, say
from services.runtimes.environments import indexes, locks, places, sealing
from services.runtimes.environments.requirements import Requirements
from services.runtimes.sandbox.process import measure
from services.runtimes.slots import Slot

BENCH = "/build"  # where a build sees its cache and what it makes: one mount for both
FORMAT = 1  # of locks and environments; another number makes all of them anew
FILES_MAX = 500_000
LOCK_MAX_BYTES = 16 * 1024 * 1024
WORDS_MAX_BYTES = 16 * 1024  # of uv's, in a message
WAIT_SECONDS = 0.1

ONLY_WHEELS = (
    "Only wheels are installed: a source distribution would run its build code. Choose a version that has a wheel for "
    "this Python, or copy the package's code into the project's src folder."
)

UNREADABLE = (
    "The package index could not be read. uv says:\n\n%s\n\n"
    "Rebuild in a few minutes; if it fails again, tell the operator."
)


class CannotFetch(UserError):
    """What a lock names is not to be had, and other versions may be; or the index does not answer."""


def header(interpreter: sandbox.Interpreter) -> str:
    """The first line of a lock: what it is for."""
    return f"# {interpreter.tag} linux-{os.uname().machine} format-{FORMAT}\n"


@contextlib.contextmanager
def workshop(
    slot: Slot, limits: Limits, log: Log, stopped: Callable[[], str], interpreter: sandbox.Interpreter
) -> Iterator["Workshop"]:
    """The slot's bench, cleared, with an empty folder for one build; removed with all that is left in it."""
    sandbox.clear(slot)
    places.folder().mkdir(mode=0o755, parents=True, exist_ok=True)
    bench = places.folder() / ".bench" / slot.name
    bench.mkdir(mode=0o755, parents=True, exist_ok=True)
    for leftover in bench.iterdir():
        if leftover.name != "cache":
            sealing.remove(leftover)
    cached_bytes, cached_files = _prepare_cache(bench / "cache", slot)
    folder = Path(tempfile.mkdtemp(dir=bench))
    slot.give(folder)
    try:
        yield Workshop(
            slot=slot,
            log=log,
            stopped=stopped,
            interpreter=interpreter,
            # The sandbox measures the whole bench, where the packages of earlier builds do not count.
            limits=replace(
                limits,
                output_bytes=limits.output_bytes + cached_bytes,
                output_files=limits.output_files + cached_files,
            ),
            deadline=time.monotonic() + limits.wall_seconds,
            folder=folder,
        )
    finally:
        # A job's slot comes here only where a host lacks an environment; it keeps no cache.
        sealing.remove(folder if slot.kind == "build" else bench)


def _prepare_cache(cache: Path, slot: Slot) -> tuple[int, int]:
    """Bytes and files of the slot's cache, which is thrown away where it has grown too big, or is another user's."""
    with contextlib.suppress(FileNotFoundError):
        size, files = measure(cache)
        if size <= settings.BUILD_OUTPUT_MAX_BYTES and files <= FILES_MAX and cache.stat().st_uid == slot.uid:
            return size, files
        sealing.remove(cache)
    cache.mkdir(mode=0o700)
    slot.give(cache)
    return 0, 0


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """One build at work in ``folder`` on its slot's bench. Inside the sandbox the bench is BENCH."""

    slot: Slot
    log: Log
    stopped: Callable[[], str]
    interpreter: sandbox.Interpreter
    limits: Limits
    deadline: float
    folder: Path

    @property
    def inside(self) -> str:
        return f"{BENCH}/{self.folder.name}"

    def resolve(self, wanted: Requirements, *, overrides: Sequence[str] = ()) -> str:
        """The lock of ``wanted``: exact versions, and the hashes of their wheels.

        ``overrides`` count instead of whatever any package asks for.
        """
        if not wanted.packages:
            return header(self.interpreter)
        with self._phase("Find versions"):
            self._write("requirements.in", "\n".join(wanted.packages))
            self._write("constraints.in", "\n".join(wanted.constraints))
            self._write("overrides.in", "\n".join(overrides))
            ending, words = self._uv(
                "pip", "compile", f"{self.inside}/requirements.in", "--constraints", f"{self.inside}/constraints.in",
                "--overrides", f"{self.inside}/overrides.in", "--output-file", f"{self.inside}/lock", "--quiet",
                "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
                "--python", str(self.interpreter.path), online=True,
            )  # fmt: skip
            if ending.reason == "error":
                # uv's own distinction: 1 means that it looked and found no solution
                raise UserError(_unsolved(words)) if ending.exit_code == 1 else CannotFetch(UNREADABLE % words)
            self._check(ending, words)
            text = header(self.interpreter) + _pinned(self._read("lock"), wanted.hashes)
            for line in text.splitlines()[1:]:
                if not line.startswith(" "):
                    say(self.log, line.split(" ")[0].replace("==", " "))
        return text

    def make(self, text: str, *, mounted_at: str = places.MOUNTED_AT, beside: str = "") -> bool:
        """Make the environment of the lock ``text``; False where it exists already, or another build made it now.

        ``mounted_at`` is where jobs will see it, and ``beside`` the key of the environment that they see beside it.
        """
        key = locks.key_of(text)
        with self._turn(key):
            if places.exists(key):
                say(self.log, f"\nThe environment {key[:12]} has all of it already.")
                return False
            self._write("lock", text)
            python = str(self.interpreter.path)
            self._check(
                *self._uv(
                    "venv", "--quiet", "--clear", "--relocatable", "--python", python, f"{self.inside}/environment"
                )
            )
            is_empty = "==" not in text
            is_installed = is_empty or self._install()
            if not is_installed:
                self._fetch()
            with self._phase("Install and compile, without network"):
                if not is_installed and not self._install():
                    raise PlatformError("uv finds in its cache not what it has just put there.")
                if not is_empty:
                    self._compile(mounted_at)
                self._keep(key, beside)
            return True

    def _fetch(self) -> None:
        with self._phase("Download"):
            # Into a folder that nobody uses: what counts is that the cache has it, checked and unpacked, afterwards.
            ending, words = self._uv(
                "pip", "install", "--target", f"{self.inside}/fetched", "--python", str(self.interpreter.path),
                *self._from_lock(), online=True,
            )  # fmt: skip
            if ending.reason == "error":
                raise CannotFetch(
                    f"The packages could not be downloaded. uv says:\n\n{words}\n\n"
                    "Rebuild to look for other versions; if it fails again, tell the operator."
                )
            self._check(ending, words)
            sealing.remove(self.folder / "fetched")

    def _install(self) -> bool:
        """Install from the cache; False where that lacks something."""
        python = f"{self.inside}/environment/bin/python"
        ending, words = self._uv(
            "pip", "install", "--offline", "--python", python, *self._from_lock(), is_silent=True
        )  # fmt: skip
        if ending.reason == "error":
            return False
        self._check(ending, words)
        return True

    def _compile(self, mounted_at: str) -> None:
        packages = f"lib/python{'.'.join(self.interpreter.version.split('.')[:2])}/site-packages"
        ending, words = self._run(
            # -I and -S: nothing of the packages is imported, and no .pth file of theirs is read. Unchecked: nobody
            # changes a source later, so no job needs to compare times.
            str(self.interpreter.path), "-I", "-S", "-m", "compileall", "-qq", "-j", "0",
            "--invalidation-mode", "unchecked-hash", "-d", f"{mounted_at}/{packages}",
            f"{self.inside}/environment/{packages}",
        )  # fmt: skip
        if ending.reason != "error":  # a file that no Python can compile is left as it is
            self._check(ending, words)

    def _keep(self, key: str, beside: str) -> None:
        """Give what was made its place and its name in one step; a folder with the name is complete."""
        link = places.commons_link(key)
        link.unlink(missing_ok=True)
        if beside:
            link.parent.mkdir(mode=0o700, exist_ok=True)
            link.symlink_to(places.path(beside))
        environment = self.folder / "environment"
        sealing.seal(environment, cache=self.folder.parent / "cache", mounted_at=f"{BENCH}/cache")
        subprocess.run(["sync", "--file-system", environment], check=False)  # its content before its name
        with contextlib.suppress(FileNotFoundError):  # its interpreter is gone, so it does not exist
            places.path(key).rename(self.folder / "replaced")
        environment.rename(places.path(key))

    def _from_lock(self) -> tuple[str, ...]:
        return ("--no-deps", "--require-hashes", "--requirements", f"{self.inside}/lock")

    def _uv(self, *arguments: str, online: bool = False, is_silent: bool = False) -> tuple[sandbox.Ending, str]:
        uv = sandbox.host().uv
        if uv is None:
            raise PlatformError("uv is missing on this host. Install the package `uv` into Mercato's environment.")
        config = indexes.config(online=online)
        self._write("uv.toml", config)
        variables = indexes.variables(online=online) | {
            "UV_CACHE_DIR": f"{BENCH}/cache",
            "UV_CONFIG_FILE": f"{self.inside}/uv.toml",
            # A link names its place in the cache, which `_seal` follows: what it then links to is the system's own
            # file, and of such a file the kernel grants the build's user no hard link.
            "UV_LINK_MODE": "symlink",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "NO_COLOR": "1",
        }
        wheels = ("--only-binary", ":all:") if arguments[0] == "pip" else ()
        read_only = {"/opt/tools/uv": uv} | indexes.folders()
        return self._run(
            "/opt/tools/uv", *arguments, *wheels,
            online=online, is_silent=is_silent, variables=variables, read_only=read_only,
        )  # fmt: skip

    def _run(
        self,
        *argv: str,
        online: bool = False,
        is_silent: bool = False,
        variables: Mapping[str, str] | None = None,
        read_only: Mapping[str, Path] | None = None,
    ) -> tuple[sandbox.Ending, str]:
        """Run a command on the bench. How it ended, and its last words."""
        words = bytearray()

        def hear(_channel: str, data: bytes) -> None:
            # uv hides logins of addresses, but not where it quotes a line of the operator's file that is no TOML.
            data = indexes.without_password(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")
            words.extend(data)
            del words[:-WORDS_MAX_BYTES]
            if not is_silent:
                self.log("out", data)  # uv says everything on stderr, also what is no error

        seconds = max(1, int(self.deadline - time.monotonic()))
        command = sandbox.Command(
            argv=argv,
            limits=replace(self.limits, wall_seconds=seconds, network=online),
            read_only=read_only or {},
            writable={BENCH: self.folder.parent},
            variables=variables or {},
        )
        ending = sandbox.run(slot=self.slot, command=command, log=hear, stop=self.stopped)
        return ending, words.decode(errors="replace").strip()

    def _check(self, ending: sandbox.Ending, words: str) -> None:
        """Raise what a phase that should have succeeded says."""
        if ending.reason == "timeout":
            raise self._too_slow()
        if ending.reason == "out_of_memory":
            raise UserError(
                f"The build needed more than {limit_in_words(settings.BUILD_MEMORY_MIB << 20)} of memory. Ask for "
                "fewer packages, or ask the operator to raise BUILD_MEMORY_MIB."
            )
        if ending.reason == "output_too_large":
            raise UserError(
                f"The packages take more than {limit_in_words(settings.BUILD_OUTPUT_MAX_BYTES)} or {FILES_MAX:,} "
                "files. Ask for fewer packages, or ask the operator to raise BUILD_OUTPUT_MAX_BYTES."
            )
        if ending.reason:
            raise PlatformError(f"A phase of the build ended with {ending.reason} ({ending.exit_code}): {words}")

    def _too_slow(self) -> UserError:
        return UserError(
            f"The build took longer than {settings.BUILD_TIME_LIMIT_SECONDS} seconds, the time limit of builds. Ask "
            "for fewer packages, or ask the operator to raise BUILD_TIME_LIMIT_SECONDS."
        )

    @contextlib.contextmanager
    def _phase(self, title: str) -> Iterator[None]:
        say(self.log, f"\n== {title}")
        began = time.monotonic()
        yield
        say(self.log, f"Done in {time.monotonic() - began:.1f} s")

    @contextlib.contextmanager
    def _turn(self, key: str) -> Iterator[None]:
        """Of concurrent builds of one environment, one makes it, and the others wait for it."""
        turns = places.folder() / ".turns"
        turns.mkdir(mode=0o700, exist_ok=True)
        with (turns / key[:2]).open("w") as turn:  # a few names, which nobody needs to clean up
            waiting = False
            while not _try_lock(turn.fileno()):
                if not waiting:
                    say(self.log, "\nAnother build makes an environment like this one; waiting for it.")
                waiting = True
                if reason := self.stopped():
                    raise PlatformError(f"The build was stopped: {reason}")
                if time.monotonic() > self.deadline:
                    raise self._too_slow()
                time.sleep(WAIT_SECONDS)
            yield

    def _write(self, name: str, text: str) -> None:
        """A file that only the build can read: it may hold a password of the index."""
        target = self.folder / name
        target.unlink(missing_ok=True)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
            file.write(text)
        self.slot.give(target)

    def _read(self, name: str) -> str:
        """A file that the sandbox wrote: foreign content, so no link is followed."""
        descriptor = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor)
            content = file.read(LOCK_MAX_BYTES + 1)
        if len(content) > LOCK_MAX_BYTES:
            raise UserError("These requirements need more packages than a build can hold. Ask for fewer.")
        return content.decode()


def _unsolved(words: str) -> str:
    needs_source = "no usable wheels" in words or "building from source is disabled" in words
    advice = ONLY_WHEELS if needs_source else "Mend the requirements and upload a new version."
    return f"No set of versions fits these requirements. uv says:\n\n{words}\n\n{advice}"


def _pinned(lock: str, hashes: Mapping[str, frozenset[str]]) -> str:
    """``lock``, where packages that the project gave hashes for keep only those: uv itself does not look at them."""
    if "://" in lock or " @ " in lock:
        raise UserError("A package asks for another one by an address, and builds fetch packages by name only.")
    kept = []
    for block in lock.replace("\n    ", "\x00").splitlines():
        name, _, rest = block.partition("==")
        wanted = hashes.get(name.split("[")[0])
        if wanted is None:
            kept.append(block)
            continue
        head, *found = rest.split("\x00")
        chosen = [line for line in found if line.removeprefix("--hash=sha256:").rstrip(" \\") in wanted]
        if not chosen:
            raise UserError(
                f"No wheel of {name} {head.split()[0]} has one of the hashes that the requirements give for it. Pin "
                "the version that they belong to, or bring them up to date."
            )
        lines = [f"{name}=={head.rstrip(' ' + chr(92))}", *(line.rstrip(" \\") for line in chosen)]
        kept.append(" \\\x00".join(lines))
    return "\n".join(kept).replace("\x00", "\n    ") + "\n"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
