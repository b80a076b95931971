"""The watch over the sandboxes of this host. It asks neither database nor broker: it is for when those are away."""

import logging
import threading
import time

from jobs import execution

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
PAUSE_SECONDS = 5.0  # who has not looked for so long was not running


def start(*, grace_seconds: float) -> None:
    """Look for as long as this process lives; see `watch`."""
    threading.Thread(target=watch, args=(threading.Event(), grace_seconds), name="watch", daemon=True).start()


def watch(stop: threading.Event, grace_seconds: float) -> None:
    """Twice a second end what must not run on. Leases count from ``grace_seconds`` after the start.

    A pause of the whole host is a start: its workers take up their jobs before anyone ends them.
    """
    since = last = _now()
    while not stop.wait(LOOK_SECONDS):
        now = _now()
        if now - last > PAUSE_SECONDS:
            since = now
        try:
            if now - since > grace_seconds:
                execution.kill_expired()
            execution.end_overtime()
        except Exception:  # one slot in disorder must not end the watch over the others
            log.exception("A look at the sandboxes of this host failed; the next one follows.")
        last = _now()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the host sleeps
