"""The versions of a service and their numbers."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from services import publishing
from tests.factories import ServiceFactory, ServiceVersionFactory
from tests.refusals import refusal
from tests.services.publishing.conftest import OPENAPI


def test_a_version_keeps_what_is_not_given(create, by):
    service = create(openapi_file=ContentFile(OPENAPI, "mine.json"), memory_mib=700)
    first = service.versions.get()
    second = publishing.add_version(service=service, by=by, time_limit_seconds=60)
    for name in ("source_sha256", "source_size", "source_name", "openapi", "openapi_origin", "memory_mib", "warnings"):
        assert getattr(second, name) == getattr(first, name)
    assert (second.number, second.time_limit_seconds, second.builds.count()) == ("1.1.0", 60, 1)
    assert service.versions.latest("id") == second


@pytest.mark.parametrize("number", ["1.0.1", "1.1.0", "2.0.0", "10.0.0"])
def test_a_higher_number_may_be_chosen(create, by, number):
    service = create()
    assert publishing.add_version(service=service, by=by, number=number).number == number
    assert publishing.next_number(service) == f"{number.partition('.')[0]}.{int(number.split('.')[1]) + 1}.0"


@pytest.mark.parametrize("number", ["1", "1.2", "v1.2.0", "1.2.0-beta", "01.2.0", "1.2.0\n", "١.٢.٣", "1.0.0", "0.9.9"])
def test_any_other_number_is_refused(create, by, number):
    service = create()
    assert "1.1.0" in refusal(publishing.add_version, service=service, by=by, number=number)["number"]
    assert service.versions.count() == 1


def test_numbers_are_compared_as_numbers(create, by):
    service = create()
    publishing.add_version(service=service, by=by, number="1.9.0")
    assert publishing.add_version(service=service, by=by).number == "1.10.0"
    assert publishing.add_version(service=service, by=by).number == "1.11.0"


def test_the_next_number_of_a_service_without_versions_is_the_first(db):
    assert publishing.next_number(ServiceFactory()) == "1.0.0"


def test_a_version_of_a_deleted_service_is_refused(create, by):
    service = create()
    publishing.delete_service(service=service, by=by)
    assert "deleted in the meantime" in refusal(publishing.add_version, service=service, by=by)[""]


@pytest.mark.django_db(transaction=True)
def test_versions_added_at_once_get_numbers_of_their_own(create, by):
    service = create()

    def add(_: int) -> str:
        try:
            return publishing.add_version(service=service, by=by).number
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(4))) == ["1.1.0", "1.2.0", "1.3.0", "1.4.0"]


def test_the_source_may_be_gone_where_it_is_only_kept(by):
    """A new version of the same code does not read it again."""
    version = ServiceVersionFactory(service__created_by=by.user)
    assert publishing.add_version(service=version.service, by=by, number="2.0.0").source_sha256 == version.source_sha256
