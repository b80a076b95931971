"""What an application may call: on its page, subscribed to, upgraded, unsubscribed from."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from services.models import Subscription
from services.subscriptions import endpoint
from tests.factories import ApplicationFactory, ServiceFactory, ServiceVersionFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def description(**properties: object) -> str:
    schema = {"type": "object", "properties": {"data": {"type": "object", "properties": properties}}}
    body = {"application/json": {"schema": schema}}
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "Sum", "version": "1.0.0"},
            "paths": {"/": {"post": {"requestBody": {"content": body}}}},
        }
    )


@pytest.fixture
def application(consumer_account):
    return ApplicationFactory(account=consumer_account, name="Report")


@pytest.fixture
def service(provider_account):
    return ServiceFactory(account=provider_account, name="Sum & more", summary="Sums values")


@pytest.fixture
def version(service):
    openapi = description(values={"type": "array", "items": {"type": "number"}, "example": [100, 50]})
    return ServiceVersionFactory(service=service, number="1.0.0", publication="marketplace", openapi=openapi)


@pytest.fixture
def subscription(application, version):
    return SubscriptionFactory(application=application, version=version)


@pytest.fixture
def newer(subscription, service):
    openapi = description(numbers={"type": "array"})
    return ServiceVersionFactory(service=service, number="1.1.0", publication="marketplace", openapi=openapi)


@pytest.fixture
def page(client, consumer, application):
    """The page of the application, as its owner reads it."""
    client.force_login(consumer)
    return lambda **query: client.get(application.get_absolute_url(), query).content.decode()


def test_a_new_application_is_told_what_to_do_first(page, application):
    html = page()
    assert "Not subscribed to a service" in html
    assert reverse("applications:subscribe", args=[application.pk]) in html


def test_a_subscription_shows_endpoint_and_snippets_with_the_example_of_the_description(page, subscription, version):
    html = page()
    assert escape(endpoint(version)) in html
    assert reverse("marketplace:detail", args=[version.service.account.slug, version.service.slug]) in html
    assert "$SECRET_ACCESS_KEY" in html
    assert "100" in html
    assert "HubServiceClient" in page(call=str(subscription.pk), **{"in": "qhub"})
    assert "PlanqkServiceClient" in page(call=str(subscription.pk), **{"in": "planqk"})
    assert "What changes?" not in html


def test_a_tab_is_swapped_in_place(client, page, application, subscription):
    other = SubscriptionFactory(application=application)
    page()
    query = {"call": str(subscription.pk), "in": "qhub"}
    html = client.get(application.get_absolute_url(), query, headers=HTMX).content.decode()
    assert "<html" not in html
    assert f'id="call-{subscription.pk}"' in html
    assert "HubServiceClient" in html
    assert str(other.pk) not in html


@pytest.mark.parametrize("query", [{"call": "nothing"}, {"in": "cobol"}, {"before": "x"}, {"call": "0" * 32}])
def test_an_address_that_names_nothing_shows_the_first(page, subscription, query):
    assert "$SECRET_ACCESS_KEY" in page(**query)


def test_the_page_costs_the_same_whatever_is_in_it(client, page, application, django_assert_max_num_queries):
    SubscriptionFactory.create_batch(5, application=application)
    page()
    with django_assert_max_num_queries(8):
        client.get(application.get_absolute_url())


@pytest.mark.parametrize("change", ["retired", "private", "deleted"])
def test_what_takes_no_calls_any_more_says_so(page, service, version, subscription, change):
    if change == "retired":
        version.publication = "retired"
    elif change == "private":
        version.publication = "internal"
    else:
        service.deleted_at = timezone.now()
        service.save()
    version.save()
    html = page()
    assert ("takes no new executions" in html) != (change == "deleted")
    assert ("Its provider retired it" in html) == (change == "retired")
    assert "is on offer.</span>" not in html


def test_a_retired_version_points_at_the_one_on_offer(page, version, newer):
    version.publication = "retired"
    version.save()
    html = page()
    assert "Go on with 1.1.0, which is on offer" in html
    assert "Upgrade to 1.1.0" in html


def test_an_upgrade_is_one_click(client, page, subscription, newer):
    url = reverse("applications:upgrade", args=[subscription.pk])
    html = page()
    assert "Upgrade to 1.1.0" in html
    assert url in html
    answer = client.post(url, {"version": str(newer.pk)}, follow=True)
    subscription.refresh_from_db()
    assert subscription.version == newer
    assert endpoint(newer) in answer.content.decode()


def test_the_page_of_an_upgrade_shows_what_differs(client, page, subscription, version, newer):
    page()
    html = client.get(reverse("applications:upgrade", args=[subscription.pk])).content.decode()
    assert "data.values" in html
    assert "data.numbers" in html
    assert "Programs may have to change" in html
    assert endpoint(version) in html
    assert endpoint(newer) in html


def test_another_version_on_offer_may_be_chosen(client, page, service, subscription, newer):
    latest = ServiceVersionFactory(service=service, number="2.0.0", publication="marketplace")
    page()
    url = reverse("applications:upgrade", args=[subscription.pk])
    assert client.get(url).context["target"] == latest
    assert client.get(url, {"version": "1.1.0"}).context["target"] == newer
    assert client.get(url, {"version": "9.9.9"}).status_code == 404


def test_nothing_newer_is_no_error(client, page, subscription):
    page()
    answer = client.get(reverse("applications:upgrade", args=[subscription.pk]))
    assert answer.status_code == 200
    assert b"No other version is on offer" in answer.content


@pytest.mark.parametrize("publication", ["", "internal", "retired"])
def test_what_is_not_offered_is_no_upgrade(client, page, service, version, subscription, publication):
    hidden = ServiceVersionFactory(service=service, number="3.0.0", publication=publication)
    page()
    url = reverse("applications:upgrade", args=[subscription.pk])
    for sent in (str(hidden.pk), "nonsense", ""):
        assert client.post(url, {"version": sent}).status_code == 404
    subscription.refresh_from_db()
    assert subscription.version == version


def test_subscribing_goes_on_at_the_endpoint(client, page, application, version):
    page()
    url = reverse("applications:subscribe", args=[application.pk])
    html = client.get(url).content.decode()
    assert escape("Sum & more") in html
    answer = client.post(url, {"service": str(version.service.pk)}, follow=True)
    subscription = Subscription.objects.get()
    assert (subscription.application, subscription.version, subscription.ended_at) == (application, version, None)
    assert escape(endpoint(version)) in answer.content.decode()
    assert escape("Sum & more") not in client.get(url).context["page"].rows
    assert b"Subscribed to everything" in client.get(url).content


def test_only_what_is_offered_to_the_account_of_the_application_can_be_chosen(client, page, application, service):
    ServiceVersionFactory(service=service, publication="internal")
    page()
    url = reverse("applications:subscribe", args=[application.pk])
    assert b"Nothing is on offer" in client.get(url).content
    for sent in (str(service.pk), "nonsense", ""):
        assert client.post(url, {"service": sent}).status_code == 404
    assert not Subscription.objects.exists()


def test_the_offer_is_searched(client, page, application, version):
    page()
    url = reverse("applications:subscribe", args=[application.pk])
    assert [row.name for row in client.get(url, {"q": "more"}, headers=HTMX).context["page"].rows] == ["Sum & more"]
    nothing = client.get(url, {"q": "nowhere"}, headers=HTMX).content.decode()
    assert "No service matches" in nothing
    assert "<html" not in nothing


def test_unsubscribing_is_at_once_and_subscribing_again_finds_the_same(client, page, application, subscription):
    assert "Unsubscribe from Sum &amp; more?" in page()
    answer = client.post(reverse("applications:unsubscribe", args=[subscription.pk]))
    assert answer.url == application.get_absolute_url()
    subscription.refresh_from_db()
    assert subscription.ended_at is not None
    assert "Not subscribed to a service" in page()
    for name in ("upgrade", "unsubscribe"):
        assert client.post(reverse(f"applications:{name}", args=[subscription.pk])).status_code == 404
    client.post(reverse("applications:subscribe", args=[application.pk]), {"service": str(subscription.service_id)})
    assert Subscription.objects.get() == subscription
