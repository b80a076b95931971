"""What the host cannot see from outside: which exception ended run(), and where. One small file."""

from __future__ import annotations

import os

from . import jsons

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any

MESSAGE_MAX = 8000
FRAMES_MAX = 30


class Report:
    """Collects, and writes once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.content: dict[str, Any] = {"reason": ""}

    def refused(self, reason: str, detail: str) -> None:
        """Input or result do not fit: no fault of the code's own frames."""
        self.content = {"reason": reason, "detail": detail[:MESSAGE_MAX]}

    def answered(self, code: str, detail: str) -> None:
        """run() returned an ErrorResponse: a failure that it names itself."""
        self.content = {"reason": "error_response", "type": code[:200], "message": detail[:MESSAGE_MAX], "frames": []}

    def failed(self, error: BaseException, root: str) -> None:
        """An exception came out of the user's code below ``root``."""
        self.content = {
            "reason": "error",
            "type": _title(error) or _class_name(error),
            "message": _detail(error) if _title(error) else _message(error),
            "frames": frames(error, root),
            "kinds": [kind.__name__ for kind in type(error).__mro__][:20],
            "errno": error.errno if isinstance(error, OSError) else None,
        }

    def write(self) -> None:
        """Hand it over. A job does not fail for want of a report."""
        if not self.path:
            return
        import resource  # noqa: PLC0415 (after the user's code, so that it costs its start nothing)

        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        self.content["memory_peak_bytes"] = max(usage.ru_maxrss for usage in usages) * 1024
        try:
            with open(self.path, "wb") as file:
                file.write(jsons.dumps(self.content, ascii_only=True).encode())
        except OSError:
            pass


def frames(error: BaseException, root: str) -> list[str]:
    """Where ``error`` passed through files below ``root``: `src/program.py:12 in run`, outermost first."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(root + os.sep):
            place = os.path.relpath(code.co_filename, root)
            found.append(f"{place}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(root + os.sep):
        found.append(f"{os.path.relpath(error.filename, root)}:{error.lineno}")
    return found[-FRAMES_MAX:]


def _class_name(error: BaseException) -> str:
    kind = type(error)
    hidden = kind.__module__ in ("builtins", "__main__") or kind.__module__.startswith("mercato_runner")
    return kind.__qualname__ if hidden else kind.__module__ + "." + kind.__qualname__


def _title(error: BaseException) -> str:
    """The title of a HandlerError of the Kipu libraries, which a program raises to say it in its own words."""
    if not any(base.__name__ == "HandlerError" and ".commons." in base.__module__ for base in type(error).__mro__):
        return ""
    return str(getattr(error, "title", ""))[:200]


def _detail(error: BaseException) -> str:
    return str(getattr(error, "detail", ""))[:MESSAGE_MAX]


def _message(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE_MAX]
    except Exception:  # their __str__ is their code
        return ""
