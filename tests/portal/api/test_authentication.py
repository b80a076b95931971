"""Who calls, by the bearer token of the request."""

from datetime import timedelta

import pytest
from django.test import RequestFactory
from django.utils import timezone

from portal.accounts.models import AccessToken
from portal.api.authentication import bearer, is_live, live, require_live
from portal.lib.errors import Problem
from services.models import Subscription
from tests.factories import ApplicationFactory, SubscriptionFactory, access_token

LATER = timedelta(minutes=5)


def request(authorization: str | None = None):
    return RequestFactory().get("/", **({} if authorization is None else {"HTTP_AUTHORIZATION": authorization}))


@pytest.mark.parametrize("given", ["Bearer mct_0a", "bearer mct_0a", "BEARER  mct_0a "])
def test_the_token_is_behind_the_word_bearer(given):
    assert bearer(request(given)) == "mct_0a"


def test_who_sends_nothing_is_told_how_and_no_error_code():
    with pytest.raises(Problem) as refused:
        bearer(request())
    assert refused.value.status == 401
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer realm="mercato"'}
    assert "POST /token" in refused.value.detail


@pytest.mark.parametrize("given", ["Bearer", "Bearer ", "Bearer a b", "Bearer a\0", "Bearer é", f"Bearer {'a' * 600}"])
def test_what_is_no_bearer_token_is_refused(given):
    with pytest.raises(Problem) as refused:
        bearer(request(given))
    assert (refused.value.code, refused.value.status) == ("invalid_token", 401)
    challenge = refused.value.headers["WWW-Authenticate"]
    # RFC 6750 §3.1: malformed is `invalid_token` with 401; `invalid_request` would go with 400.
    assert challenge.startswith('Bearer realm="mercato", error="invalid_token", error_description="')
    assert challenge.isascii()


@pytest.mark.parametrize("given", ["Basic YTpi", "mct_0a"])
def test_who_tries_another_way_is_told_how_and_no_error_code(given):
    with pytest.raises(Problem, match="another scheme than Bearer") as refused:
        bearer(request(given))
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer realm="mercato"'}


@pytest.fixture
def token(db) -> str:
    return access_token(ApplicationFactory())


def found(token: str) -> AccessToken | None:
    return live(AccessToken.objects.all(), token).first()


def test_a_live_token_is_found_and_passes(token):
    assert found(token)
    require_live(token)


@pytest.mark.parametrize("gone", ["expired", "revoked", "secret expired", "deleted", "other"])
def test_a_dead_token_is_refused(token, gone):
    row, now = found(token), timezone.now()
    if gone == "expired":
        AccessToken.objects.update(expires_at=now)
    elif gone == "other":
        token += "0"
    elif gone == "deleted":
        row.application.deleted_at = now
        row.application.save()
    else:
        setattr(row.secret, "revoked_at" if gone == "revoked" else "expires_at", now)
        row.secret.save()
    assert found(token) is None
    with pytest.raises(Problem) as refused:
        require_live(token)
    assert refused.value.status == 401
    assert 'error="invalid_token"' in refused.value.headers["WWW-Authenticate"]


@pytest.mark.django_db
def test_a_key_is_told_from_a_token():
    with pytest.raises(Problem, match="key of an application"):
        require_live("mcs_0a")


def test_a_query_from_elsewhere_joins_the_token_once(token, django_assert_num_queries):
    mine = SubscriptionFactory(application=found(token).application)
    SubscriptionFactory()
    with django_assert_num_queries(1) as asked:
        rows = list(Subscription.objects.filter(is_live(token, via="application__tokens")).values_list("pk", flat=True))
    assert rows == [mine.pk]
    assert asked[0]["sql"].count('JOIN "accounts_accesstoken"') == 1
