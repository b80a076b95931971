"""Draws the points in their square, and beside it how the estimate settles on π."""

import math
from typing import List

import numpy as np

SIZE, MARGIN = 400, 24
PAPER, FRAME = (255, 255, 255), (208, 213, 221)
INSIDE, OUTSIDE, LINE, TARGET = (79, 70, 229), (251, 146, 60), (17, 24, 39), (16, 185, 129)


def draw(points: np.ndarray, estimates: List[float]) -> np.ndarray:
    """A picture of height × width × 3 bytes: the points on the left, the estimates on the right."""
    picture = np.full((SIZE + 2 * MARGIN, 2 * SIZE + 3 * MARGIN, 3), PAPER, np.uint8)
    _draw_points(_panel(picture, MARGIN), points)
    _draw_estimates(_panel(picture, SIZE + 2 * MARGIN), estimates)
    return picture


def _panel(picture: np.ndarray, left: int) -> np.ndarray:
    panel = picture[MARGIN : MARGIN + SIZE, left : left + SIZE]
    panel[[0, -1], :] = FRAME
    panel[:, [0, -1]] = FRAME
    return panel


def _draw_points(panel: np.ndarray, points: np.ndarray) -> None:
    columns = (points[:, 0] * (SIZE - 1)).astype(int)
    rows = SIZE - 1 - (points[:, 1] * (SIZE - 1)).astype(int)
    within = (points * points).sum(axis=1) <= 1
    panel[rows[within], columns[within]] = INSIDE
    panel[rows[~within], columns[~within]] = OUTSIDE


def _draw_estimates(panel: np.ndarray, estimates: List[float]) -> None:
    reach = max(0.002, *(abs(value - math.pi) for value in estimates)) * 1.1
    panel[SIZE // 2 - 1 : SIZE // 2 + 1, :] = TARGET
    places = np.linspace(MARGIN, SIZE - 1 - MARGIN, len(estimates)) if len(estimates) > 1 else np.array([SIZE / 2])
    heights = SIZE / 2 - (np.array(estimates) - math.pi) / reach * (SIZE / 2 - 2)
    columns = np.arange(math.ceil(places[0]), math.floor(places[-1]) + 1)
    rows = np.interp(columns, places, heights)
    for column, row, following in zip(columns, rows, np.append(rows[1:], rows[-1:])):
        top, bottom = sorted((int(row), int(following)))
        panel[top : bottom + 2, column] = LINE
    for place, height in zip(places, heights):
        panel[int(height) - 2 : int(height) + 3, int(place) - 2 : int(place) + 3] = LINE
