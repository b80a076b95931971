"""What a person fills in to run a job and to find one again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import QuerySet
from django.forms import BoundField
from django.http import QueryDict
from django.views.decorators.debug import sensitive_variables

from jobs import inputs
from jobs.inputs import DEADLINE, SECRETS, TAGS, InputInvalid, InputRefused, Refused, Sent
from jobs.models import Job, Status
from portal.accounts.models import Account
from portal.lib import jsontext
from services.contracts import InputForm
from services.models import Service

FURTHER = "input_"  # begins the name of the field of a further input
BLANK_SECRETS = 1


@dataclass(frozen=True, kw_only=True)
class InputField:
    """An input on the page: its JSON editor, its form, and what the server found wrong inside."""

    name: str
    label: str
    field: BoundField
    form: InputForm
    violations: list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A place in an input that breaks the schema."""

    input: str  # the name of the form's field
    pointer: str  # from the root of that input
    place: str  # for people: `data/values/0`
    message: str


class JobForm(forms.Form):
    """The inputs as JSON texts, tags and secrets. What they must be is checked by jobs.inputs and the schema."""

    # A declared field does not shadow the form's own attribute of that name.
    data = forms.CharField(required=False, strip=False, widget=forms.Textarea(attrs={"rows": 12}))  # type: ignore[assignment]
    params = forms.CharField(required=False, strip=False, widget=forms.Textarea(attrs={"rows": 12}))
    tags = forms.CharField(required=False, help_text="Words to find the job by, with commas between them.")
    deadline = forms.FloatField(
        required=False,
        min_value=0.1,
        max_value=inputs.DEADLINE_MAX_SECONDS / 60,
        help_text="Minutes from now. What has not ended by then is ended; a job that waits does not start any more.",
    )

    def __init__(
        self,
        posted: QueryDict | None = None,
        *,
        wanted: Sequence[InputForm] = (),
        secret_names: Sequence[str] = (),
        values: Mapping[str, str] | None = None,  # to begin with, by the names of the inputs
        tags: Sequence[str] = (),
    ) -> None:
        initial = {self._field_of(name): value for name, value in (values or {}).items()}
        super().__init__(posted, initial=initial | {"tags": ", ".join(tags)})
        self.wanted = wanted
        self.secret_names = secret_names
        self.violations: list[Violation] = []
        for each in wanted:
            if (name := self._field_of(each.name)) not in self.fields:
                widget = forms.Textarea(attrs={"rows": 12})
                self.fields[name] = forms.CharField(label=each.name, required=False, strip=False, widget=widget)
            if each.control:
                self.fields[name].label = f"{self._label_of(each.name)} as JSON"

    @staticmethod
    def _field_of(name: str) -> str:
        return name if name in ("data", "params") else f"{FURTHER}{name}"

    @staticmethod
    def _label_of(name: str) -> str:
        return name.capitalize() if name in ("data", "params") else name

    def inputs(self) -> list[InputField]:
        """The inputs, `data` and `params` first."""
        found = []
        for each in self.wanted:
            name = self._field_of(each.name)
            violations = [{"pointer": v.pointer, "message": v.message} for v in self.violations if v.input == name]
            label = self._label_of(each.name)
            found.append(InputField(name=name, label=label, field=self[name], form=each, violations=violations))
        return found

    def secret_rows(self) -> list[dict[str, Any]]:
        """Names of secrets: what was sent, else what the service wants, and room for one more. Never a value."""
        names = list(dict.fromkeys([*self.secret_names, *filter(None, self._posted("secret_name"))]))
        return [{"name": name, "is_known": name in self.secret_names} for name in [*names, *[""] * BLANK_SECRETS]]

    def _posted(self, name: str) -> list[str]:
        return cast(QueryDict, self.data).getlist(name) if self.is_bound else []

    @sensitive_variables("body", "secrets", "members")
    def sent(self) -> Sent:
        """What `jobs.submission.submit` takes. Raises Refused."""
        texts = {"data": self.cleaned_data["data"], "params": self.cleaned_data["params"]}
        inputs.from_texts(**texts)  # says which of them is wrong, and where
        texts |= {each.name: self.cleaned_data[self._field_of(each.name)] for each in self.wanted}
        secrets = self._secrets()
        members = {
            **{name: text for name, text in texts.items() if text.strip()},
            TAGS: json.dumps([tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()]),
            SECRETS: json.dumps(secrets),
        }
        if minutes := self.cleaned_data["deadline"]:
            members[DEADLINE] = json.dumps(minutes * 60)
        self._check_further(members)
        body = ",".join(f"{json.dumps(name)}:{text}" for name, text in members.items())
        return inputs.parse(f"{{{body}}}".encode())

    @sensitive_variables("rows", "secrets", "value")
    def _secrets(self) -> dict[str, str]:
        rows = zip(self._posted("secret_name"), self._posted("secret_value"), strict=False)
        secrets: dict[str, str] = {}
        for name, value in rows:
            if name.strip() in secrets:
                raise InputRefused("invalid_request", f"The secret {name.strip()!r} is there twice. Leave one out.")
            if value and not name.strip():
                raise InputRefused("invalid_request", "A secret has no name. Write the name that the service asks for.")
            if value:
                secrets[name.strip()] = value
        return secrets

    def _check_further(self, members: Mapping[str, str]) -> None:
        errors = {}
        for each in self.wanted:
            name = self._field_of(each.name)
            if name != each.name and each.name in members:
                try:
                    jsontext.load(members[each.name])
                except jsontext.JsonRefused as error:
                    errors[name] = f"`{each.name}` is not valid JSON: {error}."
        if errors:
            raise InputRefused("invalid_json", errors)

    def take(self, refused: Refused) -> None:
        """Show why the job was not accepted, each reason at its field."""
        if isinstance(refused, InputInvalid):
            self._take_violations(refused)
        elif refused.members.get("pointer") == f"/{TAGS}":
            self.add_error("tags", refused.message_dict[NON_FIELD_ERRORS])
        else:
            self.add_error(None, refused)

    def _take_violations(self, refused: InputInvalid) -> None:
        fields = {each.name: self._field_of(each.name) for each in self.wanted}
        for violation in refused.violations:
            name, slash, inside = violation.pointer.removeprefix("/").partition("/")
            if name not in fields:
                self.add_error(None, f"{violation.pointer or 'The input'}: {violation.message}.")
                continue
            found = Violation(
                input=fields[name],
                pointer=f"{slash}{inside}",
                place=f"{name}{slash}{inside}",
                message=f"{violation.message}.",
            )
            self.violations.append(found)
        if more := refused.members.get("more"):
            self.add_error(None, f"And {more:,} places more that do not fit.")
        for name in dict.fromkeys(violation.input for violation in self.violations):
            self.add_error(name, "It does not fit what the service takes: see the list at the top.")


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
