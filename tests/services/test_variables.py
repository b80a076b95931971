"""Variables of a version: what may be set, what is kept of a secret, and who gets it."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import connection

from portal.accounts.actors import Actor
from services import publishing, variables
from services.models import VersionVariable
from tests.factories import ServiceVersionFactory
from tests.refusals import refusal


@pytest.fixture
def version(db):
    return ServiceVersionFactory()


@pytest.fixture
def by(version):
    return Actor(user=version.created_by)


@pytest.fixture
def put(version, by):
    def put(name="API_URL", value="http://example.com", is_secret=False):
        variables.set_variable(version=version, by=by, name=name, value=value, is_secret=is_secret)

    return put


def test_plain_and_secret_variables_reach_the_code_and_only_plain_ones_a_page(version, put):
    put()
    put("TOKEN", "canary ü\nsecond line", is_secret=True)
    put("EMPTY", "")
    assert variables.resolve(version) == {
        "API_URL": "http://example.com",
        "EMPTY": "",
        "TOKEN": "canary ü\nsecond line",
    }
    assert [(each.name, each.value) for each in variables.shown(version)] == [
        ("API_URL", "http://example.com"),
        ("EMPTY", ""),
        ("TOKEN", None),
    ]
    assert variables.secret_values(version) == ["canary ü\nsecond line"]
    assert "canary" not in VersionVariable.objects.get(name="TOKEN").value


def test_resolving_is_one_query(version, put, django_assert_num_queries):
    put()
    put("TOKEN", "x", is_secret=True)
    with django_assert_num_queries(1):
        variables.resolve(version)


def test_a_value_is_kept_unless_another_is_given(version, put):
    put("TOKEN", "first", is_secret=True)
    put("TOKEN", None, is_secret=True)
    assert variables.resolve(version) == {"TOKEN": "first"}
    put("TOKEN", "second", is_secret=True)
    assert variables.resolve(version) == {"TOKEN": "second"}
    put("URL", "plain")
    put("URL", None, is_secret=True)
    assert variables.secret_values(version) == ["second", "plain"]


def test_a_secret_becomes_plain_by_a_new_value_only(version, put):
    put("TOKEN", "hidden", is_secret=True)
    assert "shown to nobody" in refusal(put, "TOKEN", None, is_secret=False)["value"]
    assert refusal(put, "NEW", None).keys() == {"value"}
    put("TOKEN", "open", is_secret=False)
    assert variables.shown(version)[0].value == "open"


@pytest.mark.parametrize("name", ["", "1ST", "A-B", "A B", "A=B", "Ä", "A\n", "A.B", "A" * 129])
def test_what_is_no_name_is_refused(put, name):
    assert refusal(put, name).keys() == {"name"}


@pytest.mark.parametrize("name", ["_", "a", "LOG_LEVEL", "path", "PATHS", "A1", "OMP_NUM_THREADS", "A" * 128])
def test_other_names_are_taken(version, put, name):
    put(name, "x")
    assert variables.resolve(version) == {name: "x"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("PATH", "sandbox"),
        ("INPUT_DIRECTORY", "input and output"),
        ("DATA_VALUE", "2022"),
        ("PYTHONPATH", "src"),
        ("KQH_SERVICE_EXECUTION_TOKEN", "token"),
        ("SECRET_API_KEY", "$secrets"),
        ("MERCATO_REPORT", "platform"),
        ("LD_PRELOAD", "loader"),
    ],
)
def test_names_of_the_platform_are_refused_with_the_reason(put, name, reason):
    words = refusal(put, name)["name"]
    assert words.startswith(f"{name} cannot be set")
    assert reason in words


def test_values_have_bounds(put):
    put("LONG", "ü" * (variables.VALUE_MAX_BYTES // 2))
    assert "32,768" in refusal(put, "LONGER", "ü" * (variables.VALUE_MAX_BYTES // 2) + "x")["value"]
    assert "NUL" in refusal(put, "NUL", "a\0b")["value"]
    assert "Unicode" in refusal(put, "HALF", "\ud800")["value"]


def test_all_values_together_have_a_bound(version, put):
    for number in range(7):
        put(f"V{number}", "x" * variables.VALUE_MAX_BYTES, is_secret=number % 2 == 1)
    assert "262,144" in refusal(put, "V7", "x" * variables.VALUE_MAX_BYTES, is_secret=True)["value"]
    assert version.variables.count() == 7


def test_a_version_has_so_many_and_no_more(version, by, put):
    values = {f"V{number}": "x" for number in range(variables.COUNT_MAX)}
    variables.set_variables(version=version, by=by, values=values, is_secret=False)
    put("V1", "changed")
    assert "at most 100" in refusal(put, "ONE_MORE")["name"]
    assert version.variables.count() == variables.COUNT_MAX


def test_several_are_set_all_or_none(version, by):
    with pytest.raises(ValidationError):
        variables.set_variables(version=version, by=by, values={"GOOD": "1", "PATH": "2"}, is_secret=False)
    assert not version.variables.exists()


@pytest.mark.django_db(transaction=True)
def test_setting_at_once_keeps_the_bounds(version, by):
    names = [f"V{number}" for number in range(variables.COUNT_MAX - 1)]
    variables.set_variables(version=version, by=by, values=dict.fromkeys(names, ""), is_secret=False)

    def add(number: int) -> bool:
        try:
            variables.set_variable(version=version, by=by, name=f"MORE{number}", value="", is_secret=False)
        except ValidationError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(add, range(4))) == 1
    assert version.variables.count() == variables.COUNT_MAX


def test_removing_is_no_error_twice(version, by, put):
    put()
    assert variables.remove_variable(version=version, by=by, name="API_URL")
    assert not variables.remove_variable(version=version, by=by, name="API_URL")
    assert variables.resolve(version) == {}


def test_the_next_version_begins_with_them_and_they_part_then(version, by, put):
    put()
    put("TOKEN", "canary", is_secret=True)
    following = publishing.add_version(service=version.service, by=by, number="2.0.0")
    assert variables.resolve(following) == variables.resolve(version)
    variables.set_variable(version=following, by=by, name="TOKEN", value="other", is_secret=True)
    assert variables.resolve(version)["TOKEN"] == "canary"


def test_a_secret_under_a_lost_key_cannot_be_read(version, put, settings):
    put("TOKEN", "x", is_secret=True)
    settings.ENCRYPTION_KEYS = ["another"]
    for read in (variables.resolve, variables.secret_values):
        with pytest.raises(variables.Unreadable):
            read(version)


def test_each_change_is_logged_without_its_value(version, by, put, caplog):
    caplog.set_level(logging.INFO, logger="services")
    put("TOKEN", "canary", is_secret=True)
    variables.remove_variable(version=version, by=by, name="TOKEN")
    lines = caplog.messages
    assert [line.partition(" of version")[0] for line in lines] == [
        "The secret variable TOKEN",
        "The variable TOKEN",
    ]
    assert all(str(version.pk) in line and str(by.user.pk) in line for line in lines)
    assert "canary" not in caplog.text


def test_no_page_of_the_operator_lists_them():
    assert VersionVariable not in admin.site._registry
    inlines = {inline.model for model in admin.site._registry.values() for inline in model.inlines}
    assert VersionVariable not in inlines
