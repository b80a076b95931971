"""What a verb refuses, by argument."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError


def refusal(verb: Callable[..., object], *args: object, **arguments: object) -> dict[str, str]:
    """The messages with which ``verb`` refuses, by argument; an empty key for those that belong to none."""
    with pytest.raises(ValidationError) as refused:
        verb(*args, **arguments)
    error = refused.value
    if not hasattr(error, "error_dict"):
        return {"": "\n".join(error.messages)}
    return {key: "\n".join(messages) for key, messages in error.message_dict.items()}
