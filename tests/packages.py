"""A package index for tests, on a port of this machine: wheels made in memory, some of them hostile."""

import base64
import hashlib
import io
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import uuid4


class PackageIndex:
    """What it serves. ``requests`` are the paths that were asked for."""

    def __init__(self, *, password: str = "") -> None:
        self.password = password
        self.files: dict[str, bytes] = {}
        self.projects: dict[str, list[str]] = defaultdict(list)
        self.requests: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Its address, with the password if there is one."""
        login = f"builder:{self.password}@" if self.password else ""
        return f"http://{login}127.0.0.1:{self.port}/simple"

    def add_wheel(self, name: str, version: str = "1.0", files: dict[str, str] | None = None) -> str:
        """Offer a wheel with ``files``, by default one module. Returns its SHA-256."""
        files = dict(files if files is not None else {f"{name}.py": f"version = {version!r}\n"})
        info = f"{name}-{version}.dist-info"
        # Unlike any other index's wheel, so that a test finds no environment of another one.
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: {uuid4()}\n"
        files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        return self._add(name, f"{name}-{version}-py3-none-any.whl", buffer.getvalue())

    def add_sdist(self, name: str, version: str = "1.0", *, setup: str = "") -> str:
        """Offer a source distribution whose setup.py is ``setup``. Returns its SHA-256."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            entry = tarfile.TarInfo(f"{name}-{version}/setup.py")
            entry.size = len(setup)
            archive.addfile(entry, io.BytesIO(setup.encode()))
        return self._add(name, f"{name}-{version}.tar.gz", buffer.getvalue())

    def remove(self, name: str) -> None:
        """Stop offering any version of ``name``."""
        for file in self.projects.pop(name.replace("_", "-")):
            del self.files[file]

    def _add(self, name: str, file: str, content: bytes) -> str:
        self.files[file] = content
        self.projects[name.replace("_", "-")].append(file)
        return hashlib.sha256(content).hexdigest()

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Content type and body for ``path``."""
        self.requests.append(path)
        kind, _, name = path.strip("/").partition("/")
        if kind == "simple" and name in self.projects:
            links = [
                f'<a href="/files/{file}#sha256={hashlib.sha256(self.files[file]).hexdigest()}">{file}</a>'
                for file in self.projects[name]
            ]
            return "text/html", "".join(links).encode()
        if kind == "files" and name in self.files:
            return "application/octet-stream", self.files[name]
        return None

    def admits(self, authorization: str) -> bool:
        login = base64.b64encode(f"builder:{self.password}".encode()).decode()
        return not self.password or authorization == f"Basic {login}"


@contextmanager
def package_index(*, password: str = "") -> Iterator[PackageIndex]:
    """An index that answers until the end of the block."""
    index = PackageIndex(password=password)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not index.admits(self.headers.get("Authorization", "")):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="packages"')
                self.end_headers()
            elif answer := index.answer(self.path):
                kind, body = answer
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)
            else:
                self.send_response(404)
                self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index.port = server.server_port
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
