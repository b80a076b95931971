"""Forms about people and their accounts: allauth's in our words, and our own."""

from typing import Any, ClassVar, cast

from allauth.account import forms as account_forms
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms
from django.contrib.auth.password_validation import MinimumLengthValidator, get_default_password_validators

from portal.accounts.models import Account, User

NAME_MAX_LENGTH = User._meta.get_field("name").max_length


class InOurWords(forms.Form):
    """Mixed into a form of allauth: labels and short helps in the words of our pages, no placeholders beside them."""

    LABELS: ClassVar[dict[str, str]] = {
        "Email": "E-mail address",
        "Current Password": "Current password",
        "New Password": "New password",
        "New Password (again)": "New password, again",
        "Authenticator code": "Code from the app",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
            field.label = self.LABELS.get(str(field.label), field.label)
        if "password1" in self.fields:
            self.fields["password1"].help_text = password_rule()
        if "code" in self.fields:
            self.fields["code"].widget.attrs["inputmode"] = "numeric"


def password_rule() -> str:
    """What a password must be, in one line."""
    lengths = [v.min_length for v in get_default_password_validators() if isinstance(v, MinimumLengthValidator)]
    return f"At least {max(lengths, default=1)} characters; not a common password, not only digits."


class LoginForm(InOurWords, account_forms.LoginForm):
    pass


class SignupForm(InOurWords, account_forms.SignupForm):
    """The name is saved by the adapter, because the personal account is named after it."""

    name = forms.CharField(
        max_length=NAME_MAX_LENGTH,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("name", "email", "password1")


class AddEmailForm(InOurWords, account_forms.AddEmailForm):
    pass


class ChangePasswordForm(InOurWords, account_forms.ChangePasswordForm):
    pass


class SetPasswordForm(InOurWords, account_forms.SetPasswordForm):
    pass


class ResetPasswordForm(InOurWords, account_forms.ResetPasswordForm):
    pass


class ResetPasswordKeyForm(InOurWords, account_forms.ResetPasswordKeyForm):
    pass


class ReauthenticateForm(InOurWords, account_forms.ReauthenticateForm):
    pass


class CodeForm(InOurWords, mfa_forms.AuthenticateForm):
    pass


class CodeAgainForm(InOurWords, mfa_forms.ReauthenticateForm):
    pass


class ActivateAppForm(InOurWords, ActivateTOTPForm):
    pass


class AddPasskeyForm(AddWebAuthnForm):
    """Set to what people mean by a passkey: it signs in alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].help_text = "To tell your passkeys apart, for example “Laptop”."
        passwordless = self.fields["passwordless"]
        passwordless.label = "Log in with this passkey alone"
        passwordless.help_text = (
            "The device then checks by fingerprint, face or PIN that it is you. Without the tick the passkey is a"
            " second step after the password; older security keys can do only that."
        )
        passwordless.initial = True


class ProfileForm(forms.Form):
    """What a person says about themselves."""

    name = forms.CharField(
        max_length=NAME_MAX_LENGTH,
        required=False,
        help_text="Shown to the people you work with. Left empty, they see your e-mail address.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


class SwitchForm(forms.Form):
    """Which of their own accounts a user works in from now on."""

    account = forms.ModelChoiceField(queryset=Account.objects.none())
    next = forms.CharField(required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(forms.ModelChoiceField, self.fields["account"]).queryset = Account.objects.of(user)
