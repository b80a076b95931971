"""With whom a service is shared."""

from django import forms
from django.core.exceptions import ValidationError

from portal.accounts.actors import Actor
from services import publication
from services.models import Service, ServiceShare


class ShareForm(forms.Form):
    """An account, or the own account of a person."""

    account = forms.CharField(
        max_length=254,
        label="Account or person",
        help_text="The name of an account as it stands in addresses, or the e-mail address of a person.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def share(self, *, service: Service, by: Actor) -> ServiceShare | None:
        """The share; None where it was refused, with the reason."""
        try:
            return publication.share_with(service=service, name=self.cleaned_data["account"], by=by)
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return None
