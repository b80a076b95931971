"""A container engine for the tests alone: its own dockerd on its own socket and folder, and an image of host files.

It needs root and dockerd (`apt-get install docker.io`); elsewhere the tests that ask for it skip with that reason.
"""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterable, Iterator

import docker
import docker.errors

from services.runtimes import docker as driver
from tests import children
from tests.settings import ENGINE_SOCKET, TESTS_HOME
from tests.waiting import wait_for

DOCKERD = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
BASE = "mercato-test-base:1"
ALSO_CALLED = ("python:3.11-slim", "busybox:1.36")  # what the examples and the templates begin with
PROGRAMS = (
    "sh", "cat", "chmod", "cp", "dd", "echo", "env", "head", "id", "ln", "ls", "mkdir", "mv", "rm", "sleep", "tr", "wc",
)  # fmt: skip
LIBRARY = re.compile(r"(/\S+) \(0x")
MERGED = ("bin/", "lib/", "lib64/", "sbin/")
NOT_NEEDED = {"__pycache__", "test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "pydoc_data", "turtledemo"}


def missing() -> str:
    """Why no private engine can run here; empty where one can."""
    if os.geteuid() != 0:
        return "a private container engine needs root"
    if DOCKERD is None:
        return "there is no dockerd here: apt-get install docker.io"
    if not shutil.which("/usr/bin/python3"):
        return "the image is made of the host's own Python, and there is no /usr/bin/python3"
    return ""


class DoesNotStart(Exception):
    """The host lets no engine run: what its log says."""


class Engine:
    """The private engine. It keeps containers alive while it restarts itself."""

    def __init__(self) -> None:
        self.folder = TESTS_HOME / "engine"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> docker.APIClient:
        return driver.engine.client()

    def start(self) -> None:
        """Start the engine and wait until it answers. Nothing of it touches the network of the host."""
        self.folder.mkdir(mode=0o711, exist_ok=True)
        assert DOCKERD
        config = self.folder / "daemon.json"  # instead of the host's own
        config.write_text("{}")
        with (self.folder / "log").open("ab") as log:
            self.process = children.start(
                [
                    DOCKERD, "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"),
                    "--pidfile", str(self.folder / "pid"), "--host", f"unix://{ENGINE_SOCKET}", "--config-file",
                    str(config), "--bridge=none", "--iptables=false", "--ip6tables=false", "--live-restore",
                ],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(self.answers, what="the container engine", seconds=60)

    def answers(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise DoesNotStart((self.folder / "log").read_text()[-2000:])
        driver.engine.forget()
        return not driver.engine.problem()

    def stop(self) -> None:
        """End the engine, not its containers."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)
            self.process = None
            driver.engine.forget()

    def kill(self) -> None:
        """Kill -9 of the engine."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def remove(self) -> None:
        """End the engine, its containers and every file of it."""
        if self.process is not None and self.process.poll() is None:
            for container in self.client.containers(all=True, quiet=True):
                with contextlib.suppress(docker.errors.APIError):  # it is being removed already
                    self.client.remove_container(container["Id"], force=True, v=True)
            self.stop()
        for folder in (self.folder / "data", self.folder / "exec"):
            shutil.rmtree(folder, ignore_errors=True)

    def make_base(self) -> None:
        """Import an image of the host's own shell and Python, under the names that projects begin with."""
        packed = self.folder / "base.tar"
        with tarfile.open(packed, "w") as tar:
            for name, path in sorted({_merged(path): path for path in _files()}.items()):
                tar.add(path, arcname=name, recursive=False, filter=_plain)
            for name in MERGED:
                tar.addfile(_link(name.rstrip("/"), f"usr/{name.rstrip('/')}"))
            for name in ("tmp", "var", "etc", "proc", "sys", "dev"):
                tar.addfile(_folder(name))
            tar.addfile(_link("usr/local/bin/python", "/usr/bin/python3"))
            passwd = b"root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/:/bin/sh\n"
            entry = tarfile.TarInfo("etc/passwd")
            entry.size = len(passwd)
            tar.addfile(entry, io.BytesIO(passwd))
        repository, _, tag = BASE.partition(":")
        self.client.import_image(src=str(packed), repository=repository, tag=tag, changes=['CMD ["python3"]'])
        packed.unlink()
        for name in ALSO_CALLED:
            self.client.tag(BASE, *name.split(":"))

    def containers(self) -> list[str]:
        """The names of all containers, running or not."""
        return [name for found in self.client.containers(all=True) for name in found["Names"]]


def end(pid: int) -> None:
    """Kill -9 of one process, which may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _files() -> Iterator[str]:
    """The files of the image: programs, the libraries that they load, and Python's standard library."""
    python = os.path.realpath("/usr/bin/python3")
    yield from ("/usr/bin/python3", python)
    standard = subprocess.run(
        [python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    programs = [python]
    for name in PROGRAMS:
        if found := shutil.which(name, path="/usr/bin:/bin"):
            programs += [found, os.path.realpath(found)]
    modules = []
    for parent, folders, files in os.walk(standard):
        folders[:] = [name for name in folders if name not in NOT_NEEDED and not name.startswith("config-")]
        yield parent
        modules += [f"{parent}/{name}" for name in files]
    yield from programs
    yield from modules
    yield from _libraries([*programs, *(path for path in modules if path.endswith(".so"))])


def _libraries(programs: Iterable[str]) -> set[str]:
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    found = set(LIBRARY.findall(listed))
    return found | {os.path.realpath(path) for path in found}


def _merged(path: str) -> str:
    """Where it lies in the image, in which /bin and /lib are links into /usr."""
    path = path.lstrip("/")
    return (
        path
        if path.startswith("usr/") or path.partition("/")[0] not in ("bin", "lib", "lib64", "sbin")
        else f"usr/{path}"
    )


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
    return entry
