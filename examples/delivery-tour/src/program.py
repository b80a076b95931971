"""Plans the tour of a van: which stop comes when."""

import csv
import logging
import math
import random
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Dict, List

logger = logging.getLogger(__name__)
OUTPUT = Path("/var/runtime/output")


def run(data: Dict[str, Any], params: Dict[str, Any]) -> Dict[str, Any]:
    """Order data["stops"] into a short round tour from data["depot"], and say when the van is where."""
    depot, stops = data["depot"], data["stops"]
    load = sum(stop.get("parcels", 1) for stop in stops)
    van = data.get("van", {})
    if load > van.get("capacity", 100):
        raise ValueError(f"{load} parcels do not fit into a van for {van.get('capacity', 100)}: leave out a stop")

    places = [depot["position"]] + [stop["position"] for stop in stops]
    matrix = [[distance(a, b, params.get("metric", "straight")) for b in places] for a in places]
    tour = nearest_first(matrix)
    logger.info("Nearest first: %.1f km", length(tour, matrix))
    if params.get("method", "improve") == "improve":
        tour = improve(tour, matrix, params)
        logger.info("Improved: %.1f km", length(tour, matrix))

    return {"kilometres": round(length(tour, matrix), 2), "parcels": load, "stops": timetable(tour, matrix, data)}


def distance(a: Dict[str, float], b: Dict[str, float], metric: str) -> float:
    east, north = a["east"] - b["east"], a["north"] - b["north"]
    return abs(east) + abs(north) if metric == "blocks" else math.hypot(east, north)


def length(tour: List[int], matrix: List[List[float]]) -> float:
    return sum(matrix[a][b] for a, b in zip(tour, tour[1:] + tour[:1]))


def nearest_first(matrix: List[List[float]]) -> List[int]:
    tour, left = [0], set(range(1, len(matrix)))
    while left:
        tour.append(min(left, key=lambda place: (matrix[tour[-1]][place], place)))
        left.remove(tour[-1])
    return tour


def improve(tour: List[int], matrix: List[List[float]], params: Dict[str, Any]) -> List[int]:
    """Turn random parts of the tour around and keep what makes it shorter."""
    chance = random.Random(params.get("seed"))
    effort = params.get("effort", {"rounds": 20000})
    end = time.monotonic() + effort.get("seconds", math.inf)
    best = length(tour, matrix)
    rounds = 0
    while len(tour) > 3 and rounds < effort.get("rounds", math.inf) and time.monotonic() < end:
        rounds += 1
        first, last = sorted(chance.sample(range(1, len(tour) + 1), 2))
        turned = tour[:first] + tour[first:last][::-1] + tour[last:]
        if (new := length(turned, matrix)) < best:
            tour, best = turned, new
    logger.info("%d rounds", rounds)
    return tour


def timetable(tour: List[int], matrix: List[List[float]], data: Dict[str, Any]) -> List[Dict[str, Any]]:
    van, stops = data.get("van", {}), data["stops"]
    now = datetime.fromisoformat(data.get("departure", "2026-01-31T08:00:00Z").replace("Z", "+00:00"))
    rows, before = [], 0
    for place in tour[1:]:
        stop = stops[place - 1]
        now += timedelta(hours=matrix[before][place] / van.get("speed", 30))
        rows.append({"name": stop["name"], "arrival": now.strftime("%Y-%m-%d %H:%M")})
        now += timedelta(minutes=data.get("minutes_per_stop", {}).get(stop.get("kind", "door"), 3))
        before = place
    if OUTPUT.is_dir():
        with (OUTPUT / "tour.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["name", "arrival"])
            writer.writeheader()
            writer.writerows(rows)
    return rows
