"""What a version may use and how it answers: what is offered, and what is left to the verb."""

import pytest

from services.forms import ServiceForm
from services.forms.versions import interpreter_field
from services.runtimes import interpreters


@pytest.mark.parametrize(("posted", "kept"), [("refuse", True), ("any", False), (None, None)])
def test_a_choice_about_input_that_nobody_posted_is_left_to_the_verb(posted, kept):
    field = ServiceForm().fields["validates_input"]
    assert field.clean(posted) is kept
    assert ServiceForm().fields["dialect"].clean("legacy" if posted else None) == ("legacy" if posted else None)


def test_ceilings_are_said_with_their_units(settings):
    settings.JOB_MEMORY_MIB_MAX = 2048
    settings.JOB_TIME_LIMIT_SECONDS_MAX = 5400
    settings.SOURCE_MAX_BYTES = 7 * 1024 * 1024
    fields = ServiceForm().fields
    assert "At most 2 GiB." in fields["memory_mib"].help_text
    assert "At most 90 minutes." in fields["time_limit_seconds"].help_text
    assert "at most 7 MiB" in fields["upload"].help_text


def test_an_interpreter_is_a_choice_where_there_are_several():
    (only, *more) = interpreters()
    assert (interpreter_field() is None) == (not more)
    field = interpreter_field(kept="3.8")
    assert ("3.8", "Python 3.8 (this host has it no longer)") in field.choices
    assert field.initial == "3.8"
    assert field.clean("default") == ""
    assert field.clean(only) == only
    assert field.clean(None) is None
