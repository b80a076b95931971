"""What running code can say: how far it is, and what it knows already. Standard library only, Python 3.8 and newer.

Every job can import it, and nothing else of ours. Each call prints one line to standard output; code that prints the
same line itself says the same, in any language and in a container:

    {"progress": 0.4, "message": "40 of 100 cities"}
    PlanQK:Job:InterimResult: {"best": 7013}
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["interim", "progress"]

STEPS = 1000  # a bar shows no smaller ones, so no line is printed for them
_shown: tuple[int, str] = (-1, "")


def progress(fraction: float, message: str = "") -> None:
    """Say how much of the work is done: 0 to 1, and in a few words what is going on.

    Call it as often as you like: a line is printed only where the bar would show a difference.
    """
    global _shown
    done = float(fraction)
    done = 0.0 if not done > 0 else min(done, 1.0)  # NaN is not greater either
    now = (int(done * STEPS), str(message))
    if now != _shown:
        _shown = now
        _print(_json({"progress": round(done, 4), "message": now[1]}))


def interim(result: Any) -> None:
    """Show a result before the end: anything that run() could return, at most 64 KiB of JSON."""
    _print("PlanQK:Job:InterimResult: " + _json(result))


def _json(value: Any) -> str:
    results = sys.modules.get("mercato_runner.results")  # writes what it writes for the result of run()
    if results is not None and hasattr(results, "encode"):
        encoded: bytes = results.encode(value)
        return encoded.decode()
    import json  # noqa: PLC0415 (only where nobody else brings it)

    return json.dumps(value, allow_nan=False)


def _print(line: str) -> None:
    """Past what the code may have put in the place of sys.stdout. Nobody fails for want of a reader."""
    stream = sys.__stdout__
    if stream is None or stream.closed:
        return
    if sys.stdout is not stream:
        try:
            sys.stdout.flush()
        except Exception:  # noqa: S110 (the user may have put anything there)
            pass
    stream.write(line + "\n")
    stream.flush()
