from __future__ import annotations

import logging
from typing import Any, Dict

from .statistics import mean

logger = logging.getLogger("starter")


def run(data: Dict[str, Any], params: Dict[str, Any]) -> Dict[str, Any]:
    """Average the values, rounded if that is asked for."""
    average = mean(data["values"])
    logger.warning("averaged %s values", len(data["values"]))
    return {"mean": round(average) if params.get("round_up") else average}
