"""One whole instance for tests: the real `manage.py up` on a data folder of its own, driven from outside."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests import children
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent
INSTANCE_SETTINGS = ("DATABASE_URL", "REDIS_URL", "RUN_DIR", "SECRET_KEY", "JOBS_HOME", "PUBLIC_URL", "HOST", "DEBUG")

# A folder that all instances of one run of the suite share. tests/__main__.py makes and removes it.
SHARED = "MERCATO_TESTS_SHARED"
# What `up` does in an empty data folder: it takes seconds, and a run of the suite starts many instances.
PREPARE_HOME = """
from django.core.management import call_command
from portal.management import static_files
call_command("migrate", interactive=False, verbosity=0)
static_files.collect_if_changed()
"""
CLEAR_SLOTS = """
from services.runtimes import sandbox, slots, warm
for kind in slots.KINDS:
    for slot in slots.occupied(kind):
        sandbox.clear(slot)
warm.end_idle()
"""


def free_port() -> int:
    """A port of the loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LiveStack:
    """An instance: ``url``, ``home`` (data folder), ``log`` (what `up` printed), and its processes by name."""

    def __init__(
        self, home: Path | None = None, *, port: int | None = None, from_nothing: bool = False, **environment: str
    ) -> None:
        # Short, and open to the users of jobs, as the folder of a real instance is.
        self.home = home or Path(tempfile.mkdtemp(prefix="mercato-live-"))
        self.home.chmod(0o711)
        self.from_nothing = from_nothing  # else `up` may find the database made
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self.log_file = self.home / "up.log"
        self.mail_dir = self.home / "mail"
        self.run_dir = self.home / "run"
        inherited = {name: value for name, value in os.environ.items() if name not in INSTANCE_SETTINGS}
        self.environment = inherited | {
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "MERCATO_HOME": str(self.home),
            "RUN_DIR": str(self.run_dir),
            "PORT": str(self.port),
            "EMAIL_URL": f"filemail:///{self.mail_dir}",  # four slashes: three and the path are a relative one
            "JOB_SLOTS": "2",
            "TRUSTED_PROXIES": "1",  # a test may come from an address of its own, by X-Forwarded-For
            **environment,
        }
        self.up: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> "LiveStack":
        """Run `up` in a session of its own and wait until it says that it is ready."""
        if SHARED in os.environ and not self.from_nothing:
            self.prepare_home()
        self.launch(*arguments)
        wait_for(self._is_ready, what=f"`up` to be ready; it printed:\n{self.log}", seconds=90)
        return self

    def launch(self, *arguments: str) -> None:
        """Run `up` and wait for nothing."""
        self._log_begins = len(self.log) if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.up = children.start(
                self.command("up", *arguments),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def prepare_home(self) -> None:
        """See to it that there are the database and the static files, by a copy where this run has them."""
        if (self.home / "mercato.sqlite3").exists():
            return
        if SHARED in os.environ:
            not_ours = ["*_key"] + ["mercato.sqlite3"] * ("DATABASE_URL" in self.environment)
            shutil.copytree(_prepared_home(), self.home, ignore=shutil.ignore_patterns(*not_ours), dirs_exist_ok=True)
        else:
            self.manage("shell", "--no-imports", "--command", PREPARE_HOME)

    @staticmethod
    def command(*arguments: str) -> list[str]:
        """The command line of a management command."""
        return [sys.executable, str(ROOT / "manage.py"), *arguments]

    def _is_ready(self) -> bool:
        assert self.up
        if self.up.poll() is not None:
            raise AssertionError(f"`up` ended with status {self.up.returncode}:\n{self.log}")
        return "Mercato is ready" in self.log[self._log_begins :]

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @cached_property
    def bootstrap(self) -> dict[str, Any]:
        """The demo as `manage.py bootstrap --json` prints it: user, second_user, service and so on."""
        return json.loads(self.manage("bootstrap", "--json"))

    def manage(self, *arguments: str) -> str:
        """Run a management command on this instance; its standard output."""
        command = self.command(*arguments)
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def answers(self) -> bool:
        """Whether the web server answers."""
        try:
            return self.get("/healthz")[0] == 200
        except (OSError, HTTPException):  # not there, or killed in the middle of its answer
            return False

    # Processes: valkey, web, work, system

    def pid(self, name: str) -> int:
        """The process called ``name`` that `up` started."""
        return int((self.run_dir / f"{name}.pid").read_text())

    def has_started_again(self, name: str, *, since: int) -> bool:
        """Whether a process called ``name`` runs that is not the one with the pid ``since``."""
        try:
            return self.pid(name) != since
        except FileNotFoundError:  # between the two
            return False

    def kill(self, *names: str) -> None:
        """Kill -9 of the processes, all at once; `up` starts them again."""
        for pid in [self.pid(name) for name in names]:
            os.kill(pid, signal.SIGKILL)

    def processes(self) -> set[int]:
        """Everything that runs for this instance: whoever has its data folder in the environment."""
        needle = f"MERCATO_HOME={self.home}\0".encode()
        found = set()
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and needle in (folder / "environ").read_bytes():
                    found.add(int(folder.name))
            except OSError:  # it ended meanwhile, or it is another user's
                continue
        return found - {os.getpid()}

    # E-mail

    def mails(self, to: str) -> list[EmailMessage]:
        """What was sent to ``to``, in order."""
        found = []
        for file in sorted(self.mail_dir.glob("*.log"), key=lambda path: path.stat().st_mtime_ns):
            for part in file.read_bytes().split(b"-" * 79 + b"\n"):
                message = message_from_bytes(part, policy=policy.default)
                if to in message.get("To", ""):
                    found.append(message)
        return found

    def wait_for_link(self, to: str, *, containing: str = "/accounts/") -> str:
        """The first link with ``containing`` in the newest mail to ``to`` that has one."""

        def newest() -> str | None:
            for message in reversed(self.mails(to)):
                for link in re.findall(r"https?://\S+", message.get_content()):
                    if containing in link:
                        return link
            return None

        return wait_for(newest, what=f"a mail to {to} with a link to {containing}")

    # Ending

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ctrl-C, as a terminal sends it; the exit status."""
        assert self.up
        self.up.send_signal(number)
        return self.up.wait(timeout=20)

    def remove(self) -> None:
        """End what is left and remove the data folder."""
        if self.up and self.up.poll() is None:
            self.stop()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        if any(self.home.glob("jobs/slots/*/run-*")):  # jobs outlive `up`, and hold mounts and control groups
            self.manage("shell", "--verbosity=0", "--command", CLEAR_SLOTS)
        shutil.rmtree(self.home, ignore_errors=True)


def _prepared_home() -> Path:
    """The data folder that others are copies of; made by who needs it first."""
    shared = Path(os.environ[SHARED])
    home = shared / "home"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            (making := shared / "making").mkdir(exist_ok=True)
            (making / "mercato.sqlite3").touch(mode=0o600)
            LiveStack(making).manage("shell", "--no-imports", "--command", PREPARE_HOME)
            making.rename(home)
    return home
