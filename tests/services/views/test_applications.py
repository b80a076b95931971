"""The pages of applications, with everybody of the cast: who sees and does what, and where a secret is never found."""

import base64
import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from portal.accounts import applications
from portal.accounts.models import Application, Membership
from tests.factories import (
    ApplicationFactory,
    ApplicationSecretFactory,
    MembershipFactory,
    SubscriptionFactory,
    access_token,
)

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def application(provider_account):
    """The provider's: the teammate is a viewer there."""
    return ApplicationFactory(account=provider_account, name="Report")


@pytest.fixture
def secret(application):
    return ApplicationSecretFactory(application=application, text="mcs_" + "0" * 60 + "a1b2")


@pytest.fixture
def subscription(application):
    return SubscriptionFactory(application=application)


@pytest.fixture
def address(application, secret, subscription):
    """The address of a named page."""
    arguments = {
        "secret_revoke": [secret.pk],
        "upgrade": [subscription.pk],
        "unsubscribe": [subscription.pk],
        "list": [],
        "create": [],
    }
    return lambda name: reverse(f"applications:{name}", args=arguments.get(name, [application.pk]))


SEEN = ["detail", "settings"]
CHANGES = ["secret_create", "subscribe", "upgrade"]  # forms on pages of their own
ACTS = ["settings", "delete", "secret_create", "secret_revoke", "subscribe", "upgrade", "unsubscribe"]


def nothing_changed(application, secret, subscription) -> bool:
    for row in (application, secret, subscription):
        row.refresh_from_db()
    return (
        application.name == "Report"
        and application.deleted_at is None
        and secret.is_live
        and subscription.ended_at is None
        and application.secrets.count() == 1
    )


@pytest.mark.parametrize("name", ["list", "create", *SEEN, *CHANGES, "delete", "secret_revoke", "unsubscribe"])
def test_who_is_not_signed_in_is_sent_to_the_login(client, address, name):
    answer = (
        client.post(address(name)) if name in ("delete", "secret_revoke", "unsubscribe") else client.get(address(name))
    )
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("account_login"))


@pytest.mark.parametrize("name", [*SEEN, *CHANGES])
def test_a_stranger_finds_nothing(client, address, stranger, name):
    client.force_login(stranger)
    assert client.get(address(name)).status_code == 404


@pytest.mark.parametrize("name", ACTS)
def test_a_stranger_changes_nothing(client, address, stranger, application, secret, subscription, name):
    client.force_login(stranger)
    assert client.post(address(name), {"name": "Mine"}).status_code == 404
    assert nothing_changed(application, secret, subscription)


def test_a_stranger_has_a_list_of_their_own(client, address, stranger):
    client.force_login(stranger)
    html = client.get(address("list")).content.decode()
    assert "Report" not in html
    assert "Your first application" in html


@pytest.mark.parametrize("name", SEEN)
def test_a_viewer_sees_it_and_is_offered_nothing_to_change(client, address, teammate, name):
    client.force_login(teammate)
    answer = client.get(address(name))
    html = answer.content.decode()
    assert answer.status_code == 200
    for act in (*CHANGES, "delete", "secret_revoke", "unsubscribe"):
        assert address(act) not in html


@pytest.mark.parametrize("name", CHANGES)
def test_a_viewer_opens_no_form(client, address, teammate, name):
    client.force_login(teammate)
    assert client.get(address(name)).status_code == 403


@pytest.mark.parametrize("name", ACTS)
def test_a_viewer_who_sends_a_form_reads_why_not(client, address, teammate, application, secret, subscription, name):
    client.force_login(teammate)
    answer = client.post(address(name), {"name": "Mine"})
    assert answer.status_code == 403
    assert b"needs the role" in answer.content
    assert b"Ask an owner" in answer.content
    assert nothing_changed(application, secret, subscription)


def test_a_viewer_creates_none(client, teammate, provider_account):
    client.force_login(teammate)
    session = client.session
    session["account"] = str(provider_account.pk)
    session.save()
    assert b"You are a viewer here" in client.get(reverse("applications:list")).content
    assert client.get(reverse("applications:create")).status_code == 403
    assert client.post(reverse("applications:create"), {"name": "Mine"}).status_code == 403
    assert not Application.objects.exists()


def test_a_maintainer_changes_but_does_not_delete(client, address, provider_account, application):
    client.force_login(MembershipFactory(account=provider_account, role=Membership.Role.MAINTAINER).user)
    assert client.post(address("settings"), {"name": "Weekly"}).status_code == 302
    assert address("delete") not in client.get(address("settings")).content.decode()
    assert client.post(address("delete")).status_code == 403
    application.refresh_from_db()
    assert (application.name, application.deleted_at) == ("Weekly", None)


def test_a_link_into_another_account_of_mine_works_and_says_so(client, address, teammate, provider_account):
    client.force_login(teammate)
    html = client.get(address("detail")).content.decode()
    assert f"This application belongs to <strong>{provider_account}</strong>" in html


def test_the_list_says_what_each_may_call(client, address, provider, application):
    ApplicationSecretFactory(application=application)
    SubscriptionFactory(application=application, ended_at=timezone.now())
    client.force_login(provider)
    (row,) = client.get(address("list")).context["page"].rows
    assert (row.live_secrets, row.subscribed) == (2, 1)


def test_the_list_costs_the_same_whatever_is_in_it(client, provider, provider_account, django_assert_max_num_queries):
    for application in ApplicationFactory.create_batch(5, account=provider_account):
        ApplicationSecretFactory(application=application)
        SubscriptionFactory(application=application)
    client.force_login(provider)
    client.get(reverse("applications:list"))  # notes the session
    with django_assert_max_num_queries(4):
        client.get(reverse("applications:list"))


# The secret, once


def revealed(answer) -> str:
    """The secret that a page shows."""
    assert answer.status_code == 201
    (text,) = set(re.findall(r"mcs_[0-9a-f]{64}", answer.content.decode()))
    return text


def test_a_new_application_shows_key_secret_and_the_whole_token_command(client, provider, settings):
    settings.PUBLIC_URL = "https://mercato.example"
    client.force_login(provider)
    assert client.get(reverse("applications:create")).status_code == 200
    answer = client.post(reverse("applications:create"), {"name": "Report"})
    text = revealed(answer)
    application = Application.objects.get()
    pair = base64.b64encode(f"{application.access_key_id}:{text}".encode()).decode()
    command = (
        'curl -X POST https://mercato.example/token -d "grant_type=client_credentials" '
        f'-H "Authorization: Basic {pair}"'
    )
    html = answer.content.decode()
    assert escape(command) in html
    assert "Copy text" in html
    assert application.access_key_id in html
    assert application.account == provider.personal_account
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Location" not in answer.headers


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_secret_is_shown_once_and_lies_nowhere(client, address, provider, application, secret, valkey, headers):
    client.force_login(provider)
    answer = client.post(address("secret_create"), headers=headers)
    text = revealed(answer)
    kept = [
        str(Session.objects.get(pk=client.session.session_key).get_decoded()),
        str(answer.headers),
        str(client.cookies),
    ]
    kept += [repr(valkey.dump(key)) for key in valkey.scan_iter()]
    kept += [client.get(address(name)).content.decode() for name in ("detail", "settings", "secret_create", "list")]
    kept += [str(row) for row in application.secrets.values()]
    assert not [place for place in kept if text in place]
    assert cache.get(text) is None


def test_a_reload_of_the_answer_adds_no_other_secret(client, address, provider, application, secret):
    client.force_login(provider)
    form = client.get(address("secret_create")).context["form"]
    sent = {"made_before": form["made_before"].value()}
    revealed(client.post(address("secret_create"), sent))
    applications.revoke_secret(secret=secret, by=None)  # so that there is room for another
    again = client.post(address("secret_create"), sent)
    assert again.status_code == 422
    assert b"perhaps because it was sent twice" in again.content
    assert application.secrets.count() == 2
    sent = {"made_before": again.context["form"]["made_before"].value()}
    revealed(client.post(address("secret_create"), sent))


def test_a_reload_of_a_new_application_is_refused(client, provider):
    client.force_login(provider)
    revealed(client.post(reverse("applications:create"), {"name": "Report"}))
    again = client.post(reverse("applications:create"), {"name": "Report"})
    assert again.status_code == 422
    assert b"has an application Report already" in again.content
    assert Application.objects.count() == 1


def test_a_third_secret_is_refused_with_the_reason(client, address, provider, application, secret):
    ApplicationSecretFactory(application=application)
    client.force_login(provider)
    assert address("secret_create") not in client.get(address("detail")).content.decode()
    assert b"as many as it may" in client.get(address("secret_create")).content
    answer = client.post(address("secret_create"))
    assert answer.status_code == 422
    assert b"Revoke the one" in answer.content


def test_a_secret_may_expire_at_the_end_of_a_day(client, address, provider, application, secret):
    client.force_login(provider)
    today = timezone.now().date()
    for wrong in (today - timedelta(days=1), today + timedelta(days=9_000), "9999-12-31", "soon"):
        assert client.post(address("secret_create"), {"expires_at": str(wrong)}).status_code == 422, wrong
    revealed(client.post(address("secret_create"), {"expires_at": str(today)}))
    expires_at = application.secrets.order_by("-id").first().expires_at
    assert (expires_at.date(), str(expires_at.time())) == (today, "23:59:59")


def test_the_page_of_an_application_names_what_a_revocation_stops(client, address, provider, application, secret):
    client.force_login(provider)
    html = client.get(address("detail")).content.decode()
    assert "…a1b2" in html
    assert "It is the last live one" in html
    access_token(application)
    other = ApplicationSecretFactory(application=application)
    html = client.get(address("detail")).content.decode()
    assert "the 1 access token that came from it" in html
    assert f"What uses the other one, which ends in {other.ending}, goes on" in html
    assert client.post(address("secret_revoke")).url == application.get_absolute_url()
    secret.refresh_from_db()
    assert secret.state == "revoked"
    assert "Revoked" in client.get(address("detail")).content.decode()


def test_a_live_secret_is_shown_however_many_came_after_it(client, address, provider, application, secret):
    ApplicationSecretFactory.create_batch(5, application=application, revoked_at=timezone.now())
    client.force_login(provider)
    shown = [each for each, _ in client.get(address("detail")).context["secrets"]]
    assert shown[0] == secret
    assert [each.state for each in shown] == ["live", "revoked", "revoked", "revoked"]


def test_deleting_names_what_is_lost(client, address, provider, application, secret, subscription):
    client.force_login(provider)
    html = client.get(address("settings")).content.decode()
    assert "1 live secret and all access tokens stop working" in html
    assert f"Nothing can call {subscription.service}" in html
    assert client.post(address("delete")).url == address("list")
    application.refresh_from_db()
    assert application.deleted_at is not None
    for name in (*SEEN, *CHANGES):
        assert client.get(address(name)).status_code == 404
    assert client.post(address("secret_revoke")).status_code == 404
    assert client.post(address("unsubscribe")).status_code == 404


def test_who_came_for_an_application_goes_back_with_it(client, provider):
    client.force_login(provider)
    url = reverse("applications:create")
    assert 'value="/marketplace/a/b/"' in client.get(url, {"next": "/marketplace/a/b/"}).content.decode()
    html = client.post(url, {"name": "One", "next": "/marketplace/a/b/?x=1"}).content.decode()
    assert f"/marketplace/a/b/?x=1&amp;application={Application.objects.get().pk}" in html
    for foreign in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"):
        assert "evil" not in client.get(url, {"next": foreign}).content.decode()
        assert "javascript:" not in client.get(url, {"next": foreign}).content.decode()


@pytest.mark.parametrize("name", ["delete", "secret_revoke", "unsubscribe"])
def test_what_changes_is_no_get(client, address, provider, name):
    client.force_login(provider)
    assert client.get(address(name)).status_code == 405
