"""A service: its form says what its verb and its columns say."""

import inspect

from services import publishing
from services.forms import ServiceForm
from services.models import Service


def test_every_field_is_an_argument_of_the_verb():
    arguments = inspect.signature(publishing.create_service).parameters
    assert set(ServiceForm().fields) <= set(arguments) | set(publishing.Configuration.__annotations__)


def test_the_form_holds_what_the_columns_hold():
    fields = ServiceForm().fields
    for name in ("name", "summary", "description"):
        assert fields[name].max_length == Service._meta.get_field(name).max_length
