"""Load from one thread: one HTTP request over so many connections at once, each again as soon as it is answered."""

import selectors
import socket
import statistics
import time
from dataclasses import dataclass

from benchmarks.instance import percentile

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """What came of it."""

    per_second: float
    p50: float  # milliseconds
    p95: float

    def __str__(self) -> str:
        return f"{self.per_second:8,.0f} requests/s   p50 {self.p50:7.2f} ms   p95 {self.p95:7.2f} ms"


@dataclass
class _Connection:
    received: bytes = b""
    asked_at: float = 0.0


def request(method: str, path: str, *, body: bytes = b"", **headers: str) -> bytes:
    """A request as it goes over the wire. An underscore in the name of a header stands for a hyphen."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + HEAD_END + body


def load(port: int, asked: bytes, *, connections: int, count: int) -> Load:
    """Ask ``count`` times over ``connections``. Anything but 2xx ends the benchmark."""
    taken: list[float] = []
    left = count
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        for _ in range(min(connections, count)):
            opened = socket.create_connection(("127.0.0.1", port))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(opened, selectors.EVENT_READ, _Connection())
            left = _ask(opened, selector, asked, left)
        while selector.get_map():
            for key, _ in selector.select(30) or _hung():
                assert isinstance(key.fileobj, socket.socket)
                if _is_answered(key.fileobj, key.data):
                    taken.append((time.perf_counter() - key.data.asked_at) * 1000)
                    left = _ask(key.fileobj, selector, asked, left)
        seconds = time.perf_counter() - began
    return Load(count / seconds, statistics.median(taken), percentile(taken, 95))


def _ask(connection: socket.socket, selector: selectors.BaseSelector, asked: bytes, left: int) -> int:
    if not left:
        selector.unregister(connection)
        connection.close()
        return 0
    state = selector.get_key(connection).data
    state.received, state.asked_at = b"", time.perf_counter()
    connection.sendall(asked)
    return left - 1


def _is_answered(connection: socket.socket, state: _Connection) -> bool:
    received = connection.recv(65536)
    state.received += received
    head, end, body = state.received.partition(HEAD_END)
    if not received or (end and not head.startswith(b"HTTP/1.1 2")):
        raise SystemExit(f"The server answered:\n{state.received.decode(errors='replace')[:2000]}")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0])


def _hung() -> list[tuple[selectors.SelectorKey, int]]:
    raise SystemExit("The server did not answer within 30 s.")
