"""built → internal | marketplace → retired, shares, and what asks first because it takes something away."""

import threading

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from portal.accounts.actors import Actor
from services import catalogue, publication, publishing, subscriptions
from services.models import PricingPlan, Product, ServiceShare, ServiceVersion
from services.subscriptions import TakesAway
from tests.factories import ApplicationFactory, ServiceFactory, ServiceVersionFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def by(provider):
    return Actor(user=provider)


@pytest.fixture
def service(provider_account):
    return ServiceFactory(account=provider_account, name="Sum")


@pytest.fixture
def version(service):
    return ServiceVersionFactory(service=service, number="1.0.0")


@pytest.fixture
def application(consumer_account):
    return ApplicationFactory(account=consumer_account, name="Batch runs")


def offered(service, account):
    return catalogue.offered_version(service, account)


def test_a_version_goes_through_its_states(version, by):
    assert version.state == "built"
    for scope in ("internal", "marketplace", "internal"):
        assert publication.publish(version=version, scope=scope, by=by).state == scope
    assert publication.retire(version=version, by=by).state == "retired"
    assert publication.publish(version=version, scope="marketplace", by=by).state == "marketplace"


def test_the_first_publication_is_remembered_and_makes_the_free_plan(version, by):
    first = publication.publish(version=version, scope="internal", by=by).published_at
    again = publication.publish(version=version, scope="marketplace", by=by)
    assert again.published_at == first is not None
    plan = PricingPlan.objects.get(service=version.service)
    assert (plan.name, plan.kind) == ("Free", "free")
    assert set(plan.products.values_list("unit", "price")) == {("execution", 0), ("second", 0)}


def test_publishing_and_retiring_twice_is_no_error(version, by):
    for _ in range(2):
        publication.publish(version=version, scope="internal", by=by)
    for _ in range(2):
        publication.retire(version=version, by=by)
    assert Product.objects.count() == 2


def test_a_draft_cannot_be_published(service, by):
    draft = ServiceVersionFactory(service=service, built=False)
    with pytest.raises(ValidationError, match="has no finished build"):
        publication.publish(version=draft, scope="internal", by=by)
    assert not PricingPlan.objects.exists()


@pytest.mark.parametrize("scope", ["", "retired", "everywhere"])
def test_other_scopes_are_refused(version, by, scope):
    with pytest.raises(ValidationError, match="Choose one of internal, marketplace"):
        publication.publish(version=version, scope=scope, by=by)


def test_what_was_never_published_cannot_be_retired(version, by):
    with pytest.raises(ValidationError, match="is not published"):
        publication.retire(version=version, by=by)


def test_a_version_of_a_deleted_service_stays_as_it_is(version, by):
    version.service.deleted_at = timezone.now()
    version.service.save()
    for act in (
        lambda: publication.publish(version=version, scope="internal", by=by),
        lambda: publication.retire(version=version, by=by),
    ):
        with pytest.raises(ValidationError, match="was deleted in the meantime"):
            act()


def test_internal_is_for_the_owner_and_those_it_is_shared_with(
    version, service, by, provider_account, consumer_account, stranger_account
):
    publication.publish(version=version, scope="internal", by=by)
    publication.share(service=service, account=consumer_account, by=by)
    assert offered(service, provider_account) == offered(service, consumer_account) == version
    assert offered(service, stranger_account) is None
    publication.publish(version=version, scope="marketplace", by=by)
    assert offered(service, stranger_account) == version
    publication.retire(version=version, by=by)
    assert offered(service, provider_account) is None


def test_retiring_asks_first_and_says_who_is_affected(version, service, by, application, consumer):
    publication.publish(version=version, scope="marketplace", by=by)
    subscription = subscriptions.subscribe(application=application, service=service, by=Actor(user=consumer))
    with pytest.raises(TakesAway) as asked:
        publication.retire(version=version, by=by)
    assert asked.value.subscriptions == [subscription]
    assert "1 active subscription would be affected: Batch runs of Consumer." in asked.value.messages[0]
    version.refresh_from_db()
    assert version.state == "marketplace"
    assert publication.retire(version=version, by=by, confirmed=True).state == "retired"
    subscription.refresh_from_db()
    assert subscription.ended_at is None  # what it made stays readable


def test_of_many_subscribers_a_message_names_a_few_and_counts_the_rest(version, by):
    version.publication = "marketplace"
    version.save()
    SubscriptionFactory.create_batch(7, version=version)
    with pytest.raises(TakesAway, match=r"7 active subscriptions would be affected: .* and 2 more\."):
        publication.retire(version=version, by=by)


def test_subscriptions_to_other_versions_and_ended_ones_are_not_asked_about(version, service, by):
    newer = ServiceVersionFactory(service=service, number="1.1.0", publication="marketplace")
    SubscriptionFactory(version=newer)
    SubscriptionFactory(version=version, ended_at=timezone.now())
    deleted = SubscriptionFactory(version=version)
    deleted.application.deleted_at = timezone.now()
    deleted.application.save()
    version.publication = "marketplace"
    version.save()
    assert publication.retire(version=version, by=by).state == "retired"


def test_leaving_the_marketplace_asks_for_those_it_is_not_shared_with(
    version, service, by, application, provider_account, consumer_account
):
    version.publication = "marketplace"
    version.save()
    SubscriptionFactory(version=version, application=ApplicationFactory(account=provider_account))
    SubscriptionFactory(version=version, application=application)
    with pytest.raises(TakesAway, match="would leave the marketplace") as asked:
        publication.publish(version=version, scope="internal", by=by)
    assert [each.application for each in asked.value.subscriptions] == [application]
    publication.share(service=service, account=consumer_account, by=by)
    assert publication.publish(version=version, scope="internal", by=by).state == "internal"


def test_unsharing_asks_first_and_ends_what_only_the_share_allowed(version, service, by, application, consumer_account):
    publication.publish(version=version, scope="internal", by=by)
    share = publication.share(service=service, account=consumer_account, by=by)
    subscription = SubscriptionFactory(version=version, application=application)
    with pytest.raises(TakesAway, match="would end"):
        publication.unshare(share=share, by=by)
    assert ServiceShare.objects.exists()
    publication.unshare(share=share, by=by, confirmed=True)
    subscription.refresh_from_db()
    assert subscription.ended_at is not None
    assert not ServiceShare.objects.exists()


def test_unsharing_leaves_what_the_marketplace_allows(version, service, by, application, consumer_account):
    version.publication = "marketplace"
    version.save()
    share = publication.share(service=service, account=consumer_account, by=by)
    subscription = SubscriptionFactory(version=version, application=application)
    publication.unshare(share=share, by=by)
    subscription.refresh_from_db()
    assert subscription.ended_at is None


def test_sharing_twice_is_one_share_and_with_the_owner_is_refused(service, by, consumer_account, provider_account):
    assert publication.share(service=service, account=consumer_account, by=by) == publication.share(
        service=service, account=consumer_account, by=by
    )
    with pytest.raises(ValidationError, match="needs no share"):
        publication.share(service=service, account=provider_account, by=by)


def test_deleting_the_service_asks_first_and_ends_its_subscriptions(version, service, by, application):
    version.publication = "marketplace"
    version.save()
    subscription = SubscriptionFactory(version=version, application=application)
    with pytest.raises(TakesAway, match="Batch runs of Consumer"):
        publishing.delete_service(service=service, by=by)
    publishing.delete_service(service=service, by=by, confirmed=True)
    subscription.refresh_from_db()
    service.refresh_from_db()
    assert None not in (subscription.ended_at, service.deleted_at)


@pytest.mark.django_db(transaction=True)
def test_who_publishes_while_another_retires_comes_first_or_second(version, service, by, application, consumer):
    """No interleaving leaves a subscription to a version that was retired without a question."""
    publication.publish(version=version, scope="marketplace", by=by)
    asked, refused = [], []
    start = threading.Barrier(2)

    def retire() -> None:
        start.wait()
        try:
            publication.retire(version=ServiceVersion.objects.get(pk=version.pk), by=by)
        except TakesAway as error:
            asked.append(error)
        finally:
            connection.close()

    def subscribe() -> None:
        start.wait()
        try:
            subscriptions.subscribe(application=application, service=service, by=Actor(user=consumer))
        except ValidationError as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=act) for act in (retire, subscribe)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    version.refresh_from_db()
    assert len(asked) + len(refused) == 1
    assert (version.state == "retired") == bool(refused)


@pytest.mark.django_db(transaction=True)
def test_two_first_publications_at_once_make_one_plan(service, by):
    versions = ServiceVersionFactory.create_batch(2, service=service)
    start = threading.Barrier(2)

    def publish(version) -> None:
        start.wait()
        publication.publish(version=version, scope="marketplace", by=by)
        connection.close()

    threads = [threading.Thread(target=publish, args=[version]) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (PricingPlan.objects.count(), Product.objects.count()) == (1, 2)
    assert set(service.versions.values_list("publication", flat=True)) == {"marketplace"}
