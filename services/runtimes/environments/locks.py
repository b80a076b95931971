"""Locks: exact versions and hashes of an environment, named by their content, and the latest lock of each wish.

They lie in storage only, not on the hosts too: one truth for all, and nothing that a host could have an old copy of.
"""

import contextlib
from hashlib import sha256

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from services.runtimes.base import PlatformError


def key_of(text: str) -> str:
    """The key of a lock."""
    return sha256(text.encode()).hexdigest()


def save(text: str, *, wish: str) -> str:
    """Keep the lock ``text`` as the latest one of ``wish``. Returns its key."""
    key = key_of(text)
    if not default_storage.exists(_lock(key)):
        default_storage.save(_lock(key), ContentFile(text.encode()))
    if find(wish) != key:
        default_storage.delete(_latest(wish))
        name = default_storage.save(_latest(wish), ContentFile(key.encode()))
        if name != _latest(wish):  # another build wrote its own in between; either is right
            default_storage.delete(name)
    return key


def find(wish: str) -> str | None:
    """The key of the latest lock of ``wish``; None where it was never resolved."""
    with contextlib.suppress(FileNotFoundError), default_storage.open(_latest(wish)) as file:
        return str(file.read().decode())
    return None


def read(key: str) -> str:
    """The lock called ``key``. Raises PlatformError where it is missing or not what its name says."""
    try:
        with default_storage.open(_lock(key)) as file:
            text = str(file.read().decode())
    except FileNotFoundError:
        raise PlatformError(f"The lock {key} is not in storage, so its environment cannot be made again.") from None
    if key_of(text) != key:
        raise PlatformError(f"The lock {key} in storage was changed; its environment is not made from it.")
    return text


def _lock(key: str) -> str:
    return f"locks/{key}.txt"


def _latest(wish: str) -> str:
    return f"locks/latest/{wish}"
