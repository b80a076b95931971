"""What running code announces on its standard output: kept in rows, told to pages that follow, at most once a second.

Who supervises a job feeds it; what the words are, markers.py knows. A successor reads the output from its beginning and
arrives at the same numbers, so that nothing is kept twice.
"""

import logging
import time
from collections import deque
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone
from redis.exceptions import RedisError

from jobs import markers
from jobs.markers import Failure, Interim, Progress, Result, Said, Unreadable
from jobs.masking import Masks
from jobs.models import CLAIMED, Job, JobInterim
from portal.lib import claims
from portal.lib.logstream import LogEnded, LogWriter
from services.runtimes.base import Execution

log = logging.getLogger(__name__)

INTERIMS_KEPT = 20  # of an attempt, the newest
NOTES_MAX = 20
PUBLISH_SECONDS = 1.0
CHUNK_BYTES = 256 * 1024

Answer = Result | Failure | Unreadable


class Announcements:
    """Those of one attempt. ``answer`` is the first result block, or the error, once it came."""

    def __init__(self, job: Job, execution: Execution, writer: LogWriter, masks: Masks) -> None:
        self.answer: Answer | None = None
        self.told_before = 0  # up to this byte of the output, a predecessor wrote the notes
        self._job = job
        self._execution = execution
        self._writer = writer
        self._masks = masks
        self._scanner = markers.Scanner()
        self._offset = 0
        self._progress: Progress | None = None
        self._interims: deque[tuple[int, str]] = deque(maxlen=INTERIMS_KEPT)
        self._count = 0
        self._stored = 0
        self._notes: list[str] = []
        self._noted = 0
        self._has_news = False
        self._published_at = -PUBLISH_SECONDS

    def read(self, *, until: float) -> bool:
        """Take in what is new in the spool. False if there was more than could be read ``until`` then."""
        while data := self._execution.read("out", self._offset, CHUNK_BYTES):
            self._offset += len(data)
            for said in self._scanner.feed(data):
                self._take(said)
            if time.monotonic() >= until:
                return False
        return True

    def publish(self) -> None:
        """Let others know, if there is news and it is time. What the database or the broker do not take comes later."""
        if not self._has_news or time.monotonic() - self._published_at < PUBLISH_SECONDS:
            return
        self._published_at = time.monotonic()
        try:
            self._store()
        except DatabaseError as error:
            log.warning("What job %s announced waits for the database: %s", self._job.pk, error)

    def finish(self) -> None:
        """Take in what the end of the output completes, and keep it all. Raises DatabaseError."""
        self.read(until=float("inf"))
        for said in self._scanner.close():
            self._take(said)
        if self._has_news:
            self._store()

    def _take(self, said: Said) -> None:
        self._has_news = True
        if isinstance(said, Progress):
            self._progress = said
        elif isinstance(said, Interim):
            self._count += 1
            self._interims.append((self._count, said.content))
        elif isinstance(said, Unreadable) and not said.is_result:
            if self._offset > self.told_before and self._noted < NOTES_MAX:
                self._noted += 1
                self._notes.append(said.problem)
        else:
            self.answer = said

    def _store(self) -> None:
        job, events = self._job, list[tuple[str, dict[str, Any]]]()
        values: dict[str, Any] = {"progress": job.progress}
        if self._progress is not None:
            told = {"progress": self._progress.fraction, "progress_message": self._masks.text(self._progress.message)}
            if told != {name: getattr(job, name) for name in told}:
                values = {**told, "progress_at": timezone.now()}
                events.append(("progress", _event(values)))
        fresh = [(number, content) for number, content in self._interims if number > self._stored]
        if events or fresh:
            rows = [JobInterim(job=job, attempt=job.attempt, number=number, content=text) for number, text in fresh]
            with transaction.atomic():
                if claims.update(job, when=Job.objects.filter(status__in=CLAIMED), **values):
                    JobInterim.objects.bulk_create(rows, ignore_conflicts=True)
                    mine = JobInterim.objects.filter(job=job, attempt=job.attempt)
                    mine.filter(number__lte=self._count - INTERIMS_KEPT).delete()
            if fresh:
                events.append(("interim", {"number": self._count}))
        self._stored = self._count
        self._has_news = False
        notes, self._notes = self._notes, []
        with suppress(RedisError, LogEnded):  # pages ask every few seconds anyway
            for name, data in events:
                self._writer.event(name, **data)
            for note in notes:
                self._writer.write("system", f"{self._masks.text(note)}\n".encode())


def _event(values: dict[str, Any]) -> dict[str, Any]:
    return {
        "fraction": values["progress"],
        "message": values["progress_message"],
        "at": values["progress_at"].isoformat(timespec="milliseconds"),
    }
