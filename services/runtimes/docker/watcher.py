"""Watches one container from a process of its own: spools its log, holds its time limit, writes down how it ended.

Runs as a script with the standard library alone, so that it starts in milliseconds and outlives the worker. It knows
its run folder only: `container.json` says what to watch. It inherits the lock of the folder and holds it while it
lives; whoever gets that lock starts the next one, which goes on from the byte where the spools end.
"""

import contextlib
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

RECORD, EXIT, KILLED = "container.json", "exit.json", "killed"
STARTING = "starting"  # there from just before its start: without it none of its code can have run
SPOOLS = {1: "out", 2: "err"}
TIMEOUT, TOO_LARGE, SPOOL_FULL = "timeout", "output_too_large", "spool_full"
GO = b"go\n"
RETRY_SECONDS = 0.2
LOOK_SECONDS = 0.5  # how often a folder without a quota is measured, and usage that nobody else sums up
GONE_SECONDS = 20.0  # by then an engine that restarts tells how a container ended
USAGE = (
    ("memory.peak", "memory", 1.0),
    ("memory.max_usage_in_bytes", "memory", 1.0),
    ("cpuacct.usage", "cpu", 1e-9),
    ("cpu.stat", "cpu", 1e-6),
)
Unanswered = (OSError, http.client.HTTPException, ValueError)


class Engine:
    """One engine, by its HTTP interface. A connection a request: it may be restarted at any time."""

    def __init__(self, address: str, certificates: str) -> None:
        self.address = urlsplit(address)
        self.certificates = certificates

    def connect(self) -> http.client.HTTPConnection:
        if self.address.scheme == "unix":
            connection = http.client.HTTPConnection("localhost")
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.connect(self.address.path)
            return connection
        host, port = self.address.hostname or "localhost", self.address.port
        if not self.certificates:
            return http.client.HTTPConnection(host, port or 2375)
        context = ssl.create_default_context(cafile=f"{self.certificates}/ca.pem")
        context.load_cert_chain(f"{self.certificates}/cert.pem", f"{self.certificates}/key.pem")
        return http.client.HTTPSConnection(host, port or 2376, context=context)

    def ask(self, method: str, path: str) -> tuple[int, Any]:
        """Status and document of an answer. Raises one of Unanswered where there is none."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content[:1] in (b"{", b"[") else None


class Watch:
    """The watch over the container of one run folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        with open(f"{folder}/{RECORD}") as file:
            self.record: dict[str, Any] = json.load(file)
        self.engine = Engine(self.record["engine"], self.record["certificates"])
        self.path = "/containers/" + quote(self.record["name"])
        flags = os.O_WRONLY | os.O_APPEND
        self.spools = {number: os.open(f"{folder}/{name}", flags) for number, name in SPOOLS.items()}
        self.was_cut_off = False  # the engine went away while it ran
        self.sampled: dict[str, float] = {}
        self.is_over = threading.Event()

    def run(self) -> None:
        """Watch to the end."""
        threading.Thread(target=self.hold_limits, daemon=True).start()
        silent_since = 0.0
        while True:
            try:
                if self.step():
                    return
                silent_since = 0.0
            except Unanswered:
                self.was_cut_off = True
                silent_since = silent_since or time.monotonic()
                if not self.is_alive() and time.monotonic() - silent_since > GONE_SECONDS:
                    self.write({"exit_code": None})
                    return
            time.sleep(RETRY_SECONDS)

    def step(self) -> bool:
        """Follow it once; whether it has ended. It has not where only the engine went away."""
        status, found = self.engine.ask("GET", f"{self.path}/json")
        if status == 404:
            self.write({"exit_code": None})
            return True
        if found["State"]["Status"] in ("created", "configured", "initialized"):
            self.write({"exit_code": None})  # whoever made it was cut off before its start
            return True
        self.note(found["State"])
        self.follow()
        self.engine.ask("POST", f"{self.path}/wait")
        self.follow(to_its_end=False)  # what was printed just before the end, engines may leave out of what they follow
        status, found = self.engine.ask("GET", f"{self.path}/json")
        if status == 200 and not found["State"]["Running"]:
            self.settle(found["State"])
            return True
        return False

    def follow(self, *, to_its_end: bool = True) -> None:
        """Spool what it prints, until it ends, or what it has printed."""
        behind = {number: os.fstat(spool).st_size for number, spool in self.spools.items()}  # what we have already
        with contextlib.closing(self.engine.connect()) as connection:
            connection.request("GET", f"{self.path}/logs?follow={int(to_its_end)}&stdout=1&stderr=1")
            answer = connection.getresponse()
            if answer.status != 200:
                raise OSError(answer.status)
            while header := _exactly(answer, 8):
                number, left = header[0], int.from_bytes(header[4:], "big")
                while left:
                    data = answer.read1(min(left, 1 << 20))
                    if not data:
                        raise OSError("The log was cut off.")
                    left -= len(data)
                    if number in behind:
                        skip = min(behind[number], len(data))
                        behind[number] -= skip
                        self.spool(number, data[skip:])

    def spool(self, number: int, data: bytes) -> None:
        spool = self.spools[number]
        room = self.record["spool_max_bytes"] - os.fstat(spool).st_size
        data = data[: max(room, 0)]
        while data:
            data = data[os.write(spool, data) :]
        if room <= 0:
            self.kill(SPOOL_FULL)

    # Limits

    def hold_limits(self) -> None:
        """In a thread: what it prints must not keep us from the clock, and its silence neither."""
        looks = bool(self.record["watched"]) or not self.record["group"]
        while True:
            left = self.started_at() + self.record["limits"]["wall_seconds"] - time.time()
            if left <= 0:
                self.kill(TIMEOUT)
            elif self.record["watched"] and self.is_too_large():
                self.kill(TOO_LARGE)
            self.sample()
            if self.is_over.wait(LOOK_SECONDS if looks or left <= 0 else min(left, 60.0)):
                return

    def started_at(self) -> float:
        return float(self.record.get("started_at") or self.record["made_at"])

    def is_too_large(self) -> bool:
        size = files = 0
        waiting = [self.record["watched"]]
        while waiting:
            with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    files += 1
        limits = self.record["limits"]
        return bool(size > limits["output_bytes"] or files > limits["output_files"])

    def kill(self, reason: str) -> None:
        """End it, and note why unless somebody else did first."""
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(f"{self.folder}/{KILLED}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as file:
                file.write(reason)
        self.end()

    def end(self) -> None:
        try:
            self.engine.ask("POST", f"{self.path}/kill?signal=KILL")
        except Unanswered:
            if self.is_alive():
                os.kill(self.record["pid"], 9)  # the first of its PID namespace: all others die with it

    # What is known of it

    def note(self, state: dict[str, Any]) -> None:
        """Keep its pid and its start, for a time when the engine does not answer."""
        if state.get("Pid") and not self.record.get("pid"):
            self.record["pid"] = state["Pid"]
            self.record["ticks"] = started_ticks(state["Pid"])
            self.record["started_at"] = _seconds(state["StartedAt"])
            with open(os.open(f"{self.folder}/{RECORD}.new", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                json.dump(self.record, file)
            os.replace(f"{self.folder}/{RECORD}.new", f"{self.folder}/{RECORD}")
        if os.path.exists(f"{self.folder}/{KILLED}"):  # before it was started, or by one whom the engine did not hear
            self.end()

    def is_alive(self) -> bool:
        return "pid" in self.record and started_ticks(self.record["pid"]) == self.record["ticks"]

    def sample(self) -> None:
        """Look up its usage where no group of ours around its own keeps the sum."""
        if self.record["group"] or not self.is_alive():
            return
        with contextlib.suppress(OSError), open(f"/proc/{self.record['pid']}/cgroup") as file:
            for line in file:
                _, names, path = line.rstrip("\n").split(":", 2)
                folder = "/".join(part for part in ("/sys/fs/cgroup", names, path.strip("/")) if part)
                for name, key, factor in USAGE:
                    self.sampled[key] = max(self.sampled.get(key, 0.0), _number(f"{folder}/{name}") * factor)

    def settle(self, state: dict[str, Any]) -> None:
        started, finished = _seconds(state["StartedAt"]), _seconds(state["FinishedAt"])
        self.write(
            {
                "exit_code": state["ExitCode"],
                "out_of_memory": bool(state.get("OOMKilled")),
                "wall_seconds": max(0.0, finished - started),
                "cpu_seconds": self.sampled.get("cpu") or None,
                "memory_peak_bytes": int(self.sampled.get("memory", 0)) or None,
            }
        )

    def write(self, end: dict[str, Any]) -> None:
        """Note the end; then take the container away, and with it the variables that it was given."""
        self.is_over.set()
        was_started = os.path.exists(f"{self.folder}/{STARTING}")
        known = {"was_started": was_started, "was_cut_off": self.was_cut_off, "ended_at": time.time()}
        write_end(self.folder, known | end)
        with contextlib.suppress(*Unanswered):  # else whoever discards the run does it
            self.engine.ask("DELETE", f"{self.path}?force=1&v=1")


def write_end(folder: str, end: dict[str, Any]) -> None:
    """Write down how the container of ``folder`` ended: whole or not at all."""
    with open(os.open(f"{folder}/{EXIT}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(end, file)
    os.replace(f"{folder}/{EXIT}.new", f"{folder}/{EXIT}")


def started_ticks(pid: int) -> int:
    """When ``pid`` was started, in clock ticks since the boot; -1 if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] in "ZX" else int(fields[19])


def _exactly(answer: http.client.HTTPResponse, count: int) -> bytes:
    content = b""
    while len(content) < count and (data := answer.read1(count - len(content))):
        content += data
    if 0 < len(content) < count:
        raise OSError("The log was cut off.")
    return content


def _seconds(moment: str) -> float:
    return max(0.0, datetime.fromisoformat(moment).timestamp()) if not moment.startswith("0001") else 0.0


def _number(path: str) -> int:
    """The number in a file of a control group; the first field of one with several."""
    try:
        with open(path) as file:
            return int(file.read().split("\n", 1)[0].split()[-1])
    except (OSError, ValueError, IndexError):
        return 0


def main() -> None:
    """Watch the folder that the first argument names. With a second one, once a word comes in: it is being started."""
    if len(sys.argv) > 2 and sys.stdin.buffer.readline() != GO:
        return  # its starter died, and another one will be sent
    with contextlib.suppress(FileNotFoundError):  # the run was discarded meanwhile
        Watch(sys.argv[1]).run()


if __name__ == "__main__":
    main()
