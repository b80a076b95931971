"""Waiting for what happens in another process. The limits are generous: how fast something is, benchmarks measure."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def wait_for(condition: Callable[[], Result], *, what: str, seconds: float = 30, interval: float = 0.02) -> Result:
    """The first true value of ``condition``; fails the test, naming ``what``, after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {seconds} s in vain for {what}.")
        time.sleep(interval)
    return value
