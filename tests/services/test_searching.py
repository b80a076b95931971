"""Finding services among those on offer. Runs on SQLite and on PostgreSQL; what differs says so."""

import pytest
from django.db import connection
from django.http import QueryDict
from django.utils import timezone

from services import searching
from services.models import Service, ServiceShare, ServiceTag
from tests.factories import (
    ApplicationFactory,
    ServiceFactory,
    ServiceVersionFactory,
    SubscriptionFactory,
)

pytestmark = pytest.mark.django_db
ODD = [
    '"', "'", '"""', "'; DROP TABLE services_service; --", "%", "_", "\\", "%_%", "💥", "量子", "a\0b", "\0", "-", "--",
    "&", "|", "!", "a & | b", "(", ")", ":*", "a:*", "<->", "or", "and not", "-word", '-"two words', "é", "{}", "%s",
    "%(x)s", "$1", "?", "a" * 1000, "word " * 200, "a -b " * 300,
]  # fmt: skip


def offer(name: str, *, tags: tuple[str, ...] = (), publication: str = "marketplace", **fields) -> Service:
    service = ServiceFactory(name=name, **fields)
    ServiceVersionFactory(service=service, publication=publication)
    for tag in tags:
        ServiceTag.objects.create(service=service, name=tag)
    return service


def found(text: str = "", *, account=None, sort: str = "match", tag: str = "") -> list[str]:
    return [service.name for service in shown(text, account=account, sort=sort, tag=tag)]


def shown(text: str = "", *, account=None, sort: str = "match", tag: str = "") -> list[Service]:
    listed = searching.listed(account, text=text, tag=tag)
    return searching.in_page(listed, account=account, sort=sort, query=QueryDict()).rows


@pytest.fixture
def hall():
    """Some services of one marketplace."""
    offer("Monte Carlo π", summary="Estimates π by throwing darts", tags=("sampling", "mathematics"))
    offer("Max-cut", summary="Cuts graphs in two", description="A QUBO is solved by an annealer.", tags=("quantum",))
    offer("Portfolio optimiser", summary="Chooses assets", description="Uses Monte Carlo runs.", tags=("finance",))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("darts", ["Monte Carlo π"]),  # the summary
        ("MAX", ["Max-cut"]),  # the name, whatever the case
        ("max-cut", ["Max-cut"]),
        ("annealer", ["Max-cut"]),  # the description
        ("quantum", ["Max-cut"]),  # a tag
        ("optim", ["Portfolio optimiser"]),  # a word that is not finished
        ("assets portfolio", ["Portfolio optimiser"]),  # each word anywhere
        ("assets darts", []),
        ('"monte carlo" -portfolio', ["Monte Carlo π"]),
        ("carlo -runs", ["Monte Carlo π"]),  # not either where it stands in the description
        ("-carlo", ["Max-cut"]),
        ('"carlo monte"', []),
        ("nothing like it", []),
    ],
)
def test_words_are_found(hall, text, names):
    assert found(text) == names


def test_the_name_of_the_provider_is_found(hall, provider_account):
    offer("Sum", account=provider_account)
    assert found(provider_account.name) == ["Sum"]


def test_what_is_called_so_comes_before_what_mentions_it(hall):
    assert found("monte carlo") == ["Monte Carlo π", "Portfolio optimiser"]


def test_postgresql_knows_the_forms_of_a_word(hall):
    stemmed = ["Monte Carlo π"] if connection.vendor == "postgresql" else []
    assert found("estimating dart") == stemmed


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("sort", ["match", "used"])
def test_an_odd_query_breaks_nothing(hall, text, sort):
    found(text, sort=sort)


@pytest.mark.parametrize("text", ["%", "_", "\\", "💥"])
def test_signs_are_looked_for_as_they_are(hall, text):
    assert found(text) == []
    offer(f"The {text} sign")
    assert found(text) == [f"The {text} sign"]


@pytest.mark.parametrize("text", ["", "  ", '"', "\0"])
def test_without_a_word_everything_is_found(hall, text):
    assert len(found(text)) == 3
    assert not searching.is_search(text)


def test_a_tag_narrows(hall):
    assert found(tag="sampling") == ["Monte Carlo π"]
    assert found("graphs", tag="sampling") == []
    assert found(tag="Sampling; --") == []


def test_the_sorts(hall):
    assert found(sort="newest") == ["Portfolio optimiser", "Max-cut", "Monte Carlo π"]
    assert found(sort="name") == ["Max-cut", "Monte Carlo π", "Portfolio optimiser"]
    subscribe("Max-cut", accounts=2)
    subscribe("Monte Carlo π", accounts=1)
    assert found(sort="used") == ["Max-cut", "Monte Carlo π", "Portfolio optimiser"]


def subscribe(name: str, *, accounts: int = 1, **fields) -> None:
    version = Service.objects.get(name=name).versions.get()
    for _ in range(accounts):
        SubscriptionFactory(version=version, **fields)


def test_users_are_accounts_that_subscribe_now(hall, consumer_account):
    version = Service.objects.get(name="Max-cut").versions.get()
    for _ in range(2):
        SubscriptionFactory(version=version, application=ApplicationFactory(account=consumer_account))
    SubscriptionFactory(version=version, ended_at=timezone.now())
    SubscriptionFactory(version=version, application=ApplicationFactory(deleted_at=timezone.now()))
    assert {service.name: service.users for service in shown()}["Max-cut"] == 1


@pytest.mark.parametrize(
    ("sort", "text"), [("match", "stall"), ("match", ""), ("newest", ""), ("name", ""), ("used", "")]
)
def test_every_sort_leads_through_all_pages_and_back(sort, text):
    services = [offer(f"Stall {number // 2}", summary="stall " * (number % 3)) for number in range(9)]
    for number, service in enumerate(services):
        subscribe_to(service, times=number % 3)

    def page(link: str):
        listed = searching.listed(None, text=text)
        return searching.in_page(listed, account=None, sort=sort, query=QueryDict(link.removeprefix("?")), size=2)

    pages = [page("")]
    while pages[-1].older:
        pages.append(page(pages[-1].older))
    keys = [service.pk for each in pages for service in each.rows]
    assert len(keys) == len(set(keys)) == 9
    assert [row.pk for row in page(pages[-1].newer).rows] == keys[6:8]


def subscribe_to(service: Service, *, times: int) -> None:
    for _ in range(times):
        SubscriptionFactory(version=service.versions.get())


def test_a_page_of_the_list_asks_three_times(hall, consumer_account, django_assert_num_queries):
    with django_assert_num_queries(3):  # which services, what the cards show of them, and their tags
        for service in shown("o", account=consumer_account):
            str(service.account), list(service.tags.all())


def test_what_is_listed_is_what_is_offered(provider_account, consumer_account, stranger_account):
    offer("Public", account=provider_account)
    shared = offer("Shared", account=provider_account, publication="internal")
    ServiceShare.objects.create(service=shared, account=consumer_account)
    offer("Draft", account=provider_account, publication="")
    offer("Retired", account=provider_account, publication="retired")
    offer("Deleted", account=provider_account, deleted_at=timezone.now())
    assert found(account=provider_account) == ["Shared", "Public"]
    assert found(account=consumer_account) == ["Shared", "Public"]
    assert found(account=stranger_account) == ["Public"]
    assert found() == ["Public"]
    assert found("shared", account=stranger_account) == []
    is_public = {service.name: service.is_public for service in shown(account=consumer_account)}
    assert is_public == {"Shared": False, "Public": True}


def test_the_number_is_that_of_the_newest_version_on_offer(provider_account, consumer_account):
    service = ServiceFactory(account=provider_account)
    for number, publication in (("1.0.0", "marketplace"), ("1.1.0", "internal"), ("1.2.0", "")):
        ServiceVersionFactory(service=service, number=number, publication=publication)
    assert [service.number for service in shown(account=provider_account)] == ["1.1.0"]
    assert [service.number for service in shown(account=consumer_account)] == ["1.0.0"]


def test_common_tags_are_those_of_what_is_offered(hall, stranger_account):
    offer("Another", tags=("quantum", "sampling"))
    offer("Third", tags=("quantum",))
    offer("Hidden", tags=("secret",), publication="internal")
    assert list(searching.common_tags(stranger_account)) == ["quantum", "sampling", "finance", "mathematics"]
    assert "secret" not in searching.common_tags(None)
