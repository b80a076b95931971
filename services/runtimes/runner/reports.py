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
        self.content = {"reason": "error", "type": class_name(error), "message": text_of(error), "frames": []}
        try:
            self.content["frames"] = frames(error, root)
            if title := _title(error):
                self.content.update(type=title, message=_detail(error))
            self.content["kinds"] = [kind.__name__ for kind in type(error).__mro__][:20]
            self.content["errno"] = error.errno if isinstance(error, OSError) else None
        except Exception:  # noqa: S110 (their class is their code, and what is known by now has to do)
            pass

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
        except Exception:  # noqa: S110 (the code may have changed anything that this needs)
            pass


def frames(error: BaseException, root: str) -> list[str]:
    """Where ``error`` passed through files below ``root``: `src/program.py:12 in run`, outermost first.

    A place that calls itself is named once.
    """
    found: list[str] = []
    trace = error.__traceback__
    last = None
    while trace is not None:
        code = trace.tb_frame.f_code
        if last != (code, trace.tb_lineno) and code.co_filename.startswith(root + os.sep):
            place = os.path.relpath(code.co_filename, root)
            found = [*found[1 - FRAMES_MAX :], f"{place}:{trace.tb_lineno} in {code.co_name}"]
        last = (code, trace.tb_lineno)
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(root + os.sep):
        found.append(f"{os.path.relpath(error.filename, root)}:{error.lineno}")
    return found[-FRAMES_MAX:]


def class_name(error: BaseException) -> str:
    """The class of ``error`` as people write it, whatever that class does to its own attributes."""
    kind = type(error)
    name = str(type.__dict__["__qualname__"].__get__(kind))
    module = type.__dict__["__module__"].__get__(kind)
    hidden = not isinstance(module, str) or module in ("builtins", "__main__") or module.startswith("mercato_runner")
    return name if hidden else f"{module}.{name}"


def text_of(thing: object) -> str:
    """``thing`` as text; empty where its own code for that fails."""
    try:
        return str(thing)[:MESSAGE_MAX]
    except Exception:
        return ""


def _title(error: BaseException) -> str:
    """The title of a HandlerError of the Kipu libraries, which a program raises to say it in its own words."""
    if not any(base.__name__ == "HandlerError" and ".commons." in base.__module__ for base in type(error).__mro__):
        return ""
    return str(getattr(error, "title", ""))[:200]


def _detail(error: BaseException) -> str:
    return str(getattr(error, "detail", ""))[:MESSAGE_MAX]
