"""A service with its first version, what people read about it, and its end."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection

from portal.accounts.actors import Actor
from services import publishing, rules
from services.models import Build, BuildStatus, Service, ServiceVersion
from tests.factories import JobFactory
from tests.programs import zipped
from tests.refusals import refusal
from tests.services.publishing.conftest import PROJECT


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


def test_names_and_choices_are_checked(create):
    assert "needs a name" in refusal(create, name="  ")["name"]
    assert "control characters" in refusal(create, name="a\0b")["name"]
    assert "control characters" in refusal(create, description="a\0b")["description"]
    assert "100 characters" in refusal(create, name="x" * 101)["name"]
    assert "200 characters" in refusal(create, summary="x" * 201)["summary"]
    assert "no runtime" in refusal(create, runtime="cobol")["runtime"]
    assert "network" in refusal(create, network="half")
    assert not Service.objects.exists()


def test_a_build_is_asked_for_in_the_same_transaction(create, by):
    before = (Service.objects.count(), ServiceVersion.objects.count(), Build.objects.count())
    refusal(create, name="x" * 101)
    assert (Service.objects.count(), ServiceVersion.objects.count(), Build.objects.count()) == before


@pytest.mark.django_db(transaction=True)
def test_services_created_at_once_get_slugs_of_their_own(create):
    def add(_: int) -> str:
        try:
            return create().slug
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(4))) == ["sum", "sum-2", "sum-3", "sum-4"]


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
