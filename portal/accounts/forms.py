"""Forms about people and their accounts: allauth's in our words, and our own."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, cast

from allauth.account import forms as account_forms
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms
from django.contrib.auth.password_validation import MinimumLengthValidator, get_default_password_validators
from django.core.exceptions import ValidationError
from django.utils import timezone

from portal.accounts import applications
from portal.accounts.actors import Actor
from portal.accounts.models import Account, Application, ApplicationSecret, User

NAME_MAX_LENGTH = User._meta.get_field("name").max_length
SECRET_MAX_DAYS = 3650


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


class ApplicationForm(forms.Form):
    """An application: only its name is chosen."""

    name = forms.CharField(
        max_length=applications.NAME_MAX_CHARACTERS,
        help_text="What will call the services, for example “Nightly risk report”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def create(self, *, account: Account, by: Actor) -> tuple[Application, str] | None:
        """The application and the text of its secret; None where it was refused, with the reasons at their fields."""
        try:
            return applications.create_application(account=account, by=by, **self.cleaned_data)
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return None

    def rename(self, application: Application, *, by: Actor) -> Application | None:
        """The renamed application; None where it was refused."""
        try:
            return applications.rename(application=application, by=by, **self.cleaned_data)
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return None


class SecretForm(forms.Form):
    """One more secret of an application."""

    expires_at = forms.DateField(
        label="Last day",
        required=False,
        help_text="It works to the end of that day, in UTC. Without one, until somebody revokes it.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    # How many secrets there were when the form was made: sent again by a reload, it adds no second one unasked.
    made_before = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, application: Application, **kwargs: Any) -> None:
        self.application = application
        self.made = application.secrets.count()
        kwargs["initial"] = {"made_before": self.made}
        super().__init__(*args, **kwargs)
        self.fields["expires_at"].widget.attrs["min"] = timezone.now().date().isoformat()

    def clean_expires_at(self) -> datetime | None:
        """The end of the day that was chosen."""
        day: date | None = self.cleaned_data["expires_at"]
        if day is None:
            return None
        if day > timezone.now().date() + timedelta(days=SECRET_MAX_DAYS):
            raise ValidationError(
                f"A secret may expire {SECRET_MAX_DAYS:,} days from now at the latest. Choose an earlier day, or none."
            )
        return datetime.combine(day, time(23, 59, 59, tzinfo=UTC))  # pages show this day, and not the next one

    def clean(self) -> None:
        super().clean()
        if self.cleaned_data.get("made_before") not in (None, self.made):
            self.data = {**self.data, "made_before": self.made}  # who sends it once more means it
            raise ValidationError(
                "A secret was added since you opened this form, perhaps because it was sent twice. No other one was "
                "added now. If you did not see that secret, revoke it; then add another."
            )

    def create(self, *, by: Actor) -> tuple[ApplicationSecret, str] | None:
        """The secret and its text; None where it was refused, with the reasons at their fields."""
        expires_at = self.cleaned_data["expires_at"]
        try:
            return applications.add_secret(application=self.application, by=by, expires_at=expires_at)
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return None
