"""From the input folder to run() to the output folder, and a report for the host."""

from __future__ import annotations

import faulthandler
import os
import sys

from . import calling, inputs, reports, results

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any

EXIT_FAILED = 1


def main() -> None:
    """Run the program in the current folder and end this process; never returns."""
    faulthandler.enable()  # a crash of a library then shows the line that called it
    root = os.getcwd()
    report = reports.Report(os.environ.pop("MERCATO_REPORT", ""))
    starter = os.getpid()
    code = _execute(root, report, starter)
    if os.getpid() != starter:
        _flush()
        os._exit(code)  # a fork of the user's came back from run(): what follows is its parent's to do
    report.write()
    _leave(code)


def _execute(root: str, report: reports.Report, starter: int) -> int:
    try:
        given = inputs.read(os.environ["INPUT_DIRECTORY"])
        run = calling.load(root)
        _show_what_it_logs()
        args, kwargs = calling.bind(run, given)
        output = os.environ["OUTPUT_DIRECTORY"]
        result = _awaited(run(*args, **kwargs))
        if os.getpid() == starter:
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
    """What run() returned, or what its coroutine does."""
    if type(result).__name__ != "coroutine":
        return result
    import asyncio  # noqa: PLC0415 (only a coroutine needs it)

    return asyncio.run(result)


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
        _say(str(error.code))
    if code:
        report.failed(error, root)
    return code


def _print_traceback(error: BaseException) -> None:
    import traceback  # noqa: PLC0415 (only a failure needs it)

    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__package__") == __package__:
        trace = trace.tb_next  # our own frames help nobody
    _say("".join(traceback.format_exception(type(error), error, trace)).rstrip("\n"))


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
        if left:
            import atexit  # noqa: PLC0415 (rare)

            _say("run() returned while threads of it still ran; they were ended.")
            atexit._run_exitfuncs()
            _flush()
            os._exit(code)
    _flush()
    sys.exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S110 (the user may have put anything there)
            pass
