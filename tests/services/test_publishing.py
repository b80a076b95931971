"""Making and changing offers."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection

from portal.accounts.actors import Actor
from services import contracts, publishing, rules
from services.models import Build, BuildStatus, Service, ServiceVersion
from services.operating import operate
from services.runtimes import interpreters
from tests.factories import JobFactory, ServiceFactory, ServiceVersionFactory
from tests.programs import zipped

PROJECT = {"src/program.py": "def run(data, params): return data", "requirements.txt": ""}
OPENAPI = json.dumps({"openapi": "3.1.0", "info": {"title": "Mine", "version": "1"}, "paths": {"/": {"post": {}}}})


def upload(name: str = "project.zip", **files: str) -> ContentFile:
    return ContentFile(zipped(PROJECT | files), name)


@pytest.fixture
def by(provider) -> Actor:
    return Actor(user=provider)


@pytest.fixture
def create(provider_account, by):
    """create_service with what it needs and whatever else is given."""

    def create(**given: object) -> Service:
        return publishing.create_service(
            **{"account": provider_account, "by": by, "name": "Sum", "upload": upload()} | given
        )

    return create


def refusal(call, *args, **kwargs) -> dict[str, str]:
    """The messages of a refusal by argument; an empty key for one that belongs to none."""
    with pytest.raises(ValidationError) as refused:
        call(*args, **kwargs)
    error = refused.value
    if not hasattr(error, "error_dict"):
        return {"": "\n".join(error.messages)}
    return {key: "\n".join(messages) for key, messages in error.message_dict.items()}


# Creating


def test_a_service_comes_with_its_first_version_and_a_build(create, provider, provider_account, settings):
    service = create(summary="Adds  up", description=" # Sum ")
    version = service.versions.get()
    build = version.builds.get()
    assert (service.account, service.slug, service.name) == (provider_account, "sum", "Sum")
    assert (service.summary, service.description, service.created_by) == ("Adds up", "# Sum", provider)
    assert (version.number, version.runtime, version.network) == ("1.0.0", "python", "none")
    assert version.cpu_millis == settings.JOB_CPU_MILLIS_DEFAULT
    assert version.memory_mib == settings.JOB_MEMORY_MIB_DEFAULT
    assert version.time_limit_seconds == settings.JOB_TIME_LIMIT_SECONDS_DEFAULT
    assert (version.source_name, version.is_runnable) == ("project.zip", False)
    assert (build.status, build.requested_by) == (BuildStatus.QUEUED, provider)
    with default_storage.open(f"sources/{version.source_sha256}.zip") as kept:
        assert len(kept.read()) == version.source_size


def test_the_api_description_is_that_of_the_upload_else_of_the_zip_else_the_default(create):
    brought = create(openapi_file=ContentFile(OPENAPI, "mine.json"), upload=upload(**{"openapi.json": "broken"}))
    found = create(upload=upload(**{"openapi.json": OPENAPI.replace("Mine", "Found")}))
    neither = create(name="Neither", summary="Nothing")
    versions = [service.versions.get() for service in (brought, found, neither)]
    assert [version.openapi_origin for version in versions] == ["uploaded", "archive", "default"]
    titles = [contracts.load(version.openapi).title for version in versions]
    assert titles == ["Mine", "Found", "Neither"]


def test_warnings_of_the_check_are_kept(create):
    service = create(upload=ContentFile(zipped({"src/program.py": PROJECT["src/program.py"]}), "a.zip"))
    assert [warning.partition(":")[0] for warning in service.versions.get().warnings] == ["requirements.txt"]


def test_slugs_are_unique_in_an_account_and_free_elsewhere(create, consumer, consumer_account):
    assert [create().slug for _ in range(3)] == ["sum", "sum-2", "sum-3"]
    assert create(name="Größe – π!").slug == "groe"
    assert create(name="量子").slug == "service"
    assert create(name="x" * 100).slug == "x" * 56
    assert create(account=consumer_account, by=Actor(user=consumer)).slug == "sum"


def test_a_slug_that_is_asked_for_must_be_free(create):
    assert create(slug="mine").slug == "mine"
    assert "mine already" in refusal(create, slug="mine")["slug"]
    assert Service.objects.count() == 1


def test_a_bad_zip_is_refused_at_the_upload(create):
    messages = refusal(create, upload=ContentFile(b"hello", "a.zip"))
    assert messages.keys() == {"upload"}
    assert "not a zip" in messages["upload"]
    assert not Service.objects.exists()


def test_a_bad_description_is_refused_where_it_comes_from(create):
    bad = OPENAPI.replace("3.1.0", "2.0")
    assert "mine.json" in refusal(create, openapi_file=ContentFile(bad, "mine.json"))["openapi_file"]
    assert "openapi.json" in refusal(create, upload=upload(**{"openapi.json": bad}))["upload"]


def test_a_description_over_the_limit_is_refused(create, settings):
    settings.OPENAPI_MAX_BYTES = 1024
    assert (
        "larger than 1 KB" in refusal(create, openapi_file=ContentFile(OPENAPI + " " * 1024, "a.json"))["openapi_file"]
    )


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
    assert "2 vCPU and 2,048 MiB of memory are taken from it (it asks for 4 vCPU" in note
    chosen = create(upload=upload(**{"planqk.json": wanted}), cpu_millis=500).versions.get()
    assert (chosen.cpu_millis, chosen.memory_mib) == (500, 2048)
    newer = create(upload=upload(**{"planqk.json": wanted, "qhub.json": "{}"})).versions.get()
    assert newer.memory_mib == settings.JOB_MEMORY_MIB_DEFAULT


def test_names_and_choices_are_checked(create):
    assert "needs a name" in refusal(create, name="  ")["name"]
    assert "control characters" in refusal(create, name="a\0b")["name"]
    assert "control characters" in refusal(create, description="a\0b")["description"]
    assert "100 characters" in refusal(create, name="x" * 101)["name"]
    assert "200 characters" in refusal(create, summary="x" * 201)["summary"]
    assert "no runtime" in refusal(create, runtime="cobol")["runtime"]
    assert "network" in refusal(create, network="half")
    assert not Service.objects.exists()


# Versions


def test_a_version_keeps_what_is_not_given(create, by):
    service = create(openapi_file=ContentFile(OPENAPI, "mine.json"), memory_mib=700)
    first = service.versions.get()
    second = publishing.add_version(service=service, by=by, time_limit_seconds=60)
    for name in ("source_sha256", "source_size", "source_name", "openapi", "openapi_origin", "memory_mib", "warnings"):
        assert getattr(second, name) == getattr(first, name)
    assert (second.number, second.time_limit_seconds, second.builds.count()) == ("1.1.0", 60, 1)
    assert service.latest_version() == second


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


def test_a_new_zip_brings_its_own_description_but_an_uploaded_one_stays(create, by):
    service = create()
    newer = publishing.add_version(service=service, by=by, upload=upload(**{"openapi.json": OPENAPI}))
    assert (newer.openapi_origin, contracts.load(newer.openapi).title) == ("archive", "Mine")
    plain = publishing.add_version(service=service, by=by, upload=upload(**{"more.txt": ""}))
    assert plain.openapi_origin == "default"
    mine = publishing.add_version(service=service, by=by, openapi_file=ContentFile(OPENAPI, "mine.json"))
    assert (mine.openapi_origin, mine.source_sha256) == ("uploaded", plain.source_sha256)
    kept = publishing.add_version(service=service, by=by, upload=upload(**{"even/more.txt": ""}))
    assert (kept.openapi_origin, contracts.load(kept.openapi).title) == ("uploaded", "Mine")


def test_warnings_follow_the_description(create, by):
    status = {"type": "object", "properties": {"status": {"type": "string"}}}
    health = {"200": {"description": "It is up", "content": {"application/json": {"schema": status}}}}
    old = json.dumps(json.loads(OPENAPI) | {"paths": {"/": {"get": {"responses": health}}}})
    service = create(openapi_file=ContentFile(old, "mine.json"))
    (warning,) = service.versions.get().warnings
    assert "GET / tells whether the service is up" in warning
    assert publishing.add_version(service=service, by=by).warnings == [warning]
    fixed = publishing.add_version(service=service, by=by, openapi_file=ContentFile(OPENAPI, "mine.json"))
    assert fixed.warnings == []


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


@pytest.mark.django_db(transaction=True)
def test_services_created_at_once_get_slugs_of_their_own(create):
    def add(_: int) -> str:
        try:
            return create().slug
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(4))) == ["sum", "sum-2", "sum-3", "sum-4"]


# Changing and deleting


def test_words_change_and_the_address_stays(create, by):
    service = create()
    changed = publishing.update_service(service=service, by=by, name="Total", description="New")
    assert (changed.name, changed.summary, changed.description, changed.slug) == ("Total", "", "New", "sum")
    service.refresh_from_db()
    assert service.name == "Total"
    assert "needs a name" in refusal(publishing.update_service, service=service, by=by, name="")["name"]


def test_a_deleted_service_is_hidden_and_its_slug_free(create, by, provider, provider_account):
    service = create()
    deleted = publishing.delete_service(service=service, by=by)
    assert deleted.deleted_at is not None
    assert not Service.objects.visible_to(provider_account).exists()
    assert not rules.can_view(provider, deleted)
    assert create().slug == "sum"
    assert "deleted in the meantime" in refusal(publishing.delete_service, service=service, by=by)[""]


@pytest.mark.parametrize("status", ["QUEUED", "STARTING", "RUNNING"])
def test_a_service_with_live_jobs_is_not_deleted(create, by, status):
    service = create()
    job = JobFactory(version=service.versions.get(), account=service.account, status=status)
    assert refusal(publishing.delete_service, service=service, by=by)[""]
    service.refresh_from_db()
    assert service.deleted_at is None
    type(job).objects.filter(pk=job.pk).update(status="SUCCEEDED")
    publishing.delete_service(service=service, by=by)
    assert type(job).objects.filter(pk=job.pk, version__service=service).exists()


def test_the_next_number_of_a_service_without_versions_is_the_first(db):
    assert publishing.next_number(ServiceFactory()) == "1.0.0"


def test_a_build_is_asked_for_in_the_same_transaction(create, by):
    before = (Service.objects.count(), ServiceVersion.objects.count(), Build.objects.count())
    refusal(create, name="x" * 101)
    assert (Service.objects.count(), ServiceVersion.objects.count(), Build.objects.count()) == before


def test_the_source_may_be_gone_where_it_is_only_kept(by):
    """A new version of the same code does not read it again."""
    version = ServiceVersionFactory(service__created_by=by.user)
    assert publishing.add_version(service=version.service, by=by, number="2.0.0").source_sha256 == version.source_sha256


# Tags


def tags_of(service: Service) -> list[str]:
    return list(service.tags.order_by("pk").values_list("name", flat=True))


def test_tags_are_kept_as_slugs_each_once(create, by):
    service = create(tags=["Quantum Computing", " max-cut", "MAX-CUT", "", " ", "Ising é"])
    assert tags_of(service) == ["quantum-computing", "max-cut", "ising-e"]
    publishing.update_service(service=service, by=by, tags=["max-cut", "new"])
    assert tags_of(service) == ["max-cut", "new"]
    publishing.update_service(service=service, by=by, name="Other")
    assert tags_of(service) == ["max-cut", "new"]
    publishing.update_service(service=service, by=by, tags=[])
    assert tags_of(service) == []


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([f"tag {number}" for number in range(11)], "at most 10"),
        (["a" * 41], "longer than 40"),
        (["a" * 40 + "-b"], "longer than 40"),
        (["ok", "量子"], "no letter from a to z"),
        (["<script>", "\0"], "no letter from a to z"),
    ],
)
def test_tags_that_are_none_are_refused(create, tags, words):
    assert words in refusal(create, tags=tags)["tags"]
    assert not Service.objects.exists()
