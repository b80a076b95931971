"""The instance that is struck: `manage.py up` with short leases, two services, and what happens in its slots noted."""

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from inotify_simple import INotify, flags

from tests.chaos.client import Caller
from tests.chaos.databases import Database, Postgres, Sqlite
from tests.live_stack import ROOT, LiveStack
from tests.waiting import wait_for

LEASE_SECONDS = 6
SLOTS = 8
CHANNELS = ("out", "err")
# By whether jobs of it may be started again, and whether they start warm.
SERVICES = {
    (False, False): "chaos",
    (True, False): "chaos-again",
    (False, True): "chaos-warm",
    (True, True): "chaos-warm-again",
}
# `up` waits longer and longer before it starts what dies again and again, and here everything does.
UP = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from django.core.management import execute_from_command_line
from portal.management import group
group.BACKOFF_MAX_SECONDS = group.BACKOFF_FIRST_SECONDS
execute_from_command_line(sys.argv)
"""
# One program for all of it: each start of Django costs a second of the sixty that the suite has for this.
PREPARE = """
import json
from pathlib import Path
from portal.accounts import applications
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.management.building import wait_for_build
from services import importing, publication, subscriptions
from services.models import ServiceVersion
user = User.objects.create_user("chaos@example.com")
account, by = user.personal_account, Actor(user=user)
application, secret = applications.create_application(account=account, name="Chaos", by=by)
endpoints = []
for folder in {folders}:
    imported = importing.import_project(path=Path(folder), account=account, by=by)
    if not imported.version.is_runnable:
        wait_for_build(imported.version, by=by)
    version = ServiceVersion.objects.get(pk=imported.version.pk)
    publication.publish(version=version, scope="internal", by=by)
    subscriptions.subscribe(application=application, service=imported.service, by=by, version=version)
    endpoints.append(subscriptions.endpoint(version))
ServiceVersion.objects.filter(service__slug__endswith="again").update(retryable=True)
ServiceVersion.objects.filter(service__slug__contains="warm").update(warm_start=True)
print(json.dumps([application.access_key_id, secret, endpoints]))
"""


class Stack(LiveStack):
    """A LiveStack to strike, on a database that the test process reads too."""

    def __init__(self, *, on_postgres: bool = False) -> None:
        home = Path(tempfile.mkdtemp(prefix="mercato-chaos-"))
        home.chmod(0o711)
        self.database: Database = Postgres(home) if on_postgres else Sqlite(home / "mercato.sqlite3")
        settings = {"DATABASE_URL": self.database.url} if self.database.url else {}
        super().__init__(
            home,
            DEMO="0",
            JOB_SLOTS=str(SLOTS),
            WEB_WORKERS="1",
            WEB_THREADS="64",
            LIVE_STREAMS_MAX="16",
            LEASE_SECONDS=str(LEASE_SECONDS),
            LEASE_RENEWAL_SECONDS="1",
            WARM_IDLE_SECONDS="6",
            **settings,
        )
        self.endpoints: dict[tuple[bool, bool], str] = {}

    @staticmethod
    def command(*arguments: str) -> list[str]:
        if arguments[0] == "up":
            return [sys.executable, "-c", UP, str(ROOT), *arguments]
        return LiveStack.command(*arguments)

    def start(self, *arguments: str) -> "Stack":
        super().start("--no-demo")
        wait_for(lambda: self.has_ready_workers(since=0), what="the workers")
        return self

    def prepare(self) -> None:
        """Make the services, and a caller that is subscribed to them."""
        for slug in SERVICES.values():
            folder = self.home / "projects" / slug
            (folder / "src").mkdir(parents=True)
            (folder / "src" / "__init__.py").touch()
            shutil.copy(Path(__file__).with_name("program.py"), folder / "src")
        folders = [str(self.home / "projects" / slug) for slug in SERVICES.values()]
        program = PREPARE.format(folders=folders)
        key, secret, endpoints = json.loads(self.manage("shell", "--no-imports", "--command", program))
        for kind, endpoint in zip(SERVICES, endpoints, strict=True):
            self.endpoints[kind] = endpoint.removeprefix(self.url)
        self.ledger = Ledger(self.home / "jobs" / "slots", self.home / "ledger")
        self.caller = Caller(self.port, key, secret)

    def log_length(self) -> int:
        """A place in what `up` printed, for `has_ready_workers`."""
        return self.log_file.stat().st_size

    def has_ready_workers(self, *names: str, since: int) -> bool:
        """Whether the workers ``names`` (both) said that they are ready, behind ``since`` in the log."""
        with self.log_file.open(errors="replace") as file:
            file.seek(since)
            text = file.read()
        return all(re.search(rf"^{name} +\| .* ready\.$", text, re.MULTILINE) for name in names or ("work", "system"))

    def kill_platform(self, notice: Callable[[], None]) -> None:
        """Kill -9 of everything but the sandboxes, all at once; ``notice`` is called when all stand still."""
        send(signal.SIGSTOP, pids := self.processes())  # first, so that none sees another one die
        notice()
        send(signal.SIGKILL, pids | self.processes())
        assert self.up
        self.up.wait()

    def remove(self) -> None:
        super().remove()
        self.database.close()


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """Send a signal to those of ``pids`` that are there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@dataclass(frozen=True)
class Sandbox:
    """One start of a job's code."""

    folder: Path  # of the run, while it is there
    record: dict[str, Any]  # of the sandbox
    spools: Path  # what it printed, kept: with .out and .err

    def pids(self) -> list[int]:
        """Its processes on this host, the wrapper first."""
        found: list[int] = []
        for group in self.record["group"].values():
            with suppress(OSError):
                found += [int(line) for line in (Path(group) / "cgroup.procs").read_text().split()]
        wrapper = int(self.record["pid"])
        with suppress(OSError):
            state, *fields = Path(f"/proc/{wrapper}/stat").read_text().rpartition(")")[2].split()
            if state != "Z" and int(fields[18]) == self.record["started_ticks"]:
                found.insert(0, wrapper)
        return list(dict.fromkeys(found))

    def kill(self) -> None:
        """Kill -9 of all of them at once."""
        for number in (signal.SIGSTOP, signal.SIGKILL):
            send(number, self.pids())

    def printed(self, channel: str = "out") -> bytes:
        """All that it printed."""
        return self.spools.with_suffix(f".{channel}").read_bytes()

    def was_killed(self) -> bool:
        """Whether the host ended it."""
        return (self.folder / "killed").exists()

    def has_ended(self) -> bool:
        """Whether its exit status was written."""
        with suppress(OSError):
            return (self.folder / "exit").read_text().count("\n") >= 3
        return not self.folder.exists()


@dataclass(frozen=True)
class WarmStart(Sandbox):
    """One start of a job's code in a warm interpreter, whose spools are emptied behind it."""

    seen: dict[str, bytes] = field(default_factory=lambda: dict.fromkeys(CHANNELS, b""))  # by channel

    def printed(self, channel: str = "out") -> bytes:
        """What was seen of it. If the interpreter was kept, the last lines may be missing."""
        return self.seen[channel]

    def look(self) -> None:
        """Read on. What does not go on where we were is of the next job."""
        for channel in CHANNELS:
            printed = super().printed(channel)
            if printed.startswith(self.seen[channel]):
                self.seen[channel] = printed

    def has_ended(self) -> bool:
        return (self.folder / "ended.json").exists() or not self.folder.exists()


class Ledger:
    """Notes every sandbox that is started in a slot, and keeps what it printed when the platform has cleared up."""

    def __init__(self, slots: Path, keep: Path) -> None:
        self._slots, self._keep = slots, keep
        self._inotify, self._watched = INotify(), {}
        self._found: dict[tuple[UUID, int], list[Sandbox]] = defaultdict(list)
        self._servers: dict[str, Sandbox] = {}
        self._latest: dict[str, WarmStart] = {}  # by the name of its server
        self._seen: set[str] = set()
        keep.mkdir()
        slots.mkdir(exist_ok=True)
        for number in range(SLOTS):
            (slots / f"job-{number}").mkdir(mode=0o711, exist_ok=True)
            self._watch(slots / f"job-{number}", flags.CREATE)
        threading.Thread(target=self._note, daemon=True).start()

    def of(self, job: UUID) -> list[Sandbox]:
        """The sandboxes of ``job``, in the order of their starts."""
        attempts = sorted(attempt for pk, attempt in list(self._found) if pk == job)
        return [sandbox for attempt in attempts for sandbox in self._found[job, attempt]]

    def last(self, job: UUID, attempt: int) -> Sandbox | None:
        """The sandbox of this attempt."""
        found = self._found.get((job, attempt))
        return found[-1] if found else None

    def attempt(self, job: UUID, attempt: int) -> list[Sandbox]:
        """All sandboxes of this attempt."""
        return self._found.get((job, attempt), [])

    def alive(self) -> list[Sandbox]:
        """Those whose folder is there, warm interpreters that wait among them."""
        return [sandbox for sandbox in self.all() if sandbox.folder.exists()]

    def all(self) -> list[Sandbox]:
        """All that were started."""
        starts = [sandbox for found in list(self._found.values()) for sandbox in found]
        return starts + list(self._servers.values())

    def count_warm(self) -> int:
        """How many starts were in a warm interpreter."""
        return sum(isinstance(sandbox, WarmStart) for sandbox in self.all())

    def _watch(self, folder: Path, events: flags) -> None:
        self._watched[self._inotify.add_watch(folder, events)] = folder

    def _note(self) -> None:
        while True:
            for event in self._inotify.read():
                folder = self._watched.get(event.wd)
                if folder is None or event.mask & flags.IGNORED:
                    continue
                if event.name.startswith(("run-", "warm-")):
                    with suppress(OSError):
                        events = flags.MOVED_TO | flags.MODIFY if event.name.startswith("warm-") else flags.MOVED_TO
                        self._watch(folder / event.name, events)
                    self._take(folder / event.name)  # it may be there already
                elif event.name in ("record.json", "job.json"):
                    self._take(folder)
                elif event.name in CHANNELS and (start := self._latest.get(folder.name)):
                    start.look()

    def _take(self, folder: Path) -> None:
        if folder.name not in self._seen:
            with suppress(OSError):
                if (folder / "job.json").exists():
                    self._take_warm(folder, json.loads((folder / "job.json").read_text()))
                else:
                    self._take_cold(folder, json.loads((folder / "record.json").read_text()))
                self._seen.add(folder.name)

    def _take_cold(self, folder: Path, record: dict[str, Any]) -> None:
        for channel in CHANNELS:
            (self._keep / f"{folder.name}.{channel}").hardlink_to(folder / channel)
        sandbox = Sandbox(folder, record, self._keep / folder.name)
        if folder.name.startswith("warm-"):
            self._servers[folder.name] = sandbox
        else:
            self._add(sandbox, record["label"])

    def _take_warm(self, folder: Path, job: dict[str, Any]) -> None:
        self._take(folder.with_name(job["server"]))
        server = self._servers[job["server"]]
        start = self._latest[job["server"]] = WarmStart(folder, server.record, server.spools)
        self._add(start, job["label"])
        start.look()

    def _add(self, sandbox: Sandbox, label: dict[str, str]) -> None:
        self._found[UUID(label["job_id"]), int(label["attempt"])].append(sandbox)
