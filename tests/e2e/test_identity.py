"""Who one is, in a real browser against a whole instance: sign-up, log-in, second factors, passkeys, sessions."""

import base64
import hashlib
import hmac
import itertools
import re
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.axe import assert_accessible
from tests.live_stack import LiveStack

PASSWORD = "correct horse battery staple"
NewContext = Callable[..., BrowserContext]
numbers = itertools.count(1)


def new_address() -> str:
    """An address that nobody on the live stack has, whose tests share one database."""
    return f"ada{next(numbers)}-{time.monotonic_ns()}@example.com"


def sign_up(page: Page, stack: LiveStack, email: str, name: str = "Ada Lovelace") -> None:
    """Sign up, open the link in the mail, and be in."""
    page.goto(f"{stack.url}/accounts/signup/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
    page.goto(stack.wait_for_link(email, containing="confirm-email"))
    page.get_by_role("button", name="Yes, confirm it").click()
    page.wait_for_url("**/dashboard/")


def fill_login(page: Page, stack: LiveStack, email: str, password: str = PASSWORD) -> None:
    page.goto(f"{stack.url}/accounts/login/")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()


def log_out(page: Page, stack: LiveStack) -> None:
    page.goto(f"{stack.url}/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{stack.url}/")


def confirm_it_is_me(page: Page) -> None:
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def code_for(secret: str, *, period: int = 0) -> str:
    """The code of an app (RFC 6238); ``period`` 1 is the next one: the same code is never taken twice."""
    counter = struct.pack(">Q", int(time.time()) // 30 + period)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def add_authenticator(page: Page) -> tuple[Any, str]:
    """A virtual device that holds passkeys and always knows that it is its owner: the session of CDP and its id."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    return cdp, cdp.send("WebAuthn.addVirtualAuthenticator", {"options": device})["authenticatorId"]


def test_from_sign_up_to_the_dashboard(page: Page, live_stack: LiveStack):
    email = new_address()
    sign_up(page, live_stack, email)
    expect(page.get_by_text("Ada Lovelace").first).to_be_visible()
    assert (
        f"\n{live_stack.wait_for_link(email, containing='confirm-email')}\n" in live_stack.mails(email)[0].get_content()
    )


def test_the_page_one_wanted_comes_after_the_log_in(page: Page, live_stack: LiveStack):
    email = new_address()
    sign_up(page, live_stack, email)
    log_out(page, live_stack)
    page.goto(f"{live_stack.url}/account/profile/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.get_by_label("E-mail address").fill(email.upper())
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/account/profile/")
    expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")


def test_a_wrong_password_says_what_to_do(page: Page, live_stack: LiveStack):
    fill_login(page, live_stack, new_address(), "wrong")
    expect(page.get_by_role("alert")).to_contain_text("reset the password")


def test_a_password_can_be_shown_while_it_is_typed(page: Page, live_stack: LiveStack):
    page.goto(f"{live_stack.url}/accounts/signup/")
    field = page.get_by_label("Password", exact=True)
    field.fill("visible")
    page.get_by_role("button", name="Show the password").click()
    expect(field).to_have_attribute("type", "text")
    page.get_by_role("button", name="Show the password").click()
    expect(field).to_have_attribute("type", "password")


def test_a_forgotten_password_is_replaced(page: Page, live_stack: LiveStack):
    email, new = new_address(), "another battery horse staple"
    sign_up(page, live_stack, email)
    log_out(page, live_stack)
    page.goto(f"{live_stack.url}/accounts/login/")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
    page.goto(live_stack.wait_for_link(email, containing="password/reset/key"))
    page.get_by_label("New password", exact=True).fill(new)
    page.get_by_label("New password, again").fill(new)
    page.get_by_role("button", name="Save the password").click()
    expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
    fill_login(page, live_stack, email)
    expect(page.get_by_role("alert")).to_be_visible()
    fill_login(page, live_stack, email, new)
    page.wait_for_url("**/dashboard/")


def test_an_app_and_recovery_codes_as_second_factor(page: Page, live_stack: LiveStack, new_context: NewContext):
    email = new_address()
    sign_up(page, live_stack, email)
    page.goto(f"{live_stack.url}/accounts/2fa/")
    page.get_by_role("link", name="Set up").click()
    confirm_it_is_me(page)
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    assert page.get_by_role("img", name="QR code").evaluate("image => image.naturalWidth") > 0
    secret = page.locator("#authenticator_secret").inner_text()
    page.get_by_label("Code from the app").fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_text("That did not match")).to_be_visible()
    page.get_by_label("Code from the app").fill(code_for(secret))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    codes = page.locator("#recovery_codes").inner_text().split()
    assert len(codes) == 10
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_text("10 of 10 left.")).to_be_visible()

    for code in (code_for(secret), codes[0]):
        device = new_context().new_page()
        fill_login(device, live_stack, email)
        expect(device.get_by_role("heading", name="Second step")).to_be_visible()
        device.get_by_label("Code").fill("12345678")
        device.get_by_role("button", name="Log in", exact=True).click()
        expect(device.get_by_text("That did not match")).to_be_visible()
        device.get_by_label("Code").fill(code)
        device.get_by_role("button", name="Log in", exact=True).click()
        device.wait_for_url("**/dashboard/")
    page.reload()
    expect(page.get_by_text("9 of 10 left.")).to_be_visible()


def test_the_second_step_can_be_left(page: Page, live_stack: LiveStack):
    email = new_address()
    sign_up(page, live_stack, email)
    page.goto(f"{live_stack.url}/accounts/2fa/totp/activate/")
    confirm_it_is_me(page)
    page.get_by_label("Code from the app").fill(code_for(page.locator("#authenticator_secret").inner_text()))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    log_out(page, live_stack)
    fill_login(page, live_stack, email)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto(f"{live_stack.url}/account/profile/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_passkey_logs_in_alone_and_is_removed(page: Page, live_stack: LiveStack):
    email = new_address()
    sign_up(page, live_stack, email)
    add_authenticator(page)
    page.goto(f"{live_stack.url}/accounts/2fa/")
    page.get_by_role("link", name="Add a passkey").click()
    confirm_it_is_me(page)
    page.get_by_label("Name").fill("My laptop")
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    log_out(page, live_stack)

    page.goto(f"{live_stack.url}/accounts/login/?next=/account/profile/")
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url("**/account/profile/")
    expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")

    page.goto(f"{live_stack.url}/accounts/2fa/webauthn/")
    expect(page.get_by_role("row", name="My laptop")).to_contain_text("Logs in alone")
    page.get_by_role("link", name="Rename My laptop").click()
    page.get_by_role("link", name="Use a security key").click()
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_label("Name").fill("Old laptop")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Remove Old laptop").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("The passkey is removed.")).to_be_visible()
    expect(page.get_by_text("No passkeys yet")).to_be_visible()


def test_a_passkey_as_second_step_after_the_password(page: Page, live_stack: LiveStack):
    email = new_address()
    sign_up(page, live_stack, email)
    add_authenticator(page)
    page.goto(f"{live_stack.url}/accounts/2fa/webauthn/add/")
    confirm_it_is_me(page)
    page.get_by_label("Log in with this passkey alone").uncheck()
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    log_out(page, live_stack)
    fill_login(page, live_stack, email)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/dashboard/")


def test_a_browser_without_a_passkey_says_what_happened(page: Page, live_stack: LiveStack):
    cdp, device = add_authenticator(page)
    page.goto(f"{live_stack.url}/accounts/login/")
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Try once more")


def test_a_passkey_of_a_browser_that_the_server_does_not_know_is_refused(page: Page, live_stack: LiveStack):
    email = new_address()
    sign_up(page, live_stack, email)
    add_authenticator(page)
    page.goto(f"{live_stack.url}/accounts/2fa/webauthn/add/")
    confirm_it_is_me(page)
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.goto(f"{live_stack.url}/accounts/2fa/webauthn/")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No passkeys yet")).to_be_visible()
    log_out(page, live_stack)
    page.goto(f"{live_stack.url}/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_text("try another passkey")).to_be_visible()
    page.goto(f"{live_stack.url}/account/profile/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_opened_by_address_the_page_leads_to_where_passkeys_work(page: Page, live_stack: LiveStack):
    page.goto(f"http://127.0.0.1:{live_stack.port}/accounts/login/?next=/account/profile/")
    expect(page.get_by_role("button", name="Log in with a passkey")).to_have_count(0)
    expect(page.get_by_text("browsers refuse them on")).to_be_visible()
    page.get_by_role("link", name="Open this page on").click()
    page.wait_for_url(f"{live_stack.url}/accounts/login/?next=/account/profile/")
    expect(page.get_by_role("button", name="Log in with a passkey")).to_be_visible()


def test_one_device_ends_the_session_of_another(page: Page, live_stack: LiveStack, new_context: NewContext):
    email = new_address()
    sign_up(page, live_stack, email)
    phone = new_context(user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) Version/18.4 Safari/604.1")
    other = phone.new_page()
    fill_login(other, live_stack, email)
    other.wait_for_url("**/dashboard/")
    page.goto(f"{live_stack.url}/accounts/sessions/")
    expect(page.get_by_role("row", name="Safari on iPhone")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Chrome on Linux.*This one"))).to_be_visible()
    page.get_by_role("button", name="End all other sessions").click()
    expect(page.get_by_text("All your other sessions have ended.")).to_be_visible()
    expect(page.get_by_role("row", name="Safari on iPhone")).to_have_count(0)
    other.goto(f"{live_stack.url}/account/profile/")
    expect(other.get_by_role("heading", name="Log in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()


def test_a_new_address_waits_for_its_confirmation(page: Page, live_stack: LiveStack):
    email, new = new_address(), new_address()
    sign_up(page, live_stack, email)
    page.goto(f"{live_stack.url}/accounts/email/")
    page.get_by_label("E-mail address").fill(new)
    page.get_by_role("button", name="Send a link to the new address").click()
    confirm_it_is_me(page)
    expect(page.get_by_text("Waiting for its confirmation")).to_be_visible()
    page.goto(live_stack.wait_for_link(new, containing="confirm-email"))
    page.get_by_role("button", name="Yes, confirm it").click()
    page.wait_for_url("**/dashboard/")
    page.goto(f"{live_stack.url}/account/profile/")
    expect(page.get_by_role("main").get_by_text(new)).to_be_visible()


@pytest.mark.parametrize(
    "path", ["/account/profile/", "/accounts/email/", "/accounts/2fa/", "/accounts/sessions/", "/dashboard/"]
)
def test_who_is_not_signed_in_is_asked_to(page: Page, live_stack: LiveStack, path: str):
    page.goto(live_stack.url + path)
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert f"next={path}" in page.url.replace("%2F", "/")


def test_a_stranger_cannot_switch_to_the_account_of_another(page: Page, live_stack: LiveStack, new_context: NewContext):
    sign_up(page, live_stack, new_address(), "Ada")
    page.goto(f"{live_stack.url}/account/profile/")
    account = page.locator("button[name=account]").first.get_attribute("value")
    stranger = new_context().new_page()
    sign_up(stranger, live_stack, new_address(), "Stranger")
    stranger.goto(f"{live_stack.url}/account/profile/")
    form = stranger.evaluate(
        "account => { const form = new FormData(document.querySelector('form[action$=\"/switch/\"]'));"
        " form.set('account', account); return fetch('/account/switch/', {method: 'POST', body: form})"
        ".then(answer => answer.status) }",
        account,
    )
    assert form == 404


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_accessible(new_context: NewContext, live_stack: LiveStack, theme: str):
    page = new_context(color_scheme=theme).new_page()

    def check(path: str, heading: str) -> None:
        page.goto(live_stack.url + path)
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        assert_accessible(page)

    fill_login(page, live_stack, new_address(), "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    assert_accessible(page)
    check("/accounts/confirm-email/", "Check your mail")
    check("/accounts/confirm-email/wrong/", "This link no longer works")
    check("/accounts/password/reset/done/", "Check your mail")
    check("/accounts/password/reset/key/x-y/", "This link no longer works")
    check("/accounts/inactive/", "This account is closed")

    sign_up(page, live_stack, new_address())
    check("/account/profile/", "Profile")
    check("/accounts/email/", "E-mail address")
    check("/accounts/password/change/", "Password")
    check("/accounts/sessions/", "Sessions")
    check("/accounts/2fa/", "Two factors and passkeys")
    check("/accounts/2fa/webauthn/", "Passkeys")
    check("/accounts/reauthenticate/", "Is it you?")
    confirm_it_is_me(page)
    check("/accounts/2fa/totp/activate/", "Set up an authenticator app")
    page.get_by_label("Code from the app").fill(code_for(page.locator("#authenticator_secret").inner_text()))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert_accessible(page)
    check("/accounts/2fa/recovery-codes/generate/", "Make new recovery codes?")
    check("/accounts/2fa/totp/deactivate/", "Turn the authenticator app off?")
    add_authenticator(page)
    check("/accounts/2fa/webauthn/add/", "Add a passkey")
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_text("The passkey is added.")).to_be_visible()
    check("/accounts/2fa/webauthn/", "Passkeys")
    check("/accounts/logout/", "Log out?")
