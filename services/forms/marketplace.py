"""From the marketplace to an application that calls the service."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from portal.accounts.actors import Actor
from portal.accounts.models import Account, Application
from services import subscriptions
from services.models import ServiceVersion, Subscription


class SubscribeForm(forms.Form):
    """Which of the account's applications shall call a service: one that does not yet."""

    application = forms.ModelChoiceField(
        Application.objects.none(), empty_label=None, help_text="The client that will call the service."
    )

    def __init__(self, *args: Any, account: Account, version: ServiceVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.version = version
        subscribed = subscriptions.active_of_service(version.service).values("application")
        candidates = Application.objects.visible_to(account).exclude(pk__in=subscribed).order_by("name")
        self.fields["application"].queryset = candidates  # type: ignore[attr-defined]
        self.has_choice = candidates.exists()

    def subscribe(self, *, by: Actor) -> Subscription | None:
        """The subscription; None where it was refused, with the reason."""
        application, service = self.cleaned_data["application"], self.version.service
        try:
            return subscriptions.subscribe(application=application, service=service, version=self.version, by=by)
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return None
