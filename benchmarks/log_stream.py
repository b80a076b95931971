"""What the way of a log line costs: child → spool → stream → server-sent events, against a bare pipe in the same run.

`python -m benchmarks.log_stream [--smoke]`
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from uuid import uuid4

# Each line goes to a pipe and to a spool file at once, and says when it was written.
CHILD = """
import os, sys, time
count, pause, spool = int(sys.argv[1]), float(sys.argv[2]), os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND)
for number in range(count):
    line = b"%d %d\\n" % (number, time.monotonic_ns())
    os.write(1, line)
    os.write(spool, line)
    time.sleep(pause)
"""

# The worker's part: tails the spool by inotify, and looks for markers in it.
SUPERVISOR = """
import os, sys
import django
from inotify_simple import INotify, flags
django.setup()
from jobs.markers import Scanner
from portal.lib.logstream import LogWriter
spool, log_id, whole = sys.argv[1], sys.argv[2], int(sys.argv[3])
writer, scanner, changes, done = LogWriter("job", log_id, 1), Scanner(), INotify(), 0
changes.add_watch(spool, flags.MODIFY)
writer.offsets()
with open(spool, "rb", buffering=0) as file:
    print("ready", flush=True)
    while done < whole:
        while data := file.read(256 * 1024):
            writer.write("out", data)
            list(scanner.feed(data))
            done += data.count(b"\\n")
        if done < whole:
            changes.read(timeout=1000)
writer.close()
"""

LINE = b"2026-01-01 12:00:00,000 INFO worker: step %07d of the computation is done\n"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few lines, to see that it works")
    smoke = parser.parse_args().smoke
    with tempfile.TemporaryDirectory(prefix="mercato-bench-") as home:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "portal.settings", "MERCATO_HOME": home, "RUN_DIR": f"{home}/run"}
        _measure(Path(home), smoke=smoke)


def _measure(home: Path, *, smoke: bool) -> None:
    from django.conf import settings  # noqa: PLC0415 (reads the environment that main() made)

    from portal.lib import valkey  # noqa: PLC0415
    from tests.streaming.server import running  # noqa: PLC0415

    command = valkey.command(run_dir=settings.RUN_DIR, data_dir=home / "valkey")
    broker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not valkey.socket_path(settings.RUN_DIR).exists():
            time.sleep(0.01)
        with running(redis_url=settings.REDIS_URL) as server:
            _latency(server.port, home / "spool", lines=50 if smoke else 1_000)
            _throughput(server.port, home / "spool", lines=5_000 if smoke else 400_000)
    finally:
        broker.terminate()
        broker.wait()


def _latency(port: int, spool: Path, *, lines: int) -> None:
    """One line every 5 ms."""
    spool.write_bytes(b"")
    log_id, events = _follow(port)
    supervisor = _supervise(spool, log_id, lines)
    by_pipe: dict[int, int] = {}
    by_stream: dict[int, int] = {}
    reader = threading.Thread(target=_note_all, args=(by_stream, events))
    reader.start()
    child = [sys.executable, "-c", CHILD, str(lines), "0.005", str(spool)]
    with subprocess.Popen(child, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout is not None
        for line in process.stdout:
            _note(by_pipe, line)
    reader.join(timeout=60)
    supervisor.wait(timeout=60)
    added = sorted((by_stream[number] - by_pipe[number]) / 1e6 for number in by_pipe)
    print(f"pipe alone        p50 {_part(by_pipe.values(), 50):6.2f} ms   p95 {_part(by_pipe.values(), 95):6.2f} ms")
    print(
        f"stream and events p50 {_part(by_stream.values(), 50):6.2f} ms   p95 {_part(by_stream.values(), 95):6.2f} ms"
    )
    p95 = added[int(len(added) * 0.95)]
    print(f"added             p50 {statistics.median(added):6.2f} ms   p95 {p95:6.2f} ms   (goal: p95 ≤ 10 ms)")


def _throughput(port: int, spool: Path, *, lines: int) -> None:
    """As fast as it goes: all lines are in the spool when it begins."""
    spool.write_bytes(b"".join(LINE % number for number in range(lines)))
    began = time.perf_counter()
    with subprocess.Popen(["cat", str(spool)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        piped = 0
        while chunk := process.stdout.read(65536):
            piped += chunk.count(b"\n")
    pipe_seconds = time.perf_counter() - began
    assert piped == lines

    log_id, events = _follow(port)
    supervisor = _supervise(spool, log_id, lines)  # has loaded, and begins now
    began = time.perf_counter()
    arrived = sum(text.count("\n") for text in events)
    seconds = time.perf_counter() - began
    supervisor.wait(timeout=60)
    assert arrived == lines, f"{lines} lines were written, {arrived} arrived"
    print(f"throughput        {lines / seconds:,.0f} lines/s   (goal: ≥ 40,000); cat: {lines / pipe_seconds:,.0f}")


def _follow(port: int) -> tuple[str, Iterator[str]]:
    """A new log, and the texts of its events as they arrive."""
    log_id = str(uuid4())
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"/stream/{log_id}")
    answer = connection.getresponse()

    def texts() -> Iterator[str]:
        name = ""
        while line := answer.readline():
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            elif line.startswith(b"data: ") and name == "chunk":
                yield json.loads(line[6:])["d"]
            elif name == "end":
                break
        connection.close()

    return log_id, texts()


def _supervise(spool: Path, log_id: str, lines: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SUPERVISOR, str(spool), log_id, str(lines)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


def _note_all(arrivals: dict[int, int], texts: Iterator[str]) -> None:
    for text in texts:
        _note(arrivals, text)


def _note(arrivals: dict[int, int], text: str) -> None:
    """How many nanoseconds each line of ``text`` took."""
    now = time.monotonic_ns()
    for line in text.splitlines():
        number, written = line.split(" ")
        arrivals[int(number)] = now - int(written)


def _part(nanoseconds: Iterable[int], percent: int) -> float:
    values = sorted(nanoseconds)
    return float(values[int(len(values) * percent / 100)]) / 1e6


if __name__ == "__main__":
    main()
