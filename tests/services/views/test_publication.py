"""The tab Publishing: states and next steps, shares, subscribers, and the question before something is taken away."""

import re

import pytest
from django.urls import reverse

from services import subscriptions
from services.models import ServiceShare, ServiceVersion, Subscription
from tests.factories import ApplicationFactory, ServiceVersionFactory, SubscriptionFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(service, version):
    return reverse("services:publication", args=[service.pk])


@pytest.fixture
def publish(service, version):
    return reverse("services:publish", args=[service.pk, version.pk])


@pytest.fixture
def retire(service, version):
    return reverse("services:retire", args=[service.pk, version.pk])


@pytest.fixture
def subscription(version, consumer_account):
    version.publication = "marketplace"
    version.save()
    return SubscriptionFactory(
        version=version, application=ApplicationFactory(account=consumer_account, name="Batch runs")
    )


def state(version) -> str:
    version.refresh_from_db()
    return version.state


def test_each_state_offers_its_next_steps(client, provider, page, version, publish, retire):
    client.force_login(provider)
    shown = client.get(page).content.decode()
    assert "Publish to marketplace" in shown
    assert "Publish internally" in shown
    assert retire not in shown
    client.post(publish, {"scope": "marketplace"})
    shown = client.get(page).content.decode()
    assert "Publish to marketplace" not in shown
    assert "Make internal" in shown
    assert subscriptions.endpoint(version) in shown
    answer = client.post(retire, follow=True)
    assert answer.redirect_chain == [(page, 302)]
    assert state(version) == "retired"
    assert "Publish to marketplace" in answer.content.decode()


def test_a_draft_has_no_step(client, provider, page, service, version):
    draft = ServiceVersionFactory(service=service, number="1.1.0", built=False)
    client.force_login(provider)
    assert reverse("services:publish", args=[service.pk, draft.pk]) not in client.get(page).content.decode()
    url = reverse("services:publish", args=[service.pk, draft.pk])
    answer = client.post(url, {"scope": "internal"}, follow=True)
    assert "has no finished build" in answer.content.decode()


def test_after_the_build_the_next_step_is_to_publish(client, provider, service, version, build, page, publish):
    client.force_login(provider)
    addresses = [service.get_absolute_url(), reverse("services:build", args=[service.pk, build.pk])]

    def offered(address: str) -> bool:
        return re.search(r"</svg>\s*Publish\s*</a>", client.get(address).content.decode()) is not None

    assert all(offered(address) for address in addresses)
    client.post(publish, {"scope": "internal"})
    assert not any(offered(address) for address in addresses)


def test_retiring_asks_and_lists_who_is_affected(client, provider, version, retire, subscription, page):
    client.force_login(provider)
    asked = client.post(retire)
    shown = asked.content.decode()
    assert asked.status_code == 422
    for text in ("Batch runs", "Consumer", "1 active subscription", page, 'name="confirmed"'):
        assert text in shown
    assert state(version) == "marketplace"
    client.post(retire, {"confirmed": "1"})
    assert state(version) == "retired"


def test_taking_it_from_the_marketplace_asks_and_remembers_what_was_asked(
    client, provider, version, publish, subscription
):
    client.force_login(provider)
    asked = client.post(publish, {"scope": "internal"})
    assert re.search(r'name="scope"\s+value="internal"', asked.content.decode())
    assert f"Make {version.number} internal?" in asked.content.decode()
    client.post(publish, {"scope": "internal", "confirmed": "1"})
    assert state(version) == "internal"


def test_deleting_asks_and_lists_who_is_affected(client, provider, service, subscription):
    client.force_login(provider)
    url = reverse("services:delete", args=[service.pk])
    assert b"1 active subscription would end" in client.get(reverse("services:settings", args=[service.pk])).content
    asked = client.post(url)
    assert asked.status_code == 422
    assert b"Batch runs" in asked.content
    assert client.post(url, {"confirmed": "1"}).status_code == 302
    service.refresh_from_db()
    subscription.refresh_from_db()
    assert None not in (service.deleted_at, subscription.ended_at)


@pytest.mark.parametrize("name", ["consumer", "Consumer@example.com"])
def test_a_service_is_shared_by_slug_or_address(client, provider, service, page, consumer_account, name):
    client.force_login(provider)
    assert client.post(reverse("services:share", args=[service.pk]), {"account": name}).status_code == 302
    assert ServiceShare.objects.get().account == consumer_account
    shown = client.get(page).content.decode()
    assert "Remove Consumer" in shown
    assert "consumer@example.com" not in shown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "is no account here"),
        ("nobody@example.com", "has no account here"),
        ("unverified@example.com", "has no account here"),
        ("provider", "needs no share"),
        ("", "required"),
    ],
)
def test_a_share_that_cannot_be_says_why(client, provider, service, version, name, words):
    UserFactory(email="unverified@example.com", verified=False)
    client.force_login(provider)
    answer = client.post(reverse("services:share", args=[service.pk]), {"account": name})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not ServiceShare.objects.exists()


def test_a_share_is_taken_back_and_asks_where_it_ends_something(client, provider, service, version, consumer_account):
    ServiceVersion.objects.update(publication="internal")
    share = ServiceShare.objects.create(service=service, account=consumer_account)
    subscription = SubscriptionFactory(version=version, application=ApplicationFactory(account=consumer_account))
    url = reverse("services:unshare", args=[service.pk, share.pk])
    client.force_login(provider)
    assert client.post(url).status_code == 422
    assert client.post(url, {"confirmed": "1"}).status_code == 302
    assert not ServiceShare.objects.exists()
    assert Subscription.objects.get(pk=subscription.pk).ended_at is not None


def test_subscribers_are_listed_without_any_address(client, teammate, page, subscription):
    client.force_login(teammate)
    shown = client.get(page).content.decode()
    for text in ("Batch runs", "Consumer", "1.0.0"):
        assert text in shown
    assert "consumer@example.com" not in shown
    assert "Retire" not in shown


def test_states_stand_on_the_lists(client, provider, service, version, publish):
    client.force_login(provider)
    addresses = [reverse("services:list"), reverse("services:versions", args=[service.pk])]
    assert all(b"Not published" in client.get(address).content for address in addresses)
    client.post(publish, {"scope": "marketplace"})
    pill = re.compile(r"</svg>\s*Marketplace</span>")
    assert all(pill.search(client.get(address).content.decode()) for address in addresses)


@pytest.fixture
def verbs(service, version, publish, retire, consumer_account):
    share = ServiceShare.objects.create(service=service, account=consumer_account)
    return [
        (publish, {"scope": "marketplace"}),
        (retire, {}),
        (reverse("services:share", args=[service.pk]), {"account": "stranger"}),
        (reverse("services:unshare", args=[service.pk, share.pk]), {"confirmed": "1"}),
    ]


def test_a_stranger_and_a_consumer_find_nothing(client, page, verbs, stranger, consumer, version):
    for user in (stranger, consumer):
        client.force_login(user)
        assert client.get(page).status_code == 404
        assert {client.post(url, data).status_code for url, data in verbs} == {404}
    assert state(version) == "built"
    assert ServiceShare.objects.count() == 1


def test_a_viewer_looks_and_changes_nothing(client, page, verbs, teammate, version):
    client.force_login(teammate)
    assert client.get(page).status_code == 200
    for url, data in verbs:
        answer = client.post(url, data)
        assert answer.status_code == 403
        assert b"needs the role maintainer" in answer.content
    assert state(version) == "built"


def test_who_is_not_signed_in_is_sent_to_the_login(client, page, verbs):
    for answer in (client.get(page), *(client.post(url, data) for url, data in verbs)):
        assert answer.url.startswith(reverse("account_login"))


def test_a_version_or_share_of_another_service_is_not_there(client, provider, service):
    other = ServiceVersionFactory()
    share = ServiceShare.objects.create(service=other.service, account=service.account)
    client.force_login(provider)
    for name, pk in (("publish", other.pk), ("retire", other.pk), ("unshare", share.pk)):
        assert client.post(reverse(f"services:{name}", args=[service.pk, pk])).status_code == 404
