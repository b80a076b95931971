"""What a person fills in to run a job and to find one again."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from jobs.models import Job, Status
from portal.accounts.models import Account
from services.models import Service


class JobForm(forms.Form):
    """Data and params as JSON texts. What they must be is checked by jobs.submission."""

    # A declared field does not shadow the form's own attribute of that name.
    data = forms.CharField(  # type: ignore[assignment]
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12}),
        help_text="JSON. The first argument of run().",
    )
    params = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12}),
        help_text="JSON. The second argument of run().",
    )


class JobFilter(forms.Form):
    """The filters of the list, kept in the URL. What makes no sense is ignored."""

    status = forms.ChoiceField(required=False, choices=[("", "Any status"), *Status.choices])
    service = forms.ModelChoiceField(Service.objects.none(), required=False, empty_label="Any service")

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["service"].queryset = Service.objects.visible_to(account).order_by("name")  # type: ignore[attr-defined]

    def narrow(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """The jobs that the filters leave. Call `is_valid()` before."""
        if status := self.cleaned_data.get("status"):
            jobs = jobs.filter(status=status)
        if service := self.cleaned_data.get("service"):
            jobs = jobs.filter(version__service=service)
        return jobs

    def is_narrowing(self) -> bool:
        """Whether any filter is set."""
        return any(self.cleaned_data.values())
