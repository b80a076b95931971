"""`Prefer: wait=N` (RFC 7240): an answer that waits for the end of an execution. The news of its log wake it."""

import math
import re
import time
from uuid import UUID

from django.http import HttpRequest
from redis.exceptions import RedisError

from jobs.models import FINAL, Job
from portal.lib import logstream, sse

WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])', re.IGNORECASE | re.ASCII)
WAIT_SECONDS_MAX = 60
BLOCK_SECONDS = 1.0
# News may be missed: an attempt that was given back has a log that nobody ends.
RECHECK_SECONDS = 5.0


def preferred_seconds(request: HttpRequest) -> int:
    """How long the caller would wait; 0 for not at all."""
    given = request.META.get("HTTP_PREFER")
    found = WAIT.search(given) if given else None
    return min(int(found[1]), WAIT_SECONDS_MAX) if found else 0


def has_waited_for_end(job_id: UUID, attempt: int, seconds: float) -> bool:
    """Wait until the job has ended, at most ``seconds``. False, and at once, where too many wait already, in all or of
    its account.

    Holds no database connection while it waits.
    """
    with sse.place(Job.objects.values_list("account_id", flat=True).get(pk=job_id)) as is_free:
        if not is_free:
            return False
        deadline = time.monotonic() + seconds
        while not logstream.closing.is_set():
            name = ("job", job_id, max(attempt, 1))
            seen = _position(*name)
            # Behind the look at the log: what is written from here on, the reader below finds.
            status, attempt = Job.objects.values_list("status", "attempt").get(pk=job_id)
            remaining = deadline - time.monotonic()
            if status in FINAL or remaining <= 0:
                break
            sse.release_database()
            _wait_for_news(*name, after=seen, seconds=min(remaining, RECHECK_SECONDS))
        return True


def _wait_for_news(kind: str, id: UUID, attempt: int, *, after: str, seconds: float) -> None:
    """Wait until the log tells a new status or its end."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        block = left / math.ceil(left / BLOCK_SECONDS)  # the last one ends when the time does
        for entries in logstream.read_batches(kind, id, attempt, after=after, block_seconds=block):
            if any(entry.event in (logstream.END, "status") for entry in entries) or time.monotonic() >= until:
                return
            if entries:
                after = entries[-1].id
                break  # another block would begin now, and end too late
        else:
            return


def _position(kind: str, id: UUID, attempt: int) -> str:
    try:
        return logstream.position(kind, id, attempt)
    except RedisError:
        return ""
