"""`manage.py up`: the whole instance in the foreground, from an empty folder to a page that answers."""

import errno
import fcntl
import json
import os
import resource
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import IO, Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from portal.lib import valkey
from portal.lib.folders import NotOurs, make_private
from portal.management import calling, processes, static_files
from portal.management.group import STOP_SECONDS, Child, Group
from services import runtimes

DEFAULT_PORT = 8000
PORT_MAX = 65_535
OPEN_FILES = 65_536  # a live page holds two: the connection of the browser and one to the broker
COLOURS = {"valkey": 35, "web": 36, "work": 33, "system": 32, "demo": 34, "offer": 34}
# A program of its own, because the group's loop must not wait for anything, and without imports that take time.
PROBE = """
import socket, sys, time
while True:
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
            if b" 200 " in connection.recv(64):
                break
    except OSError:
        pass
    time.sleep(0.03)
"""


class Command(BaseCommand):
    help = "Runs the whole instance: migrations, static files, broker, web server, workers. Ctrl-C ends it."
    requires_system_checks = ()  # `make lint` and `check --deploy` do that; here it is time until ready

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="do not create the demo people and their service")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        with _locked_home():
            _require_free_port()
            _allow_open_files()
            try:
                group = Group(
                    show=self._show,
                    pid_dir=make_private(settings.RUN_DIR),
                    stop_seconds=STOP_SECONDS + settings.STOP_GRACE_SECONDS,
                )
                commands = processes.commands()
            except (NotOurs, valkey.ValkeyUnavailable) as error:
                raise CommandError(str(error)) from None
            children = {
                name: Child(name=name, command=command, environment=processes.environment(), ends_last=name == "valkey")
                for name, command in commands.items()
            }
            with group.running():
                if broker := children.pop("valkey", None):
                    broker.folder = processes.valkey_data()
                    broker.log = valkey.log_file(broker.folder)
                    group.add(broker)
                self._prepare()
                for child in children.values():
                    group.add(child)
                group.add(self._probe(group, began, demo=settings.DEMO and not options["no_demo"]))

    def _prepare(self) -> None:
        """Bring database and static files up to date."""
        if connection.vendor == "sqlite":
            # Write-ahead log and shared memory take their mode from the file. Others of the host may enter the folder
            # (a job's user passes through it), and none may read this.
            settings.MERCATO_HOME.joinpath("mercato.sqlite3").touch(mode=0o600)
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self._show("up", "updating the database")
            call_command("migrate", interactive=False, verbosity=0)
        connection.close()
        if connection.vendor == "postgresql":
            connection.close_pool()  # type: ignore[attr-defined]  # it has threads, and this process must not
        if static_files.collect_if_changed():
            self._show("up", "collected static files")

    def _probe(self, group: Group, began: float, *, demo: bool) -> Child:
        """The child that ends once the web server answers."""

        def announce(status: int, _: str) -> None:
            seconds = time.monotonic() - began
            self._show("up", f"Mercato is ready: {settings.PUBLIC_URL} (after {seconds:.1f} s; Ctrl-C ends it)")
            if demo:
                group.add(self._seeding(group))
            else:
                self._show("up", f"try it:           curl {settings.PUBLIC_URL}/healthz")
            for name, what in (("python", "jobs:"), ("docker", "containers:")):
                if reason := runtimes.get(name).unavailable():
                    self._show("up", f"{what:<17} not here. {reason}")

        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104 (compared only)
        command = [sys.executable, "-I", "-S", "-c", PROBE, host.strip("[]"), str(settings.PORT)]
        return Child(name="probe", command=command, environment=processes.environment(), on_end=announce)

    def _seeding(self, group: Group) -> Child:
        """The child that creates or finds the demo, beside the running server."""

        def announce(status: int, printed: str) -> None:
            if status:
                self._show("up", "the demo could not be created; the server runs without it")
                return
            demo = json.loads(printed)
            for name in ("user", "second_user"):
                self._show("up", f"demo login:       {demo[name]['email']}  {demo[name]['password']}")
            if demo["service_endpoint"]:
                self._show_call(demo)
            else:
                group.add(self._offering())

        return self._bootstrapping("demo", announce, "--no-wait")

    def _offering(self) -> Child:
        """The child that waits for the first build of the demo, and publishes it."""

        def announce(status: int, printed: str) -> None:
            if status:
                self._show(
                    "up", "the demo service is not built; its page says why, and `manage.py bootstrap` tries again"
                )
            else:
                self._show_call(json.loads(printed))

        return self._bootstrapping("offer", announce)

    def _bootstrapping(self, name: str, announce: Callable[[int, str], None], *arguments: str) -> Child:
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "bootstrap", "--json", *arguments]
        return Child(name=name, command=command, environment=processes.environment(), on_end=announce)

    def _show_call(self, demo: dict[str, Any]) -> None:
        for line in calling.lines(demo):
            self._show("up", f"call it:          {line}")

    def _show(self, name: str, line: str) -> None:
        shown = f"{name:<6} | "
        if self.style.SUCCESS("x") != "x" and name in COLOURS:  # colours are on
            shown = f"\x1b[{COLOURS[name]}m{shown}\x1b[0m"
        try:
            self.stdout.write(shown + line)
            self.stdout.flush()
        except BrokenPipeError:  # who read us is gone; the server is not
            pass


def _locked_home() -> IO[str]:
    """The lock of the data folder, held as long as the file is open. Of two instances there both would lose data."""
    settings.MERCATO_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = (settings.MERCATO_HOME / "up.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise CommandError(
            f"Another `up` runs on {settings.MERCATO_HOME}: {lock.read().strip() or 'just starting'}. "
            "Stop it, or choose another data folder: make up MERCATO_HOME=… PORT=…"
        ) from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()} at {settings.PUBLIC_URL}\n")
    lock.flush()
    return lock


def _require_free_port() -> None:
    """Say clearly what is wrong with the port. The web server would share it: it listens with SO_REUSEPORT."""
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST.strip("[]"), settings.PORT))
            probe.listen(1)
        except (OSError, OverflowError) as error:
            reason = {
                errno.EADDRINUSE: "another program listens there",
                errno.EACCES: "ports below 1024 are for root",
            }.get(getattr(error, "errno", 0), str(error).removesuffix("."))
            port = settings.PORT + 1 if settings.PORT < PORT_MAX else DEFAULT_PORT
            raise CommandError(
                f"Port {settings.PORT} of {settings.HOST} cannot be used: {reason}. Choose another: make up PORT={port}"
            ) from None


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
