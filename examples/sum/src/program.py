"""Adds numbers up."""

import logging
import math
from typing import Any, Dict

logger = logging.getLogger(__name__)


def run(data: Dict[str, Any], params: Dict[str, Any]) -> Dict[str, Any]:
    """Sum up data["values"]; params may ask to round the sum: `round_up` or `round_off`."""
    values = data.get("values")
    if not isinstance(values, list):
        raise ValueError('data needs a list of numbers: {"values": [1, 2, 3]}')
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{value!r} in data.values is not a number")

    logger.info("Adding %d values", len(values))
    # fsum adds floats without the error that grows with each addition; sum keeps whole numbers whole.
    total = sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values)
    if params.get("round_up"):
        total = math.ceil(total)
    elif params.get("round_off"):
        total = round(total)
    return {"sum": total}
