"""Where allauth asks us: what a new user is made of, and how secrets of a second factor lie in the database."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.forms import Form
from django.http import HttpRequest

from portal.accounts.models import User
from portal.lib import crypto


class AccountAdapter(DefaultAccountAdapter):
    error_messages: ClassVar[dict[str, Any]] = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "This e-mail address and password do not belong together. Check both, or reset"
        " the password.",
        "too_many_login_attempts": "Too many failed attempts. Wait five minutes, or reset the password.",
        "incorrect_password": "This is not your current password.",
    }

    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        """Give the user the name they typed before the row, and the account named after it, is made."""
        user.name = form.cleaned_data.get("name", "")
        return super().save_user(request, user, form, commit)


class MFAAdapter(DefaultMFAAdapter):
    error_messages: ClassVar[dict[str, Any]] = DefaultMFAAdapter.error_messages | {
        "add_email_blocked": "The address cannot be changed while a second factor is on, so that nobody locks you out"
        " with an address of theirs. Turn the second factor off, change the address, and turn it on again.",
        "incorrect_code": "That did not match, or was used already. Type the code that your app shows now, or try"
        " another passkey.",
    }

    def encrypt(self, text: str) -> str:
        return crypto.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.decrypt(encrypted_text)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        count = Authenticator.objects.filter(user=user, type=type).count()
        return f"Passkey {count + 1}" if count else "Passkey"
