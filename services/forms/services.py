"""A service: a new one with its first version, and what people read about it."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from portal.accounts.actors import Actor
from portal.accounts.models import Account
from services import publishing
from services.forms.versions import CodeForm
from services.models import Service

NAME_MAX_CHARACTERS = Service._meta.get_field("name").max_length
SUMMARY_MAX_CHARACTERS = Service._meta.get_field("summary").max_length
DESCRIPTION_MAX_CHARACTERS = Service._meta.get_field("description").max_length


class TagsField(forms.CharField):
    """Words with commas between them. What a tag may be, publishing says."""

    def clean(self, value: Any) -> list[str]:
        return super().clean(value).split(",")

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value


class DescribedForm(forms.Form):
    """What people read about a service."""

    name = forms.CharField(max_length=NAME_MAX_CHARACTERS, help_text="What people call it, in a list of many.")
    summary = forms.CharField(
        max_length=SUMMARY_MAX_CHARACTERS, required=False, help_text="One sentence: what goes in, what comes out."
    )
    description = forms.CharField(
        max_length=DESCRIPTION_MAX_CHARACTERS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "true"}),
        help_text="Markdown. What the service does, what it expects, where its limits are.",
    )
    tags = TagsField(
        max_length=1000,
        required=False,
        help_text=f"Up to {publishing.TAGS_MAX}, with commas between them. The marketplace finds services by them.",
    )


class ServiceForm(DescribedForm, CodeForm):
    """A new service with its first version."""

    def create(self, *, account: Account, by: Actor) -> Service | None:
        """The service; None where it was refused, with the reasons at their fields.

        Resources that nobody touched are those of the project's planqk.json, if it has some.
        """
        untouched = dict.fromkeys(name for name in publishing.TAKEN_FROM_MANIFEST if name not in self.changed_data)
        try:
            return publishing.create_service(account=account, by=by, **(self.cleaned_data | untouched))
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return None


class SettingsForm(DescribedForm):
    """What may change without a new version."""

    def __init__(self, *args: Any, service: Service, **kwargs: Any) -> None:
        kwargs["initial"] = {name: getattr(service, name) for name in ("name", "summary", "description")}
        kwargs["initial"]["tags"] = list(service.tags.order_by("name").values_list("name", flat=True))
        super().__init__(*args, **kwargs)
        self.service = service

    def save(self, *, by: Actor) -> Service | None:
        """The changed service; None where it was refused, with the reasons at their fields."""
        try:
            return publishing.update_service(service=self.service, by=by, **self.cleaned_data)
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return None
