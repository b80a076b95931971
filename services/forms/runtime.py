"""How a version is run, and the variables of its environment: what changes without a new version."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from portal.accounts.actors import Actor
from services import operating, variables
from services.models import ServiceVersion


class OperationForm(forms.Form):
    """How a version is run, changed without a new version."""

    def __init__(self, *args: Any, version: ServiceVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.version = version
        self.fields |= operation_fields(version)
        if version.runtime != ServiceVersion.RuntimeName.PYTHON:
            del self.fields["warm_start"]  # a container imports what it likes

    def save(self, *, by: Actor) -> ServiceVersion | None:
        """The changed version; None where it was refused, with the reasons at their fields."""
        try:
            return operating.operate(version=self.version, by=by, **self.cleaned_data)
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return None


class VariableForm(forms.Form):
    """A variable of a version: a new one, or another value for one that there is."""

    name = forms.CharField(
        max_length=variables.NAME_MAX_CHARACTERS,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false", "class": "mono"}
        ),
    )
    value = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 2, "autocomplete": "off", "autocapitalize": "off", "spellcheck": "false", "class": "mono"}
        ),
    )
    is_secret = forms.BooleanField(
        label="Secret",
        required=False,
        help_text="Encrypted, shown to nobody again, and masked in logs.",
    )

    def __init__(self, *args: Any, before: variables.Shown | None = None, **kwargs: Any) -> None:
        self.before = before
        if before is not None:
            kwargs.setdefault("auto_id", f"id_{before.name}_%s")
            kwargs["initial"] = {"name": before.name, "value": before.value or "", "is_secret": before.is_secret}
        super().__init__(*args, **kwargs)
        if before is not None:
            self.fields["name"].widget = forms.HiddenInput()
        if before is not None and before.is_secret:
            self.fields["value"].help_text = "Its value is kept as long as this stays empty."

    def clean_value(self) -> str:
        """As it was typed, but for what a browser makes of line ends, and the one behind a pasted line."""
        value = str(self.cleaned_data["value"]).replace("\r\n", "\n")
        return value[:-1] if value.count("\n") == 1 and value.endswith("\n") else value

    def save(self, *, version: ServiceVersion, by: Actor) -> bool:
        """Whether it was set; else the reasons are at their fields."""
        given = self.cleaned_data
        is_kept = not given["value"] and (given["is_secret"] or (self.before is not None and self.before.is_secret))
        try:
            variables.set_variable(version=version, by=by, **(given | ({"value": None} if is_kept else {})))
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return False
        return True


class CeilingField(forms.IntegerField):
    """A number of things at once; empty means no limit, which the verbs call 0."""

    def clean(self, value: Any) -> int:
        return super().clean(value) or 0


def operation_fields(of: ServiceVersion | None = None) -> dict[str, forms.Field]:
    """How a version is run: what may change without a new one. They begin as ``of`` is run."""
    of = of or ServiceVersion()
    return {
        "retryable": forms.BooleanField(
            label="Start again after a cut",
            required=False,
            initial=of.retryable,
            help_text=(
                "A job whose sandbox or host went away is started again by itself, up to "
                f"{settings.JOB_ATTEMPTS_MAX} starts in all. Its code may then run twice, in part or whole: switch it "
                "on only where that does no harm. Off, such a job fails as lost."
            ),
        ),
        "warm_start": forms.BooleanField(
            label="Warm start",
            required=False,
            initial=of.warm_start,
            help_text=(
                "For the runtime Python: jobs of one account start as copies of an interpreter that has imported your "
                "program already, in milliseconds. Code at the top of your modules then runs once for many jobs, so "
                "open no connection and start no thread there."
            ),
        ),
        "concurrency": CeilingField(
            label="At the same time",
            required=False,
            min_value=1,
            max_value=operating.CONCURRENCY_MAX,
            initial=of.concurrency,
            widget=forms.NumberInput(attrs={"placeholder": "no limit", "inputmode": "numeric"}),
            help_text=(
                "How many jobs of this version run at once, whoever started them; the others wait. Set it where "
                "something behind your code takes only so many. Empty: no limit but those of the operator."
            ),
        ),
    }
