"""Estimates π by throwing points at a square."""

import csv
import math
import os
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from .libs.picture import draw
from .libs.png import write_png

OUTPUT = Path(os.environ.get("OUTPUT_DIRECTORY", "/var/runtime/output"))
POINTS_DRAWN = 60_000
CHUNK = 1_000_000  # points at a time, so that memory does not grow with their number


def run(data: Dict[str, Any], params: Dict[str, Any]) -> Dict[str, Any]:
    """Throw params["samples"] points in params["batches"] batches, printing the estimate after each."""
    samples = _whole(params, "samples", 2_000_000, 1, 1_000_000_000)
    batches = min(_whole(params, "batches", 20, 1, 1000), samples)
    pause = float(params.get("pause_seconds", 0))
    if not 0 <= pause <= 60:
        raise ValueError("pause_seconds must be between 0 and 60")
    random = np.random.default_rng(params.get("seed"))

    print(f"Throwing {samples:,} points in {batches} batches", flush=True)
    steps: List[Tuple[int, float]] = []
    drawn = np.empty((0, 2))
    thrown = inside = 0
    seconds = 0.0
    for batch in range(1, batches + 1):
        began = time.perf_counter()
        until = samples * batch // batches
        while thrown < until:
            points = random.random((min(CHUNK, until - thrown), 2))
            inside += int(np.count_nonzero((points * points).sum(axis=1) <= 1))
            thrown += len(points)
            drawn = np.concatenate([drawn, points[: POINTS_DRAWN - len(drawn)]])
        seconds += time.perf_counter() - began
        estimate = 4 * inside / thrown
        steps.append((thrown, estimate))
        print(f"{batch:4d}/{batches}  {thrown:>13,} points  pi = {estimate:.6f}", flush=True)
        if pause and batch < batches:
            time.sleep(pause)

    OUTPUT.mkdir(parents=True, exist_ok=True)
    write_png(OUTPUT / "pi.png", draw(drawn, [value for _, value in steps]))
    with (OUTPUT / "convergence.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("points", "pi"), *steps])
    print("Wrote pi.png and convergence.csv", flush=True)
    return {
        "pi": estimate,
        "error": abs(estimate - math.pi),
        "samples": samples,
        "seconds": round(seconds, 3),
    }


def _whole(params: Dict[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number between {least:,} and {most:,}")
    return value
