"""From the spool of an execution to the log of its job, and with its end to storage."""

import logging
import time
from collections.abc import Iterator

from redis.exceptions import RedisError

from jobs import logs
from jobs.announcements import Announcements
from jobs.masking import Masks
from portal.lib import doorbell, logstream
from portal.lib.logstream import LogEnded, LogWriter
from services.runtimes.base import Execution

log = logging.getLogger(__name__)

CHANNELS = ("out", "err")
CHUNK_BYTES = 256 * 1024
SCAN_SECONDS = 0.25
CARRY_SECONDS = 1.0  # what a job prints faster than the broker takes it must not keep us from renewing the lease


class Tail:
    """Carries spool bytes to the log. What the broker did not take is offered again."""

    def __init__(
        self, execution: Execution, writer: LogWriter, masks: Masks, announcements: Announcements | None = None
    ) -> None:
        self.execution = execution
        self.writer = writer
        self.masks = masks
        self.announcements = announcements
        self.offsets: dict[str, int] | None = None
        self.has_begun = False
        self.is_behind = False

    def carry(self) -> bool:
        """Write what is new, as much as goes in CARRY_SECONDS; then there may be more, and ``is_behind`` is set.

        False if the broker is away: nothing is lost, the spool keeps it.
        """
        self.is_behind, until = False, time.monotonic() + CARRY_SECONDS
        is_taken = self._write(until)
        if self.announcements is not None:
            # Its own time: where the broker is slower than the job, the log takes all of the other.
            if self.announcements.read(until=max(until, time.monotonic() + SCAN_SECONDS)):
                self.announcements.publish()
            else:
                self.is_behind = True
        return is_taken

    def store(self, *, status: str) -> bool:
        """End the log and move it to storage. False if the broker is away, or lost a part: then carry it again."""
        name = (self.execution.job_id, self.execution.attempt)
        try:
            self.writer.close(status=status)
            stored = logs.archive(*name)
            if self.offsets and all(stored.get(channel, 0) >= self.offsets[channel] for channel in CHANNELS):
                return True
            log.warning("The broker lost the log of job %s before it was archived.", self.execution.job_id)
            logstream.delete("job", *name)
        except RedisError as error:
            log.warning("The end of the log of job %s waits for the broker: %s", self.execution.job_id, error)
        except Exception:  # whatever storage or database raise: the broker has all of it, and the tick archives it
            log.exception("The log of job %s is archived later.", self.execution.job_id)
            doorbell.ring("jobs.archive_log", *name)
            return True
        self.offsets = None
        return False

    def _write(self, until: float) -> bool:
        try:
            if self.offsets is None:
                self.offsets = dict.fromkeys(CHANNELS, 0) | self.writer.offsets()
                if self.announcements is not None and not self.has_begun:
                    self.announcements.told_before = self.offsets["out"]
                self.has_begun = True
            for channel, data in self._new():
                self.writer.write(channel, data, offset=self.offsets[channel])
                self.offsets[channel] += len(data)
                if time.monotonic() >= until:
                    self.is_behind = True
                    break
        except LogEnded:
            return True  # it was settled without us, as lost; what it printed since then nobody waits for
        except RedisError as error:
            log.warning("The log of job %s waits for the broker: %s", self.execution.job_id, error)
            self.offsets = None  # what was acknowledged is in the stream itself
            return False
        return True

    def _new(self) -> Iterator[tuple[str, bytes]]:
        assert self.offsets is not None
        for channel in CHANNELS:
            while data := self._read(channel, self.offsets[channel]):
                yield channel, data

    def _read(self, channel: str, offset: int) -> bytes:
        """What comes behind ``offset``, without the values of secrets."""
        if not self.masks:
            return self.execution.read(channel, offset, CHUNK_BYTES)
        begin = max(0, offset - self.masks.reach)
        length = offset - begin + CHUNK_BYTES
        has_ended = self.execution.ended()  # before the read: nothing comes behind what it finds
        data = self.execution.read(channel, begin, length)
        return self.masks.hide(data, is_end=has_ended and len(data) < length)[offset - begin :]
