"""How a version is run."""

import pytest
from django.core.exceptions import ValidationError

from services.forms import ServiceForm


@pytest.mark.parametrize(("typed", "kept"), [("", 0), ("3", 3)])
def test_an_empty_ceiling_is_no_limit(typed, kept):
    field = ServiceForm().fields["concurrency"]
    assert field.clean(typed) == kept
    for wrong in ("0", "-1", "1001", "1.5", "many"):
        with pytest.raises(ValidationError):
            field.clean(wrong)
