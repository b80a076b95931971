from typing import Any, Dict, Optional


class Response:
    def to_json(self) -> Dict[str, Any]:
        return dict(vars(self))


class ResultResponse(Response):
    def __init__(self, result: Dict[str, Any], metadata: Optional[Dict[str, Any]] = None):
        self.metadata = metadata
        self.result = result


class ErrorResponse(Response):
    def __init__(self, code: str, detail: str):
        self.code = code
        self.detail = detail
