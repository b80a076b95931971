"""The API description of a version, as text."""

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from portal.accounts.actors import Actor
from services import contracts, publishing
from services.models import ServiceVersion


class DescriptionForm(forms.Form):
    """The API description of a version, as text. A published version keeps its own: then it is a new version's.

    Three buttons send it: *Save*, *Open* (a file takes the place of the text) and, without script, *Check*.
    """

    text = forms.CharField(
        label="OpenAPI description",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 28, "spellcheck": "false", "autocapitalize": "off", "wrap": "off"}),
    )
    seen = forms.CharField(widget=forms.HiddenInput)
    openapi_file = forms.FileField(
        label="Open a file",
        required=False,
        widget=forms.FileInput(attrs={"accept": ".yml,.yaml,.json", "aria-label": "Open a file"}),
    )

    def __init__(
        self,
        data: QueryDict | None,
        files: MultiValueDict[str, UploadedFile] | None,
        *,
        version: ServiceVersion,
        start: str | None = None,
    ) -> None:
        self.version = version
        self.overtaken: publishing.Overtaken | None = None
        self.is_for_new_version = version.published_at is not None
        if data is not None:
            data = data.copy()
            if data.get("do") == "open" and files and (opened := files.get("openapi_file")):
                data["text"] = opened.read(settings.OPENAPI_MAX_BYTES + 1).decode("utf-8-sig", "replace")
            if over := data.get("over"):
                data["do"], data["seen"] = "save", over
        is_save = data is not None and data.get("do") == "save"
        self.was_published_meanwhile = False
        if self.is_for_new_version:
            number = publishing.next_number(version.service)
            if data is not None and "number" not in data:
                self.was_published_meanwhile = is_save
                data["number"] = number
        self.is_to_be_saved = is_save and not self.was_published_meanwhile
        super().__init__(data, files)
        if self.is_for_new_version:
            self.fields["number"] = forms.CharField(label="Number of the new version", max_length=32, initial=number)
        self.initial["seen"] = publishing.digest(version.openapi)
        if not self.is_bound:
            is_default = start == "default"
            contract = publishing.default_description(version) if is_default else contracts.load(version.openapi)
            self.initial["text"] = contracts.dump(contract, "json" if start == "json" else "yaml")

    def text_now(self) -> str:
        """The text as it stands in the field."""
        return str(self["text"].value() or "")

    def save(self, *, by: Actor) -> ServiceVersion | None:
        """The version that has the description now; None where it was refused, with the reasons in the form."""
        text = self.cleaned_data["text"]
        try:
            if self.is_for_new_version:
                number = self.cleaned_data["number"]
                return publishing.add_version(
                    service=self.version.service, by=by, of=self.version, number=number, text=text
                )
            return publishing.describe(version=self.version, text=text, by=by, seen=self.cleaned_data["seen"])
        except publishing.Overtaken as overtaken:
            self.overtaken = overtaken
            self.add_error(None, overtaken)
        except ValidationError as refusal:
            self.add_error(None, refusal)
        return None
