"""From the input folder to run() to the output folder, and a report for the host."""

from __future__ import annotations

import faulthandler
import os
import sys

from . import calling, inputs, reports, results

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any, Callable

EXIT_FAILED = 1
TASKS_SECONDS = 1  # for the tasks of an event loop to tidy up when run() has returned
THREADS_SECONDS = 0.1  # for threads to end that are about to
FRAMES_MAX = 2000  # of a traceback in the log: twice what Python allows unless it is told otherwise


def main() -> None:
    """Run the program in the current folder and end this process; never returns."""
    prepare()
    run_program(os.getcwd(), os.environ.pop("MERCATO_REPORT", ""), calling.load)


def prepare() -> None:
    """What comes before the import of the program; a warm interpreter (warm.py) does so once for all its jobs."""
    faulthandler.enable()  # a crash of a library then shows the line that called it
    sys.meta_path.append(_Commons(os.environ.pop("MERCATO_COMMONS", "")))


class _Commons:
    """The last of sys.meta_path: commons.py, from the moment that something is imported that nothing else has."""

    def __init__(self, environment: str) -> None:
        self.environment = environment

    def find_spec(self, *wanted: Any) -> ModuleSpec | None:
        from .commons import Finder  # noqa: PLC0415 (most jobs never come here)

        finder = Finder(self.environment)
        if self in sys.meta_path:
            sys.meta_path[sys.meta_path.index(self)] = finder
        return finder.find_spec(*wanted)


def run_program(root: str, report_path: str, load: Callable[[str], Callable[..., Any]]) -> None:
    """One job of the program below ``root``, from the input to the report, and the end of this process.

    ``load`` gives run().
    """
    report = reports.Report(report_path)
    starter = os.getpid()
    code = _execute(root, report, starter, load)
    if os.getpid() != starter:
        flush()
        os._exit(code)  # a fork of the user's came back from run(): what follows is its parent's to do
    report.write()
    _leave(code)


def _execute(root: str, report: reports.Report, starter: int, load: Callable[[str], Callable[..., Any]]) -> int:
    try:
        given = inputs.read(os.environ["INPUT_DIRECTORY"])
        output = os.environ["OUTPUT_DIRECTORY"]  # before the program comes, which may clear its variables
        run = load(root)
        _show_what_it_logs()
        args, kwargs = calling.bind(run, given)
        result = _awaited(run(*args, **kwargs))
        if os.getpid() == starter:
            if (refused := results.refusal(result)) is not None:
                return _answer(report, *refused)
            results.write(result, output)
    except inputs.InvalidInput as error:
        return _refuse(report, "invalid_input", error)
    except results.InvalidResult as error:
        return _refuse(report, "invalid_result", error)
    except SystemExit as error:
        return _exit_code(report, error, root)
    except BaseException as error:
        report.failed(error, root)
        _print_traceback(error)
        return EXIT_FAILED
    return 0


def _show_what_it_logs() -> None:
    """Bring what the program logs, from LOG_LEVEL up, into the log of the job, unless it has set logging up itself."""
    logging = sys.modules.get("logging")  # who has not imported it logs nothing
    if logging is not None:
        level = getattr(logging, os.environ.get("LOG_LEVEL", "").upper(), None)
        level = level if isinstance(level, int) else logging.INFO
        logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _awaited(result: Any) -> Any:
    """What run() returned, or what comes of it where that has to be awaited."""
    if type(result).__name__ != "coroutine" and not hasattr(type(result), "__await__"):
        return result
    import asyncio  # noqa: PLC0415 (only what has to be awaited needs it)

    async def wait() -> Any:
        return await result

    loop = asyncio.new_event_loop()  # asyncio.run() would wait for threads and tasks that run() left, without end
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(wait())
    finally:
        _close(loop)


def _close(loop: Any) -> None:
    """End an event loop of asyncio: its tasks may tidy up for a moment, its threads are _leave()'s business."""
    asyncio = sys.modules["asyncio"]
    try:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        left.add(loop.create_task(loop.shutdown_asyncgens()))
        loop.run_until_complete(asyncio.wait(left, timeout=TASKS_SECONDS))
        loop.close()
    except Exception:  # noqa: S110 (the user's code may have closed it; what it returned counts)
        pass


def _answer(report: reports.Report, code: str, detail: str) -> int:
    report.answered(code, detail)
    _say(f"run() returned an ErrorResponse: {code}: {detail}")
    return EXIT_FAILED


def _refuse(report: reports.Report, reason: str, error: Exception) -> int:
    report.refused(reason, str(error))
    _say(str(error))
    return EXIT_FAILED


def _exit_code(report: reports.Report, error: SystemExit, root: str) -> int:
    """What the interpreter makes of sys.exit(…)."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        code = error.code & 0xFF
    else:
        code = EXIT_FAILED
        _say(reports.text_of(error.code))
    if code:
        report.failed(error, root)
    return code


def _print_traceback(error: BaseException) -> None:
    import traceback  # noqa: PLC0415 (only a failure needs it)

    trace = error.__traceback__
    ours = (__package__, "asyncio", "runpy")
    while trace is not None and {trace.tb_frame.f_globals.get(name) for name in ("__package__", "__name__")} & {*ours}:
        trace = trace.tb_next  # our own frames help nobody
    depth = sum(1 for _ in traceback.walk_tb(trace))
    limit = -FRAMES_MAX if depth > FRAMES_MAX else None  # a million of them take a minute to print
    try:
        lines = traceback.format_exception(type(error), error, trace, limit)
    except Exception:  # their class is their code, and so is what they have done to Python's own
        lines = [f"{reports.class_name(error)}: {reports.text_of(error)}"]
    if limit is not None:
        _say(f"The innermost {FRAMES_MAX:,} of {depth:,} calls:")
    _say("".join(lines).rstrip("\n"))


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr)
    except Exception:  # noqa: S110 (the user may have put anything there, and the report says it too)
        pass


def _leave(code: int) -> None:
    """End as an interpreter does, but wait for no thread: a job is over when run() is."""
    threading = sys.modules.get("threading")
    if threading is not None:
        main_thread = threading.main_thread()
        left = [thread for thread in threading.enumerate() if thread is not main_thread and not thread.daemon]
        for thread in left:
            thread.join(THREADS_SECONDS / len(left))
        if any(thread.is_alive() for thread in left):
            import atexit  # noqa: PLC0415 (rare)

            _say("run() returned while threads of it still ran; they were ended.")
            atexit._run_exitfuncs()
            flush()
            os._exit(code)
    flush()
    sys.exit(code)


def flush() -> None:
    """Write out what Python still holds of stdout and stderr."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S110 (the user may have put anything there)
            pass
