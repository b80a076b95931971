"""The marketplace: who finds what, and subscribing to it."""

import json
from urllib.parse import quote

import pytest
from django.urls import reverse
from django.utils import timezone

from services.models import ServiceShare, ServiceTag, Subscription
from tests.factories import ApplicationFactory, ServiceFactory, ServiceVersionFactory, SubscriptionFactory
from tests.services.test_searching import ODD
from tests.services.views.conftest import HTMX, openapi

pytestmark = pytest.mark.django_db
EVIL = '<script>alert("x")</script>'
LIST = "/marketplace/"


def text(response) -> str:
    return response.content.decode()


@pytest.fixture
def service(provider_account):
    return ServiceFactory(
        account=provider_account, name="Sum", slug="sum", summary="Sums values", description="Adds **all**. " + EVIL
    )


@pytest.fixture
def version(service):
    """On the marketplace."""
    return ServiceVersionFactory(
        service=service, number="1.0.0", publication="marketplace", published_at=timezone.now(), openapi=openapi()
    )


@pytest.fixture
def internal(service):
    """For the provider's account alone, until it is shared."""
    return ServiceVersionFactory(service=service, number="1.1.0", publication="internal", openapi=openapi())


@pytest.fixture
def application(consumer_account):
    return ApplicationFactory(account=consumer_account, name="Weather")


def pages(service) -> dict[str, str]:
    arguments = [service.account.slug, service.slug]
    return {
        "detail": reverse("marketplace:detail", args=arguments),
        "subscribe": reverse("marketplace:subscribe", args=arguments),
        "yaml": reverse("marketplace:openapi_download", args=[*arguments, "yaml"]),
        "json": reverse("marketplace:openapi_download", args=[*arguments, "json"]),
    }


# Who finds what


@pytest.mark.parametrize("who", ["nobody", "stranger", "consumer", "provider", "teammate"])
def test_everybody_reads_what_is_on_the_marketplace(client, request, service, version, who):
    if who != "nobody":
        client.force_login(request.getfixturevalue(who))
    assert service.get_offer_url() in text(client.get(LIST))
    for name, url in pages(service).items():
        if name != "subscribe":
            assert client.get(url).status_code == 200
    page = text(client.get(pages(service)["detail"]))
    assert "<strong>all</strong>" in page
    assert EVIL not in page


@pytest.mark.parametrize("who", ["nobody", "stranger"])
@pytest.mark.parametrize("state", ["", "internal", "retired"])
def test_what_is_not_offered_is_not_there(client, request, service, version, who, state):
    version.publication = state
    version.save()
    if who != "nobody":
        client.force_login(request.getfixturevalue(who))
    assert "Sums values" not in text(client.get(LIST))
    for name, url in pages(service).items():
        expected = 302 if who == "nobody" and name == "subscribe" else 404
        assert client.get(url).status_code == expected
    assert client.post(pages(service)["subscribe"]).status_code == (302 if who == "nobody" else 404)


def test_a_deleted_service_is_there_for_nobody(client, provider, service, version):
    service.deleted_at = timezone.now()
    service.save()
    client.force_login(provider)
    assert "Sums values" not in text(client.get(LIST))
    for url in pages(service).values():
        assert client.get(url).status_code == 404


def test_what_is_shared_is_there_with_a_pill(client, consumer, consumer_account, service, internal):
    ServiceShare.objects.create(service=service, account=consumer_account)
    client.force_login(consumer)
    for url in (LIST, pages(service)["detail"]):
        page = text(client.get(url))
        assert "Sum" in page
        assert "Internal" in page


def test_a_version_that_is_not_offered_is_not_shown_by_its_number(
    client, stranger, consumer, service, version, internal
):
    client.force_login(stranger)
    url = pages(service)["detail"]
    assert client.get(url, {"version": "1.0.0"}).status_code == 200
    for number in ("1.1.0", "9.9.9", "' OR 1=1"):
        assert client.get(url, {"version": number}).status_code == 404
        assert client.get(pages(service)["yaml"], {"version": number}).status_code == 404
    assert "1.1.0" not in text(client.get(url))


def test_members_see_the_versions_that_are_internal(client, provider, service, version, internal):
    client.force_login(provider)
    page = client.get(pages(service)["detail"])
    assert page.context["version"] == internal
    assert list(page.context["numbers"]) == ["1.1.0", "1.0.0"]
    assert service.get_absolute_url() in text(page)


def test_who_is_no_member_is_not_led_to_the_provider_s_pages(client, consumer, service, version):
    client.force_login(consumer)
    assert service.get_absolute_url() not in text(client.get(pages(service)["detail"]))


# The list


def test_the_list_searches_and_keeps_the_conditions_in_its_links(client, service, version):
    ServiceTag.objects.create(service=service, name="sums")
    other = ServiceVersionFactory(service__name="Cutter", publication="marketplace").service
    page = client.get(LIST, {"q": "values", "tag": "sums", "sort": "name"})
    assert service.get_offer_url() in text(page)
    assert other.get_offer_url() not in text(page)
    links = {label: link for label, link, _ in page.context["sorts"]}
    assert links["Newest"] == "?q=values&tag=sums&sort=newest"
    assert page.context["untagged"] == "?q=values&sort=name"


def test_htmx_gets_the_list_alone(client, service, version):
    page = text(client.get(LIST, {"q": "sum"}, headers=HTMX))
    assert service.get_offer_url() in page
    assert "<html" not in page


def test_best_match_is_the_order_of_a_search_and_newest_of_a_list(client, version):
    def chosen(**query: str) -> list[str]:
        return [label for label, _, is_chosen in client.get(LIST, query).context["sorts"] if is_chosen]

    assert chosen() == ["Newest"]
    assert chosen(q="sum") == ["Best match"]
    assert chosen(sort="match") == ["Newest"]
    assert chosen(q="sum", sort="used") == ["Most used"]
    assert chosen(sort="nonsense") == ["Newest"]


@pytest.mark.parametrize("name", ["q", "tag", "sort", "before", "after", "version"])
def test_odd_queries_break_nothing(client, service, version, name):
    for odd in ODD if name == "q" else ODD[::5]:
        expected = {400} if "\0" in odd else {200, 404}
        query = f"?{name}={quote(odd, errors='replace')}"
        assert client.get(LIST + query).status_code in expected - {404}
        assert client.get(pages(service)["detail"] + query).status_code in expected


def test_nothing_on_offer_and_nothing_found_say_what_to_do(client, consumer):
    client.force_login(consumer)
    assert "No stalls yet" in text(client.get(LIST))
    page = text(client.get(LIST, {"q": "nothing like it"}))
    assert "Nothing matches" in page
    assert f'href="{LIST}"' in page


def test_the_list_goes_on_in_pages(client, provider_account):
    for number in range(30):
        service = ServiceFactory(account=provider_account, name=f"Stall {number:02d}")
        ServiceVersionFactory(service=service, publication="marketplace")
    first = client.get(LIST, {"sort": "name"})
    second = client.get(LIST + first.context["page"].older)
    names = [service.name for page in (first, second) for service in page.context["page"].rows]
    assert names == [f"Stall {number:02d}" for number in range(30)]
    assert "Next" in text(first)


# The page of a service


def test_the_description_comes_as_yaml_and_json(client, service, version):
    answer = client.get(pages(service)["json"])
    assert json.loads(answer.content)["info"]["title"] == "Sum"
    assert "sum-1.0.0-openapi.json" in answer["Content-Disposition"]
    assert client.get(pages(service)["yaml"]).content.startswith(b"openapi:")
    assert client.get(pages(service)["yaml"].replace(".yaml", ".xml")).status_code == 404


def test_try_it_leads_to_a_job_of_the_version_that_is_shown(client, consumer, service, version):
    ServiceVersionFactory(service=service, number="2.0.0", publication="marketplace", openapi=openapi())
    client.force_login(consumer)
    run = f"{reverse('jobs:create')}?service={service.pk}"
    assert f'href="{run}"' in text(client.get(pages(service)["detail"]))
    assert f'href="{run}&amp;version=1.0.0"' in text(client.get(pages(service)["detail"], {"version": "1.0.0"}))


def test_a_viewer_is_offered_neither_trying_nor_subscribing(client, teammate, provider_account, service, version):
    client.force_login(teammate)
    session = client.session
    session["account"] = str(provider_account.pk)
    session.save()
    page = text(client.get(pages(service)["detail"]))
    assert pages(service)["subscribe"] not in page
    assert "You are a viewer" in page
    refusal = client.get(pages(service)["subscribe"])
    assert refusal.status_code == 403
    assert "needs the role maintainer" in text(refusal)


# Subscribing


def test_subscribing_shows_the_endpoint_and_the_way_to_the_application(client, consumer, service, version, application):
    client.force_login(consumer)
    assert "Weather" in text(client.get(pages(service)["subscribe"]))
    answer = client.post(pages(service)["subscribe"], {"application": application.pk}, follow=True)
    subscription = Subscription.objects.get()
    assert (subscription.application, subscription.version, subscription.ended_at) == (application, version, None)
    assert subscription.created_by == consumer
    page = text(answer)
    assert "Subscribed by" in page
    assert f"/gateway/{service.account.slug}/sum/1.0.0" in page
    assert application.get_absolute_url() in page
    assert "Weather may call Sum" in page


def test_an_older_version_is_subscribed_to_by_its_number(client, consumer, service, version, application):
    ServiceVersionFactory(service=service, number="2.0.0", publication="marketplace", openapi=openapi())
    client.force_login(consumer)
    page = text(client.get(pages(service)["detail"], {"version": "1.0.0"}))
    assert f"{pages(service)['subscribe']}?version=1.0.0" in page
    client.post(pages(service)["subscribe"] + "?version=1.0.0", {"application": application.pk})
    assert Subscription.objects.get().version == version


def test_without_an_application_the_next_step_is_to_make_one(client, consumer, service, version):
    client.force_login(consumer)
    page = text(client.get(pages(service)["subscribe"]))
    here = quote(pages(service)["subscribe"], safe="")
    assert f"{reverse('applications:create')}?next={here}" in page


def test_who_comes_back_from_there_finds_the_application_chosen(client, consumer, service, version, application):
    ApplicationFactory(account=application.account, name="Another")
    client.force_login(consumer)
    page = text(client.get(pages(service)["subscribe"], {"application": application.pk}))
    assert f'<option value="{application.pk}" selected>' in page


def test_applications_of_others_and_subscribed_ones_are_no_choice(
    client, consumer, service, version, application, provider_account
):
    foreign = ApplicationFactory(account=provider_account, name="Foreign")
    SubscriptionFactory(application=application, version=version)
    client.force_login(consumer)
    page = text(client.get(pages(service)["subscribe"]))
    assert "Weather" not in page
    assert "Foreign" not in page
    for chosen in (foreign.pk, application.pk, "nonsense"):
        refusal = client.post(pages(service)["subscribe"], {"application": chosen})
        assert refusal.status_code == 422
    assert Subscription.objects.count() == 1


def test_others_subscriptions_are_not_shown(client, stranger, service, version, application):
    SubscriptionFactory(application=application, version=version)
    client.force_login(stranger)
    page = text(client.get(pages(service)["detail"]))
    assert "Weather" not in page
    assert "Subscribed by" not in page


def test_subscribing_asks_to_log_in_and_comes_back(client, service, version):
    answer = client.get(pages(service)["subscribe"])
    assert answer.status_code == 302
    assert answer.url == f"{reverse('account_login')}?next={pages(service)['subscribe']}"


@pytest.mark.parametrize("name", ["detail", "yaml"])
def test_reading_is_no_post(client, service, version, name):
    assert client.post(pages(service)[name]).status_code == 405
