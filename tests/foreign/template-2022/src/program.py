from typing import Any, Dict, Optional, Union

from .libs.helpers import *
from .libs.return_objects import ErrorResponse, ResultResponse


def run(
    data: Optional[Dict[str, Any]] = None, params: Optional[Dict[str, Any]] = None
) -> Union[ResultResponse, ErrorResponse]:
    if not data or "values" not in data:
        return ErrorResponse(code="400", detail="there are no values")
    result = total(data["values"])
    if (params or {}).get("round_off"):
        result = int(result)
    return ResultResponse(metadata={"count": len(data["values"])}, result={"sum": result})
