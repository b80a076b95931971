"""Our part of allauth: sign-up, mails, limits, second factors in the database. The browser's part: tests/e2e."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

SIGN_UP = {"email": "Ada@example.com", "name": "Ada", "password1": PASSWORD}


def link_in(mail) -> str:
    return re.search(r"http://\S+", mail.body).group()


def code_for(secret: str) -> str:
    now, *_ = yield_hotp_counters_from_time()
    return format_hotp_value(hotp_value(secret, now))


def log_in(client: Client, user: User):
    return client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})


def log_in_and_confirm(client: Client, user: User) -> None:
    """Log in and show once more who one is, as pages ask that can lock somebody out."""
    log_in(client, user)
    assert client.post(reverse("account_reauthenticate"), {"password": PASSWORD}).status_code == 302


def test_signing_up_makes_the_user_and_their_account_and_sends_a_short_mail(client, mailoutbox):
    response = client.post(reverse("account_signup"), SIGN_UP)
    assert response.url == reverse("account_email_verification_sent")
    user = User.objects.get()
    assert (user.email, user.name, user.personal_account.name) == ("ada@example.com", "Ada", "Ada")
    assert "_auth_user_id" not in client.session
    [mail] = mailoutbox
    assert mail.to == ["ada@example.com"]
    assert mail.subject == "[Mercato] Confirm your e-mail address"
    assert len(mail.body.splitlines()) < 12
    assert link_in(mail) in mail.body.splitlines()


def test_the_link_confirms_the_address_and_logs_in_where_one_signed_up(client, mailoutbox):
    client.post(reverse("account_signup"), SIGN_UP)
    link = link_in(mailoutbox[0])
    assert "Yes, confirm it" in client.get(link).content.decode()
    assert client.post(link).url == reverse("dashboard")
    assert client.session["_auth_user_id"] == str(User.objects.get().pk)
    assert EmailAddress.objects.get().verified


def test_in_another_browser_the_link_confirms_and_asks_to_log_in(client, mailoutbox):
    client.post(reverse("account_signup"), SIGN_UP)
    elsewhere = Client()
    assert elsewhere.post(link_in(mailoutbox[0])).url == reverse("account_login")
    assert "_auth_user_id" not in elsewhere.session


def test_the_name_is_optional(client):
    client.post(reverse("account_signup"), SIGN_UP | {"name": ""})
    assert str(User.objects.get()) == "ada@example.com"


def test_signing_up_with_a_taken_address_looks_the_same_and_warns_its_owner(client, provider, mailoutbox):
    response = client.post(reverse("account_signup"), SIGN_UP | {"email": provider.email})
    assert response.url == reverse("account_email_verification_sent")
    assert User.objects.count() == 1
    assert mailoutbox[0].to == [provider.email]
    assert "You have an account" in mailoutbox[0].subject


@pytest.mark.parametrize("password", ["short", "password123", "1234567890", "ada@example.com"])
def test_weak_passwords_are_refused_with_the_reason(client, password: str):
    page = client.post(reverse("account_signup"), SIGN_UP | {"password1": password}).content.decode()
    assert "field__errors" in page
    assert not User.objects.exists()


def test_a_wrong_password_and_an_unknown_address_look_the_same(client, provider):
    known = client.post(reverse("account_login"), {"login": provider.email, "password": "wrong"})
    unknown = client.post(reverse("account_login"), {"login": "nobody@example.com", "password": "wrong"})
    for response in (known, unknown):
        assert "do not belong together" in response.content.decode()


def test_guessing_a_password_ends_after_five_attempts(client, provider):
    for _ in range(5):
        client.post(reverse("account_login"), {"login": provider.email, "password": "wrong"})
    page = log_in(client, provider).content.decode()
    assert "Wait five minutes" in page
    assert "_auth_user_id" not in client.session


def test_too_many_requests_are_answered_with_a_page_that_says_what_to_do(client, settings):
    settings.ACCOUNT_RATE_LIMITS = {"signup": "1/m/ip"}
    client.post(reverse("account_signup"), {})
    response = client.post(reverse("account_signup"), {})
    assert response.status_code == 429
    assert "Wait a minute" in response.content.decode()


def test_an_address_that_is_not_verified_does_not_log_in_and_gets_its_link_again(client, mailoutbox):
    user = UserFactory(verified=False)
    assert log_in(client, user).url == reverse("account_email_verification_sent")
    assert "_auth_user_id" not in client.session
    assert mailoutbox[0].to == [user.email]


def test_somebody_made_inactive_is_out_at_once(client, provider):
    log_in(client, provider)
    User.objects.filter(pk=provider.pk).update(is_active=False)
    assert client.get(reverse("accounts:profile")).status_code == 302
    assert log_in(client, provider).url == reverse("account_inactive")
    assert client.get(reverse("account_inactive")).status_code == 200


def test_a_form_from_a_page_that_is_too_old_is_answered_with_what_to_do(provider):
    strict = Client(enforce_csrf_checks=True)
    response = strict.post(reverse("account_login"), {"login": provider.email, "password": PASSWORD})
    assert response.status_code == 403
    assert "send that again" in response.content.decode()


def test_resetting_the_password(client, provider, mailoutbox):
    client.post(reverse("account_reset_password"), {"email": provider.email})
    form = client.get(link_in(mailoutbox[0]), follow=True)
    new = "another battery horse staple"
    client.post(form.request["PATH_INFO"], {"password1": new, "password2": new})
    provider.refresh_from_db()
    assert provider.check_password(new)
    assert "was reset" in mailoutbox[1].subject
    assert "no longer works" in client.get(link_in(mailoutbox[0]), follow=True).content.decode()


def test_resetting_the_password_of_nobody_looks_the_same(client, mailoutbox):
    response = client.post(reverse("account_reset_password"), {"email": "nobody@example.com"}, follow=True)
    assert "If there is an account" in response.content.decode()
    assert "no account" in mailoutbox[0].subject


def test_a_new_address_replaces_the_old_one_once_it_is_confirmed(client, provider, mailoutbox):
    log_in_and_confirm(client, provider)
    client.post(reverse("account_email"), {"email": "New@example.com", "action_add": ""})
    page = client.get(reverse("account_email")).content.decode()
    assert "Waiting for its confirmation" in page
    provider.refresh_from_db()
    assert provider.email == "provider@example.com"
    client.post(link_in(mailoutbox[0]))
    provider.refresh_from_db()
    assert provider.email == "new@example.com"
    assert [address.email for address in provider.emailaddress_set.all()] == ["new@example.com"]
    told = [mail for mail in mailoutbox if mail.to == ["provider@example.com"]]
    assert "was changed" in told[-1].subject


def test_changing_the_address_asks_again_who_one_is(client, provider):
    client.force_login(provider)
    response = client.post(reverse("account_email"), {"email": "new@example.com", "action_add": ""})
    assert response.url.startswith(reverse("account_reauthenticate"))
    assert not EmailAddress.objects.filter(email="new@example.com").exists()
    assert provider.email in client.get(response.url).content.decode()


def test_changing_the_password_ends_the_other_sessions_and_tells_the_owner(client, provider, mailoutbox):
    elsewhere = Client()
    for browser in (client, elsewhere):
        log_in(browser, provider)
    new = "another battery horse staple"
    change = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert client.post(reverse("account_change_password"), change).status_code == 302
    assert client.get(reverse("accounts:profile")).status_code == 200
    assert elsewhere.get(reverse("accounts:profile")).status_code == 302
    assert "was changed" in mailoutbox[-1].subject
    assert "Not you?" in mailoutbox[-1].body


def test_ending_the_other_sessions(client, provider, stranger):
    elsewhere, of_stranger = Client(), Client()
    for browser in (client, elsewhere):
        log_in(browser, provider)
    log_in(of_stranger, stranger)
    page = client.get(reverse("usersessions_list")).content.decode()
    assert page.count("<tr>") == 1 + 2
    client.post(reverse("usersessions_list"))
    assert elsewhere.get(reverse("accounts:profile")).status_code == 302
    assert client.get(reverse("accounts:profile")).status_code == 200
    assert of_stranger.get(reverse("accounts:profile")).status_code == 200
    assert UserSession.objects.filter(user=provider).count() == 1


def activate_app(client: Client) -> str:
    """Set the app up; the secret it now holds."""
    url = reverse("mfa_activate_totp")
    secret = re.search(r'id="authenticator_secret">(\w+)<', client.get(url).content.decode()).group(1)
    assert client.post(url, {"code": code_for(secret)}).url == reverse("mfa_view_recovery_codes")
    return secret


def test_secrets_of_second_factors_do_not_lie_in_the_database_as_they_are(client, provider):
    log_in_and_confirm(client, provider)
    secret = activate_app(client)
    app = Authenticator.objects.get(user=provider, type=Authenticator.Type.TOTP)
    codes = Authenticator.objects.get(user=provider, type=Authenticator.Type.RECOVERY_CODES)
    assert secret not in str(app.data)
    assert TOTP(app).validate_code(code_for(secret))
    shown = codes.wrap().get_unused_codes()
    assert len(shown) == 10
    assert not any(code in str(codes.data) for code in shown)


def test_recovery_codes_are_shown_once_and_work_once(client, provider):
    log_in_and_confirm(client, provider)
    activate_app(client)
    url = reverse("mfa_view_recovery_codes")
    first, *others = re.search(r'id="recovery_codes"\s*>([\d\s]+)<', client.get(url).content.decode()).group(1).split()
    assert len(others) == 9
    again = client.get(url).content.decode()
    assert first not in again
    assert "10 of 10 left" in again
    for attempt, expected in (("first", reverse("dashboard")), ("second", None)):
        browser = Client()
        assert log_in(browser, provider).url == reverse("mfa_authenticate")
        response = browser.post(reverse("mfa_authenticate"), {"code": first})
        assert getattr(response, "url", None) == expected, attempt


def test_a_code_of_the_app_is_taken_once(client, provider):
    log_in_and_confirm(client, provider)
    code = code_for(activate_app(client))
    outcomes = []
    for _ in range(2):
        browser = Client()
        log_in(browser, provider)
        outcomes.append(browser.post(reverse("mfa_authenticate"), {"code": code}).status_code)
    assert outcomes == [302, 200]


def test_with_a_second_factor_the_address_cannot_be_changed_and_the_page_says_why(client, provider):
    log_in_and_confirm(client, provider)
    activate_app(client)
    assert "Turn the second factor off" in client.get(reverse("account_email")).content.decode()
    response = client.post(reverse("account_email"), {"email": "new@example.com", "action_add": ""})
    assert not EmailAddress.objects.filter(email="new@example.com").exists()
    assert response.status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "account_email",
        "account_change_password",
        "account_logout",
        "account_reauthenticate",
        "mfa_index",
        "mfa_activate_totp",
        "mfa_list_webauthn",
        "mfa_add_webauthn",
        "mfa_generate_recovery_codes",
        "mfa_view_recovery_codes",
        "mfa_deactivate_totp",
        "mfa_reauthenticate",
        "usersessions_list",
    ],
)
def test_every_page_of_oneself_renders_under_our_policy(client, provider, name: str):
    log_in_and_confirm(client, provider)
    activate_app(client)
    if name == "mfa_activate_totp":
        Authenticator.objects.all().delete()
    if name == "mfa_reauthenticate":
        client.force_login(provider)
    response = client.get(reverse(name))
    assert response.status_code == 200
    check_policy(response)


@pytest.mark.parametrize(
    "name",
    ["account_login", "account_signup", "account_reset_password", "account_reset_password_done",
     "account_reset_password_from_key_done", "account_email_verification_sent", "account_inactive"],
)  # fmt: skip
def test_every_page_of_the_entrance_renders_under_our_policy(client, name: str):
    response = client.get(reverse(name))
    assert response.status_code == 200
    check_policy(response)


def check_policy(response) -> None:
    """Nothing inline that a strict policy stops: each script has a source and the nonce, or is data; no style."""
    page = response.content.decode()
    nonce = re.search(r"'nonce-([^']+)'", response.headers["Content-Security-Policy"]).group(1)
    for script in re.findall(r"<script([^>]*)>", page):
        assert 'type="application/json"' in script or ("src=" in script and f'nonce="{nonce}"' in script), script
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style", page)


@pytest.mark.parametrize("key", ["wrong", "MQ:1:2"])
def test_a_link_that_confirms_nothing_says_what_to_do(client, key: str):
    page = client.get(reverse("account_confirm_email", args=[key])).content.decode()
    assert "no longer works" in page


def test_passkeys_are_offered_on_localhost_and_elsewhere_the_way_there(client):
    url = reverse("account_login")
    here = client.get(url, SERVER_NAME="localhost").content.decode()
    assert "passkey_login" in here
    by_address = client.get(url + "?next=/jobs/", SERVER_NAME="127.0.0.1").content.decode()
    assert "passkey_login" not in by_address
    assert "http://localhost:8000/accounts/login/?next=/jobs/" in by_address


def test_passkeys_of_others_are_404(client, provider, stranger):
    key = Authenticator.objects.create(user=provider, type=Authenticator.Type.WEBAUTHN, data={"name": "Laptop"})
    log_in_and_confirm(client, stranger)
    for name in ("mfa_edit_webauthn", "mfa_remove_webauthn"):
        assert client.get(reverse(name, args=[key.pk])).status_code == 404
        assert client.post(reverse(name, args=[key.pk]), {"name": "Mine"}).status_code == 404
    key.refresh_from_db()
    assert key.data == {"name": "Laptop"}
