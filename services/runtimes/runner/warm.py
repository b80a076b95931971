"""A warm interpreter: imports the program once and forks a process for each job. It is the init of its sandbox.

What it says in its journal is a hint to the host, no evidence. Variables and secrets of a job are read by the process
of the job only, so that none of them is ever in the memory that the next one is forked from.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself costs an enum, and is the same
import os
import select
import sys

from . import calling, main

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, NoReturn

HEAD_BYTES = 8
OLDER_INPUTS = "/var/input"  # links for older templates
MEMORY_FIRST = b"1000"  # of all processes of the sandbox the job's own is killed when memory is short
NOTES = {
    "threads": "its import starts threads, which a copy of the interpreter would lack",
    "processes": "its import starts processes, which would end with the job",
    "input": "its import reads the input, which would be that of one job for all of them",
    "variables": "its import fails as long as the variables of the single job are missing, such as its secrets",
}


def serve(cold: str, idle_seconds: int) -> None:
    """Import the program, then run a job for each request, until none comes for ``idle_seconds``; never returns.

    ``cold`` is the program of a cold start.
    """
    control, journal = (int(number) for number in os.environ.pop("MERCATO_CHANNEL").split(","))
    for descriptor in (control, journal):
        os.set_inheritable(descriptor, False)
    variables = dict(os.environ)
    root, report = os.getcwd(), os.environ.pop("MERCATO_REPORT", "")
    main.prepare()
    server = _Server(control, journal)
    server.load(root)
    for request in server.requests(idle_seconds):  # only in the process of a job does this go on
        _take_up(request)
        if server.unfit:
            _start_cold(cold, variables, request, server.unfit)
        main.run_program(root, report, server.loaded)


class _Server:
    def __init__(self, control: int, journal: int) -> None:
        self.control = control
        self.journal = journal
        self.run: Callable[..., Any] | None = None
        self.error: BaseException | None = None
        self.unfit = ""  # why no job may run in a copy of this interpreter
        self.handlers: dict[int, Any] = {}
        self.shared = ""  # what of System V's the import made

    def load(self, root: str) -> None:
        """Import the program, and see whether this interpreter can be copied."""
        starter = os.getpid()
        watch = _Watch()
        sys.addaudithook(watch)
        try:
            self.run = calling.load(root)
        except BaseException as error:
            self.error = error
        watch.is_over = True
        if os.getpid() != starter:
            os._exit(0)  # a fork of the user's came back from the import
        main.flush()  # else each job has a copy of what waits there, and prints it once more
        self.handlers = _without_handlers()
        if self.run is not None:
            _import_what_jobs_need(self.run)
        if watch.has_read:
            self.unfit = "input"
        elif _has_children():
            self.unfit = "processes"
        elif _threads() > 1:
            _fork_once()  # libraries that know of forks (OpenBLAS) end their threads for it, and start them again later
            if _threads() > 1:
                self.unfit = "threads"
        self.shared = _shared_objects()
        import gc  # noqa: PLC0415 (the program is imported: it costs no start anything)

        gc.collect()
        gc.freeze()  # what is here now is not looked at again, so that its memory stays shared
        self._say("unfit " + self.unfit if self.unfit else "ready")

    def loaded(self, root: str) -> Callable[..., Any]:
        """What calling.load says, or raises, for the program that is here already."""
        if self.run is None:
            assert self.error is not None
            raise self.error
        return self.run

    def requests(self, idle_seconds: int) -> Iterator[dict[str, str]]:
        """Fork for each request, and yield it in the new process. End after ``idle_seconds`` without one."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        number = 0
        while True:
            if not poll.poll(idle_seconds * 1000):
                os._exit(0)
            _reap()
            number += 1
            self._say(f"began {number}")  # before the fork: without this line the host starts it elsewhere
            process = os.fork()
            if process == 0:
                yield self._receive()
                os._exit(main.EXIT_FAILED)
            status, usage = _wait_for(process)
            if _shared_objects() != self.shared:
                self._say("stale")  # nobody but a member of this sandbox can see it
            milliseconds = int((usage.ru_utime + usage.ru_stime) * 1000)
            self._say(f"ended {number} {status} {milliseconds}")
            if self.unfit or self.error is not None:
                os._exit(0)

    def _receive(self) -> dict[str, str]:
        """In the process of a job: what it is asked, and nothing left of the server's own."""
        import json  # noqa: PLC0415 (after the import of the program)

        request = json.loads(self._read(int.from_bytes(self._read(HEAD_BYTES), "big")))["variables"]
        if self.error is not None and any(name not in os.environ for name in request):
            self.unfit = "variables"
            self._say("unfit variables")
        os.close(self.control)
        os.close(self.journal)
        for number, handler in self.handlers.items():
            _signal.signal(number, handler)
        return request  # type: ignore[no-any-return]

    def _read(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            content += os.read(self.control, size - len(content))
        return content

    def _say(self, line: str) -> None:
        os.write(self.journal, line.encode() + b"\n")


class _Watch:
    """Sees whether the import opens an input file: that of the first job is there already, or not yet."""

    def __init__(self) -> None:
        self.folders = (os.environ["INPUT_DIRECTORY"] + "/", OLDER_INPUTS + "/")
        self.has_read = False
        self.is_over = False  # a hook stays for good, in the jobs too

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.is_over or event != "open":
            return
        try:
            self.has_read |= os.fsdecode(arguments[0]).startswith(self.folders)
        except TypeError:  # a descriptor
            pass


def _take_up(variables: dict[str, str]) -> None:
    """Become the job: its variables, random numbers of its own, and the first to go when memory is short."""
    os.environ.update(variables)
    numpy = sys.modules.get("numpy.random")
    try:
        with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
            file.write(MEMORY_FIRST)
        if numpy is not None:
            numpy.seed()  # random itself does so after each fork
    except Exception:  # noqa: S110 (what is not there needs no seed; the rest is a wish)
        pass


def _start_cold(program: str, variables: dict[str, str], own: dict[str, str], why: str) -> NoReturn:
    note = f"Mercato cannot start this program warm: {NOTES[why]}. It starts cold.\n"
    os.write(2, note.encode())
    os.execve(sys.executable, [sys.executable, "-u", "-I", "-c", program], {**variables, **own})  # noqa: S606


def _import_what_jobs_need(run: Callable[..., Any]) -> None:
    """What each job would import by itself: once, here."""
    import json  # noqa: F401, PLC0415
    import resource  # noqa: F401, PLC0415

    if getattr(run, "__annotations__", None):
        from . import converting  # noqa: F401, PLC0415


def _without_handlers() -> dict[int, Any]:
    """Take the program's handlers of signals away: a signal to all processes of a job must not end the server.

    As the init of the sandbox it gets those only that it has a handler for.
    """
    found = {}
    for number in range(1, _signal.NSIG):
        try:
            handler = _signal.getsignal(number)
            if handler is not None and (callable(handler) or (handler == 1 and number == _signal.SIGCHLD)):
                found[number] = handler
                _signal.signal(number, _signal.SIG_DFL)
        except (OSError, ValueError):
            continue
    return found


def _shared_objects() -> str:
    """The memory, semaphores and queues of System V: they stay when the processes that made them are gone."""
    found = []
    for kind in ("shm", "sem", "msg"):
        try:
            with open("/proc/sysvipc/" + kind) as file:
                found += [kind + " ".join(line.split()[:2]) for line in file.readlines()[1:]]
        except OSError:
            continue
    return "\n".join(found)


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _has_children() -> bool:
    _reap()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _fork_once() -> None:
    process = os.fork()
    if process == 0:
        os._exit(0)
    _wait_for(process)


def _reap() -> None:
    """Bury orphans: they are the init's children."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _wait_for(process: int) -> tuple[int, Any]:
    """The exit code of ``process`` as a shell gives it, and what it used."""
    while True:
        found, status, usage = os.wait4(-1, 0)
        if found == process:
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), usage
