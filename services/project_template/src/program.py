"""Your service. The platform calls run() once for each job. Keep the name of this file and of the function."""

import logging
from typing import Any, Dict

from .libs.return_objects import InvalidInput, ResultResponse

logger = logging.getLogger(__name__)


def run(data: Dict[str, Any], params: Dict[str, Any]) -> ResultResponse:
    """Sum up data["values"]; round the sum where params["round_off"] is true.

    What you log or print is the log of the job. What you return is its result, as JSON. Every file that you write to
    /var/runtime/output is a result file. What you raise fails the job, and its message tells the caller why.
    """
    values = data.get("values")
    if not isinstance(values, list):
        raise InvalidInput('data needs a list of numbers: {"values": [1, 2, 3]}')

    logger.info("Adding %d values", len(values))
    total = sum(values)
    if params.get("round_off", False):
        total = round(total)
    return {"sum": total}
