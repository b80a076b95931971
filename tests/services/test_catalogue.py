"""What is on offer to whom, and what they may run."""

import pytest
from django.utils import timezone

from services import catalogue
from services.models import ServiceShare
from tests.factories import ServiceFactory, ServiceVersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def service(provider_account, consumer_account):
    """Shared with the consumer, not with the stranger."""
    service = ServiceFactory(account=provider_account)
    ServiceShare.objects.create(service=service, account=consumer_account)
    return service


# publication, built: who may run it, who may subscribe to it
CASES = [
    ("", False, "", ""),
    ("", True, "provider", ""),
    ("internal", True, "provider consumer", "provider consumer"),
    ("marketplace", True, "provider consumer stranger", "provider consumer stranger nobody"),
    ("retired", True, "", ""),
]


@pytest.mark.parametrize(("publication", "built", "runners", "subscribers"), CASES)
def test_who_may_run_and_subscribe(
    service, provider_account, consumer_account, stranger_account, publication, built, runners, subscribers
):
    version = ServiceVersionFactory(service=service, publication=publication, built=built)
    cast = {"provider": provider_account, "consumer": consumer_account, "stranger": stranger_account}
    for name, account in cast.items():
        runs = name in runners
        assert catalogue.may_run(version, account) is runs
        assert catalogue.runnable_version(service, account) == (version if runs else None)
        assert list(catalogue.runnable_by(account)) == ([service] if runs else [])
    for name, account in {**cast, "nobody": None}.items():
        offered = name in subscribers
        assert catalogue.offered_version(service, account) == (version if offered else None)
        assert list(catalogue.offered_to(account)) == ([service] if offered else [])


def test_the_owner_runs_the_newest_that_is_built_and_others_the_newest_on_offer(
    service, provider_account, consumer_account, stranger_account
):
    states = {"marketplace": True, "internal": True, "built": True, "draft": False, "retired": True}
    versions = {
        state: ServiceVersionFactory(
            service=service, publication="" if state in ("built", "draft") else state, built=is_built
        )
        for state, is_built in states.items()
    }
    assert catalogue.runnable_version(service, provider_account) == versions["built"]
    assert catalogue.runnable_version(service, consumer_account) == versions["internal"]
    assert catalogue.runnable_version(service, stranger_account) == versions["marketplace"]
    assert list(catalogue.runnable_versions(service, consumer_account)) == [
        versions["internal"],
        versions["marketplace"],
    ]
    assert not catalogue.may_run(versions["retired"], provider_account)


def test_a_deleted_service_is_offered_to_nobody(service, provider_account, consumer_account):
    version = ServiceVersionFactory(service=service, publication="marketplace")
    service.deleted_at = timezone.now()
    service.save()
    for account in (provider_account, consumer_account):
        assert not catalogue.may_run(version, account)
        assert catalogue.runnable_version(service, account) is None
        assert catalogue.offered_version(service, account) is None
        assert not catalogue.runnable_by(account).exists()
    assert not catalogue.offered_to(None).exists()


def test_what_was_shared_and_is_no_longer_runs_no_longer(service, consumer_account):
    version = ServiceVersionFactory(service=service, publication="internal")
    service.shares.all().delete()
    assert not catalogue.may_run(version, consumer_account)
