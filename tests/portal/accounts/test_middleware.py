from collections.abc import Callable

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from redis.exceptions import ConnectionError as BrokerAway

from portal.accounts.middleware import CurrentAccountMiddleware, current_account
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db

PROFILE = "accounts:profile"


def request_of(client: Client) -> HttpRequest:
    return client.get(reverse(PROFILE)).wsgi_request


def test_a_user_starts_in_their_personal_account(client, provider, provider_account):
    client.force_login(provider)
    assert request_of(client).account == provider_account


def test_the_chosen_account_stays(client, teammate, provider_account):
    client.force_login(teammate)
    client.post(reverse("accounts:switch"), {"account": provider_account.pk})
    assert request_of(client).account == provider_account


def test_who_is_no_longer_a_member_falls_back_to_their_own(client, teammate, provider_account):
    client.force_login(teammate)
    client.post(reverse("accounts:switch"), {"account": provider_account.pk})
    teammate.memberships.get(account=provider_account).delete()
    assert request_of(client).account == teammate.personal_account


def test_without_any_membership_pages_show_the_own_account_without_rights(client, provider, provider_account):
    client.force_login(provider)
    provider.memberships.all().delete()
    response = client.get(reverse(PROFILE))
    assert response.status_code == 200
    assert response.wsgi_request.account == provider_account
    assert response.context["current_role"] is None


def test_an_account_forged_into_the_session_is_ignored(client, stranger, provider_account):
    client.force_login(stranger)
    session = client.session
    session["account"] = str(provider_account.pk)
    session.save()
    assert request_of(client).account == stranger.personal_account


def test_nobody_is_signed_in_and_nothing_is_asked(django_assert_num_queries: Callable[..., CaptureQueriesContext]):
    seen = []
    request = RequestFactory().get("/")
    request.user = AnonymousUser()

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(bool(request.account))
        return HttpResponse()

    with django_assert_num_queries(0):
        CurrentAccountMiddleware(view)(request)
    assert seen == [False]
    assert current_account(request) is None


def test_the_shell_of_a_page_costs_three_queries(client, teammate):
    for _ in range(5):
        MembershipFactory(user=teammate)
    client.force_login(teammate)
    client.get(reverse("account_logout"))  # notes the session, which is not due again for minutes
    with CaptureQueriesContext(connection) as queries:
        assert client.get(reverse("account_logout")).status_code == 200
    tables = [query["sql"].partition("FROM ")[2].split()[0].strip('"') for query in queries]
    assert tables == ["django_session", "accounts_user", "accounts_membership"]


def test_a_session_is_noted_once_and_again_when_the_browser_changes(client, provider):
    client.force_login(provider)
    client.get(reverse(PROFILE), headers={"user-agent": "One"})
    session = UserSession.objects.get()
    assert (session.user, session.user_agent, session.ip) == (provider, "One", "127.0.0.1")
    UserSession.objects.update(user_agent="changed behind our back")
    client.get(reverse(PROFILE), headers={"user-agent": "One"})
    assert UserSession.objects.get().user_agent == "changed behind our back"
    client.get(reverse(PROFILE), headers={"user-agent": "Two"})
    assert UserSession.objects.get().user_agent == "Two"


def test_pages_go_on_while_the_broker_is_away(client, provider, monkeypatch: pytest.MonkeyPatch):
    def away(*_: object, **__: object) -> None:
        raise BrokerAway

    client.force_login(provider)
    monkeypatch.setattr(cache, "add", away)
    assert client.get(reverse(PROFILE)).status_code == 200


def test_behind_one_proxy_the_address_is_the_one_that_the_proxy_added(client, provider, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    client.force_login(provider)
    client.get(reverse(PROFILE), headers={"x-forwarded-for": "6.6.6.6, 192.0.2.7"})
    assert UserSession.objects.get().ip == "192.0.2.7"


def test_without_a_proxy_the_header_is_not_believed(client, provider):
    client.force_login(provider)
    client.get(reverse(PROFILE), headers={"x-forwarded-for": "6.6.6.6"})
    assert UserSession.objects.get().ip == "127.0.0.1"
