"""The right to call: given once, ended, given again, moved to another version."""

import threading

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from portal.accounts.actors import Actor
from services import subscriptions
from services.models import ServiceShare, Subscription
from tests.factories import ApplicationFactory, ServiceFactory, ServiceVersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def service(provider_account):
    return ServiceFactory(account=provider_account, slug="sum")


@pytest.fixture
def version(service):
    return ServiceVersionFactory(service=service, number="1.0.0", publication="marketplace")


@pytest.fixture
def application(consumer_account):
    return ApplicationFactory(account=consumer_account)


@pytest.fixture
def by(consumer):
    return Actor(user=consumer)


@pytest.fixture
def subscription(application, version, by):
    return subscriptions.subscribe(application=application, service=version.service, by=by)


def test_it_names_the_newest_version_on_offer(application, version, service, by):
    ServiceVersionFactory(service=service, number="1.1.0", publication="internal")
    ServiceVersionFactory(service=service, number="1.2.0")
    subscription = subscriptions.subscribe(application=application, service=service, by=by)
    assert (subscription.version, subscription.plan.kind) == (version, "free")
    assert (subscription.created_by, subscription.plan.products.count()) == (by.user, 2)


def test_the_endpoint_names_account_service_and_version(version, settings):
    assert subscriptions.endpoint(version) == f"{settings.PUBLIC_URL}/gateway/provider/sum/1.0.0"


def test_twice_changes_nothing(subscription, application, service, by):
    ServiceVersionFactory(service=service, number="2.0.0", publication="marketplace")
    again = subscriptions.subscribe(application=application, service=service, by=by)
    assert (again, again.version) == (subscription, subscription.version)


def test_who_subscribes_again_gets_the_row_of_before(subscription, application, service, by):
    newer = ServiceVersionFactory(service=service, number="2.0.0", publication="marketplace")
    subscriptions.unsubscribe(subscription=subscription, by=by)
    subscriptions.unsubscribe(subscription=subscription, by=by)
    assert not subscriptions.active_of_application(application).exists()
    again = subscriptions.subscribe(application=application, service=service, by=by)
    assert (again, again.version, again.ended_at) == (subscription, newer, None)
    assert again.created_at > subscription.created_at
    assert list(subscriptions.active_of_service(service)) == [again]


def test_what_is_not_offered_is_refused(application, service, by):
    ServiceVersionFactory(service=service, publication="internal")
    retired = ServiceVersionFactory(service=service, publication="retired")
    for version in (None, retired):
        with pytest.raises(ValidationError, match="is not offered to Consumer now"):
            subscriptions.subscribe(application=application, service=service, by=by, version=version)
    assert not Subscription.objects.exists()


def test_a_version_of_another_service_is_refused(application, version, by, service):
    other = ServiceVersionFactory(publication="marketplace")
    with pytest.raises(ValidationError, match="is not offered"):
        subscriptions.subscribe(application=application, service=service, by=by, version=other)


@pytest.mark.parametrize("gone", ["application", "service"])
def test_what_is_deleted_subscribes_to_nothing(application, version, service, by, gone):
    row = {"application": application, "service": service}[gone]
    type(row).objects.filter(pk=row.pk).update(deleted_at=timezone.now())
    with pytest.raises(ValidationError, match="deleted in the meantime"):
        subscriptions.subscribe(application=application, service=service, by=by)


def test_a_subscription_of_a_deleted_application_is_not_active(subscription, application, service):
    application.deleted_at = timezone.now()
    application.save()
    assert not subscriptions.active_of_service(service).exists()


def test_upgrading_moves_the_endpoint(subscription, service, by):
    newer = ServiceVersionFactory(service=service, number="2.0.0", publication="marketplace")
    assert subscriptions.upgrade(subscription=subscription, by=by, version=newer).version == newer
    subscription.refresh_from_db()
    assert subscription.version == newer


def test_upgrading_is_refused_to_what_is_not_offered_or_ended(subscription, service, by, consumer_account):
    inside = ServiceVersionFactory(service=service, number="2.0.0", publication="internal")
    with pytest.raises(ValidationError, match="is not offered"):
        subscriptions.upgrade(subscription=subscription, by=by, version=inside)
    ServiceShare.objects.create(service=service, account=consumer_account)
    subscriptions.unsubscribe(subscription=subscription, by=by)
    with pytest.raises(ValidationError, match="has ended"):
        subscriptions.upgrade(subscription=subscription, by=by, version=inside)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_one(application, version, by):
    start = threading.Barrier(2)
    found = []

    def subscribe() -> None:
        start.wait()
        found.append(subscriptions.subscribe(application=application, service=version.service, by=by).pk)
        connection.close()

    threads = [threading.Thread(target=subscribe) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Subscription.objects.get().pk] * 2
