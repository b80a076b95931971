"""What an instance consists of: the command lines of its processes. Who starts and watches them is `up` or systemd."""

import os
import sys
from pathlib import Path

from django.conf import settings

from portal.lib import valkey
from portal.lib.doorbell import host_queue

# A request that waits holds a connection and no thread, so a worker accepts more than it has threads for.
WAITING_REQUESTS = 1024


def commands() -> dict[str, list[str]]:
    """Every process by its name, in the order in which they are started."""
    broker = {"valkey": valkey_command()} if settings.PRIVATE_VALKEY else {}
    return broker | {"web": web_command()} | worker_commands()


def valkey_command() -> list[str]:
    """The broker, cache and log store of the embedded mode."""
    return valkey.command(run_dir=settings.RUN_DIR, data_dir=valkey_data())


def valkey_data() -> Path:
    """The folder of the private Valkey: append-only file and log."""
    return Path(settings.MERCATO_HOME / "valkey")


def web_command() -> list[str]:
    """The web server. Most of its threads are there to wait: each open live page holds one."""
    options = {
        "interface": "wsgi",
        "host": "127.0.0.1" if settings.HOST == "localhost" else settings.HOST,
        "port": settings.PORT,
        "http": "1",
        "workers": settings.WEB_WORKERS,
        "blocking-threads": settings.WEB_THREADS,
        "backlog": 2048,
        "backpressure": settings.WEB_THREADS + WAITING_REQUESTS,
        "workers-kill-timeout": 2,  # with live pages open a worker ends by this, and not by itself
        "log-level": "error",  # a level lower it warns of the many threads at each start
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "granian", *flags, "--respawn-failed-workers", "--no-ws", "portal.wsgi:application"]


def worker_commands() -> dict[str, list[str]]:
    """The workers of this host: `work` runs jobs and builds, and `system` watches over them and keeps the beat.

    They are two because busy slots would starve the watch.
    """
    return {
        "work": [*_worker("work", settings.JOB_SLOTS + settings.BUILD_SLOTS), "--queues=jobs,builds"],
        "system": [*_worker("system", 2), f"--queues=system,{host_queue(settings.WORKER_HOST)}", "--beat"],
    }


def environment() -> dict[str, str]:
    """The environment of the processes: this one's, and the settings that it found."""
    return os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings", "PYTHONUNBUFFERED": "1"}


def _worker(name: str, threads: int) -> list[str]:
    # Checks are a matter of `up` and of `manage.py check`; gossip, mingle and heartbeat are for workers that talk.
    return [
        *(sys.executable, "-m", "celery", "--app=portal.celery", "--quiet", "--skip-checks", "worker"),
        *(f"--hostname={name}@{settings.WORKER_HOST}", "--pool=threads", f"--concurrency={threads}"),
        *(f"--loglevel={settings.LOG_LEVEL}", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
