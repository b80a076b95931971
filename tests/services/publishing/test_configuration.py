"""What a version may use, how it is run and called: what is chosen, kept, defaulted and refused."""

import json

import pytest

from services import publishing
from services.models import ServiceVersion
from services.operating import operate
from services.runtimes import interpreters
from tests.refusals import refusal
from tests.services.publishing.conftest import upload


@pytest.mark.parametrize(
    ("argument", "too_little", "setting"),
    [
        ("cpu_millis", 99, "JOB_CPU_MILLIS_MAX"),
        ("memory_mib", 63, "JOB_MEMORY_MIB_MAX"),
        ("time_limit_seconds", 0, "JOB_TIME_LIMIT_SECONDS_MAX"),
    ],
)
def test_resources_are_held_against_the_ceilings_of_the_operator(create, settings, argument, too_little, setting):
    setattr(settings, setting, 5000)
    assert getattr(create(**{argument: 5000}).versions.get(), argument) == 5000
    for value in (5001, too_little, -1):
        assert "5,000" in refusal(create, **{argument: value})[argument]


def test_what_is_not_to_be_chosen_is_an_error_of_the_caller(create):
    with pytest.raises(TypeError, match="memory_gib"):
        create(memory_gib=1)


def test_a_default_above_the_ceiling_is_the_ceiling(create, settings):
    settings.JOB_MEMORY_MIB_DEFAULT, settings.JOB_MEMORY_MIB_MAX = 2048, 512
    assert create().versions.get().memory_mib == 512


def test_the_network_is_open_only_where_the_operator_allows_it(create, settings):
    settings.JOB_NETWORK_ALLOWED = False
    assert "operator" in refusal(create, network="open")["network"]
    settings.JOB_NETWORK_ALLOWED = True
    assert create(network="open").versions.get().network == "open"


def test_the_network_that_nobody_chose_is_the_default_within_what_is_allowed(create, by, settings):
    settings.JOB_NETWORK_DEFAULT = "open"
    assert create().versions.get().network == "none"
    settings.JOB_NETWORK_ALLOWED = True
    service = create()
    assert service.versions.get().network == "open"
    assert create(network="none").versions.get().network == "none"
    assert publishing.add_version(service=service, by=by, network="none").network == "none"
    assert publishing.add_version(service=service, by=by).network == "none"


def test_the_interpreter_is_one_of_this_host(create, by):
    known = interpreters()[0]
    service = create(interpreter=known)
    assert service.versions.get().interpreter == known
    for number in ("3.99", "3", "python", "../3.11", "3.11\n"):
        assert known in refusal(create, interpreter=number)["interpreter"]
    assert publishing.add_version(service=service, by=by).interpreter == known
    assert publishing.add_version(service=service, by=by, interpreter="").interpreter == ""
    ServiceVersion.objects.filter(service=service).update(interpreter="3.99")  # it was there once
    assert publishing.add_version(service=service, by=by, interpreter="3.99").interpreter == "3.99"


def test_how_a_version_is_run_is_kept_until_it_is_given(create, by):
    service = create(retryable=True, concurrency=2)
    first = service.versions.get()
    assert (first.retryable, first.concurrency, first.warm_start) == (True, 2, False)
    second = publishing.add_version(service=service, by=by, warm_start=True)
    assert (second.retryable, second.concurrency, second.warm_start) == (True, 2, True)
    third = publishing.add_version(service=service, by=by, concurrency=0, retryable=False)
    assert (third.retryable, third.concurrency, third.warm_start) == (False, None, True)
    assert "1,000" in refusal(create, concurrency=1001)["concurrency"]
    assert "1,000" in refusal(operate, version=third, by=by, concurrency=-1)["concurrency"]
    operate(version=third, by=by, concurrency=7)
    third.refresh_from_db()
    assert (third.retryable, third.concurrency, third.warm_start) == (False, 7, True)


def test_a_project_of_planqk_brings_its_resources_where_nobody_chose(create, settings):
    settings.JOB_CPU_MILLIS_MAX, settings.JOB_MEMORY_MIB_MAX = 2000, 8192
    wanted = json.dumps({"name": "x", "resources": {"cpu": 4, "memory": 2}, "runtime": "PYTHON_TEMPLATE"})
    version = create(upload=upload(**{"planqk.json": wanted})).versions.get()
    assert (version.cpu_millis, version.memory_mib) == (2000, 2048)
    (note,) = version.warnings
    assert "2 vCPU and 2 GiB of memory are taken from it (it asks for 4 vCPU" in note
    chosen = create(upload=upload(**{"planqk.json": wanted}), cpu_millis=500).versions.get()
    assert (chosen.cpu_millis, chosen.memory_mib) == (500, 2048)
    newer = create(upload=upload(**{"planqk.json": wanted, "qhub.json": "{}"})).versions.get()
    assert newer.memory_mib == settings.JOB_MEMORY_MIB_DEFAULT


def test_how_a_version_is_called_is_kept_until_it_is_given(create, by):
    service = create(validates_input=False, dialect="legacy")
    first = service.versions.get()
    assert (first.validates_input, first.dialect) == (False, "legacy")
    second = publishing.add_version(service=service, by=by)
    assert (second.validates_input, second.dialect) == (False, "legacy")
    third = publishing.add_version(service=service, by=by, validates_input=True, dialect="current")
    assert (third.validates_input, third.dialect) == (True, "current")
    assert refusal(publishing.add_version, service=service, by=by, dialect="2023").keys() == {"dialect"}
    plain = create(name="Plain").versions.get()
    assert (plain.validates_input, plain.dialect) == (True, "current")
