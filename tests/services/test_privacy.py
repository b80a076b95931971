"""What a consumer sends and receives is theirs: the provider reaches nothing of it, on any page."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse

from jobs import claiming
from jobs.models import Status
from portal.lib import logstream
from tests.factories import (
    ApplicationFactory,
    BuildFactory,
    JobFactory,
    JobFileFactory,
    ServiceVersionFactory,
    SubscriptionFactory,
)

pytestmark = pytest.mark.django_db

CANARY = "canary-4711"


@pytest.fixture
def version(provider_account):
    version = ServiceVersionFactory(service__account=provider_account, publication="marketplace", number="1.0.0")
    BuildFactory(version=version, status="SUCCEEDED")
    return version


@pytest.fixture
def job(version, consumer_account):
    """A failed execution of a consumer; all that is theirs in it has the canary."""
    application = ApplicationFactory(account=consumer_account)
    job = JobFactory(
        version=version,
        account=consumer_account,
        subscription=SubscriptionFactory(version=version, application=application),
        status="RUNNING",
        tags=[CANARY],
        input={"data": f'{{"text": "{CANARY}"}}', "params": f'{{"text": "{CANARY}"}}'},
    )
    for name in (f"{CANARY}.txt", "output.json"):
        file = JobFileFactory(job=job, name=name)
        default_storage.save(file.key, ContentFile(CANARY.encode()))
    writer = logstream.LogWriter(*job.log_name())
    writer.write("out", f"{CANARY}\n".encode())
    writer.close()
    error = {"type": "ValueError", "message": CANARY, "frames": []}
    assert claiming.settle(
        job, status=Status.FAILED, reason="error", detail=CANARY, error=error, wall_seconds=2.0, cpu_seconds=1.0
    )
    yield job
    logstream.delete(*job.log_name())


def addresses_of_jobs(job) -> list[str]:
    """Every address below /jobs/<id>/ that there is."""
    from jobs.urls import urlpatterns  # noqa: PLC0415 (read when it is needed, so that a new page is asked too)

    known = {"job_id": job.pk, "name": f"{CANARY}.txt", "number": 1}
    patterns = [pattern for pattern in urlpatterns if "<uuid:job_id>" in str(pattern.pattern)]
    return [
        reverse(f"jobs:{pattern.name}", kwargs={key: known[key] for key in pattern.pattern.converters})
        for pattern in patterns
    ]


def test_no_address_of_the_job_is_there_for_its_provider(client, provider, teammate, stranger, job):
    addresses = addresses_of_jobs(job)
    assert len(addresses) >= 5
    for user in (provider, teammate, stranger):
        client.force_login(user)
        for address in addresses:
            answers = [client.get(address), client.post(address)]
            assert {answer.status_code for answer in answers} <= {404, 405}, address
            assert 404 in {answer.status_code for answer in answers}, address


def test_the_consumer_finds_it(client, consumer, job):
    client.force_login(consumer)
    assert CANARY in client.get(job.get_absolute_url()).content.decode()


def test_the_pages_of_the_provider_show_counts_and_reasons_and_nothing_else(client, provider, job, version):
    client.force_login(provider)
    service = version.service
    tabs = ("detail", "versions", "builds", "api", "publication", "usage", "settings")
    addresses = [reverse(f"services:{tab}", args=[service.pk]) for tab in tabs]
    addresses += [reverse("services:list"), reverse("jobs:list"), reverse("dashboard")]
    addresses += [f"{reverse('palette')}?q={term}" for term in (CANARY[:6], str(job.pk), job.short_id)]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200, address
        shown = answer.content.decode()
        asked = address.partition("?q=")[2]  # the palette repeats what was typed
        assert CANARY not in shown, address
        assert job.get_absolute_url() not in shown, address
        assert asked == str(job.pk) or str(job.pk) not in shown, address
        assert "ValueError" not in shown, address
        assert "consumer@example.com" not in shown, address
    usage = client.get(reverse("services:usage", args=[service.pk])).content.decode()
    assert "<code>error</code>" in usage
    assert "Failed 1" in usage


def test_the_event_of_it_holds_no_word_of_the_consumer(job, version):
    values = version.service.usage.values().get()
    assert CANARY not in repr(values)
    assert values["reason"] == "error"
