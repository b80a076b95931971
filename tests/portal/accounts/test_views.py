import uuid

import pytest
from allauth.mfa.models import Authenticator
from django.urls import reverse

from portal.accounts.middleware import SESSION_KEY
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db

SWITCH = "accounts:switch"
SOMETHING = "018f0000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("name", [SWITCH, "accounts:profile"])
def test_who_is_not_signed_in_is_asked_to(client, name: str):
    response = client.post(reverse(name))
    assert response.status_code == 302
    assert response.url.startswith(reverse("account_login"))


def test_switching_takes_a_post(client, teammate):
    client.force_login(teammate)
    assert client.get(reverse(SWITCH)).status_code == 405


def test_a_member_switches_and_comes_back(client, teammate, provider_account):
    client.force_login(teammate)
    response = client.post(reverse(SWITCH), {"account": provider_account.pk, "next": reverse("jobs:list")})
    assert (response.status_code, response.url) == (302, reverse("jobs:list"))
    assert client.session[SESSION_KEY] == str(provider_account.pk)


@pytest.mark.parametrize("account", ["", "nonsense", str(uuid.uuid4())])
def test_an_account_that_does_not_exist_is_404(client, teammate, account: str):
    client.force_login(teammate)
    assert client.post(reverse(SWITCH), {"account": account}).status_code == 404


def test_a_stranger_gets_404_and_stays_where_they_are(client, stranger, provider_account):
    client.force_login(stranger)
    assert client.post(reverse(SWITCH), {"account": provider_account.pk}).status_code == 404
    assert SESSION_KEY not in client.session


@pytest.mark.parametrize(
    ("came_from", "goes_to"),
    [
        ("/jobs/?status=FAILED", "/jobs/"),
        (f"/jobs/{SOMETHING}/", "/jobs/"),
        ("/account/profile/?x=1", "/account/profile/"),
        ("", "/dashboard/"),
        ("/nowhere/", "/dashboard/"),
        ("https://evil.example/jobs/", "/dashboard/"),
        ("//evil.example/jobs/", "/dashboard/"),
        ("javascript:alert(1)", "/dashboard/"),
        ("//[", "/dashboard/"),
    ],
)
def test_after_switching_comes_a_page_that_the_other_account_has_too(client, provider, came_from: str, goes_to: str):
    client.force_login(provider)
    response = client.post(reverse(SWITCH), {"account": provider.personal_account.pk, "next": came_from})
    assert response.url == goes_to


def test_the_profile_shows_who_one_is_and_the_accounts(client, teammate, provider_account):
    client.force_login(teammate)
    page = client.get(reverse("accounts:profile")).content.decode()
    assert teammate.email in page
    assert teammate.personal_account.slug in page
    assert provider_account.slug in page
    assert "Viewer" in page


def test_the_profile_shows_nothing_of_others(client, stranger, provider, provider_account):
    client.force_login(stranger)
    page = client.get(reverse("accounts:profile")).content.decode()
    assert provider.email not in page
    assert str(provider_account.pk) not in page


def test_the_name_can_be_changed(client, provider):
    client.force_login(provider)
    assert client.post(reverse("accounts:profile"), {"name": "Ada"}).status_code == 302
    provider.refresh_from_db()
    assert (provider.name, provider.personal_account.name) == ("Ada", "Ada")


def test_a_name_that_is_too_long_is_answered_with_422(client, provider):
    client.force_login(provider)
    response = client.post(reverse("accounts:profile"), {"name": "x" * 151})
    assert response.status_code == 422
    assert "at most 150 characters" in response.content.decode()


def test_the_admin_site_is_entered_through_our_own_door(client, provider):
    response = client.get(reverse("admin:index"), follow=True)
    assert response.redirect_chain[-1][0].startswith(reverse("account_login"))
    client.force_login(provider)
    assert client.get(reverse("admin:login")).status_code == 403


def test_the_operator_makes_and_changes_people(client, admin_user):
    client.force_login(admin_user)
    new = {"email": "New@example.com", "name": "New", "usable_password": "true", "email_verified": "on"}
    new |= {"password1": "correct horse battery staple", "password2": "correct horse battery staple"}
    response = client.post(reverse("admin:accounts_user_add"), new)
    assert response.status_code == 302, response.context["errors"]
    person = type(admin_user).objects.get(email="new@example.com")
    assert person.emailaddress_set.get().verified
    assert client.get(reverse("admin:accounts_user_change", args=[person.pk])).status_code == 200
    assert client.post(reverse("admin:accounts_user_delete", args=[person.pk])).status_code == 403


def test_the_operator_makes_an_organization(client, admin_user, provider):
    client.force_login(admin_user)
    members = {"memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 0}
    members |= {"memberships-0-user": provider.pk, "memberships-0-role": "owner"}
    response = client.post(reverse("admin:accounts_account_add"), {"slug": "acme", "name": "Acme", **members})
    assert response.status_code == 302, response.context["errors"]
    account = provider.memberships.get(account__slug="acme").account
    assert account.kind == account.Kind.ORGANIZATION
    assert client.get(reverse("admin:accounts_account_change", args=[account.pk])).status_code == 200


def test_the_operator_takes_a_lost_second_factor_away_and_sees_no_secret(client, admin_user, provider):
    app = Authenticator.objects.create(user=provider, type=Authenticator.Type.TOTP, data={"secret": "SECRET"})
    client.force_login(admin_user)
    found = client.get(reverse("admin:mfa_authenticator_changelist"), {"q": provider.email}).content.decode()
    assert "SECRET" not in found + client.get(reverse("admin:mfa_authenticator_change", args=[app.pk])).content.decode()
    client.post(reverse("admin:mfa_authenticator_delete", args=[app.pk]), {"post": "yes"})
    assert not provider.authenticator_set.exists()


@pytest.mark.parametrize(
    "model", ["usersessions_usersession", "account_emailaddress", "accounts_user", "accounts_account"]
)
def test_the_operator_finds_what_belongs_to_a_person(client, admin_user, provider, model: str):
    client.force_login(admin_user)
    assert client.get(reverse(f"admin:{model}_changelist"), {"q": "provider"}).status_code == 200


def test_pages_of_the_admin_site_may_load_their_scripts(client, admin_user):
    client.force_login(admin_user)
    policy = client.get(reverse("admin:accounts_user_changelist")).headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    elsewhere = client.get(reverse("accounts:profile")).headers["Content-Security-Policy"]
    assert "script-src 'nonce-" in elsewhere
    assert "script-src 'self'" not in elsewhere


def test_the_list_of_accounts_of_another_does_not_grow_with_mine(client, provider, stranger):
    MembershipFactory(user=stranger)
    client.force_login(provider)
    response = client.get(reverse("accounts:profile"))
    assert [account.pk for account in response.context["accounts"]] == [provider.personal_account.pk]
