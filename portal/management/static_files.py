"""Collects static files, and only when something about them changed: hashing and compressing takes seconds."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

STAMP = ".collected"


def collect_if_changed() -> bool:
    """Bring STATIC_ROOT up to date; whether there was anything to do."""
    stamp = settings.STATIC_ROOT / STAMP
    state = _state()
    if stamp.exists() and stamp.read_text() == state:
        return False
    # From scratch: left to itself, it keeps a file that was collected after the new one was written.
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(state)
    return True


def _state() -> str:
    """What the collected files depend on: name, size and time of every source, and who processes them."""
    digest = hashlib.sha256(f"{version('django')} {version('whitenoise')} {settings.STORAGES['staticfiles']}".encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            file = Path(storage.path(name)).stat()
            digest.update(f"{name} {file.st_size} {file.st_mtime_ns}\n".encode())
    return digest.hexdigest()
