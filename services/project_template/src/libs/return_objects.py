"""What the service answers: the shape of its result, and the error of an input that it cannot work on."""

from typing import TypedDict


class ResultResponse(TypedDict):
    """The result. Describe the same keys in openapi-spec.yml, below ResultResponse."""

    sum: float


class InvalidInput(ValueError):
    """The input is not what the service takes. Its message is for the caller: say what is missing."""
