"""The sandbox: runs one command with what it is given, and nothing else of this host, within limits.

`start` and `attach` give a Process, which outlives us; `run` is for who waits for the end. Who wants what from it
(a job, a build) is no business of this package.
"""

from collections.abc import Callable

from services.runtimes.base import Log
from services.runtimes.sandbox.command import DATAPOOL, INPUT, OUTPUT, TMP, Command
from services.runtimes.sandbox.ending import Ending, judge
from services.runtimes.sandbox.launch import clear, start
from services.runtimes.sandbox.probing import Host, host
from services.runtimes.sandbox.process import Facts, Process, attach, attach_server
from services.runtimes.sandbox.tools import Interpreter
from services.runtimes.slots import Slot

__all__ = [
    "DATAPOOL", "INPUT", "OUTPUT", "TMP",
    "Command", "Ending", "Facts", "Host", "Interpreter", "Process",
    "attach", "attach_server", "clear", "host", "judge", "run", "start",
]  # fmt: skip

READ_BYTES = 65536
STOP_SECONDS = 1.0


def run(*, slot: Slot, command: Command, log: Log | None = None, stop: Callable[[], str] = lambda: "") -> Ending:
    """Run ``command`` to its end and remove what it left. ``log`` gets every byte of its output as it comes.

    ``stop`` is asked every second or so; a reason ends the command. Raises PlatformError if it cannot start.
    """
    process = start(slot=slot, command=command)
    try:
        offsets = {"out": 0, "err": 0}
        while not (over := process.ended()) or _forward(process, offsets, log):
            _forward(process, offsets, log)
            if over:
                continue
            if reason := stop():
                process.kill(reason)
            process.wait(STOP_SECONDS)
        return judge(process)
    finally:
        process.discard()


def _forward(process: Process, offsets: dict[str, int], log: Log | None) -> bool:
    """Pass on what is new; whether there was something."""
    any_news = False
    for channel, offset in offsets.items():
        while log is not None and (data := process.read(channel, offsets[channel], READ_BYTES)):
            log(channel, data)
            offsets[channel] += len(data)
        any_news |= offsets[channel] > offset
    return any_news
