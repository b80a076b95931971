"""Pages while a thousand log streams are open on one instance, against the same pages without them.

`python -m benchmarks.streams [--smoke]`
"""

import argparse
import resource
import selectors
import socket
import statistics
import threading
import time

from benchmarks.instance import Client, import_program, instance, job_id, milliseconds, percentile

TALKING = """
import time
def run(data, params):
    for number in range(params["seconds"]):
        print("line", number, flush=True)
        time.sleep(1)
"""


class Streams:
    """Open log streams, read by one thread."""

    def __init__(self, client: Client, port: int, path: str, count: int) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {client.cookie_header()}\r\n\r\n".encode()
        self.last_line: dict[socket.socket, float] = {}
        self.refused = 0
        self.over = threading.Event()
        self.selector = selectors.DefaultSelector()
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(request)
            self.selector.register(connection, selectors.EVENT_READ)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        while not self.over.is_set():
            for key, _ in self.selector.select(0.2):
                assert isinstance(key.fileobj, socket.socket)
                received = key.fileobj.recv(65536)
                self.refused += received.startswith(b"HTTP/1.1 503")
                if b"event: chunk" in received:
                    self.last_line[key.fileobj] = time.monotonic()
                if not received:
                    self.selector.unregister(key.fileobj)

    def fed(self, within_seconds: float) -> int:
        """How many got a line lately."""
        now = time.monotonic()
        return sum(now - at <= within_seconds for at in list(self.last_line.values()))

    def close(self) -> None:
        """Hang up."""
        self.over.set()
        self.reader.join()
        for key in list(self.selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="twenty streams, to see that it works")
    count, times = (20, 5) if parser.parse_args().smoke else (1000, 200)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with instance() as (stack, client):
        service = import_program(stack, "talking", TALKING)
        form = f"/jobs/new/?service={service}"
        client.get(form)
        job = job_id(client.post(form, data="{}", params='{"seconds": 300}'))
        before = milliseconds(lambda: client.get("/jobs/"), times)
        streams = Streams(client, stack.port, f"/jobs/{job}/log/stream", count)
        deadline = time.monotonic() + 30
        while streams.fed(3) + streams.refused < count and time.monotonic() < deadline:
            time.sleep(0.1)
        during = milliseconds(lambda: client.get("/jobs/"), times)
        fed, refused = streams.fed(3), streams.refused
        streams.close()
        client.post(f"/jobs/{job}/cancel/")
    print(f"streams: {count} asked for, {refused} refused, {fed} got a line in the last 3 s")
    for name, taken in (("without", before), ("with them", during)):
        print(f"/jobs/ {name:10} {statistics.median(taken):6.1f} ms p50  {percentile(taken, 95):6.1f} ms p95")
    print(f"ratio p50 {statistics.median(during) / statistics.median(before):.2f}")
    if fed < count:
        raise SystemExit(f"Only {fed} of {count} streams were fed.")


if __name__ == "__main__":
    main()
