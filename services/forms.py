"""The forms of the provider's pages. Their fields are named as the arguments of publishing's verbs, which check."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from portal.accounts.actors import Actor
from portal.accounts.models import Account, Application
from services import contracts, operating, publication, publishing, runtimes, subscriptions, variables
from services.models import Service, ServiceShare, ServiceVersion, Subscription
from services.runtimes import image_names

MEMORY_UNITS = {"MiB": 1, "GiB": 1024}
TIME_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600}
MILLIS_A_VCPU = 1000
INPUT_CHECKS = (("refuse", "Refuse what breaks the description"), ("any", "Take any input"))
DEFAULT_INTERPRETER = "default"
KEPT = {"hx-preserve": True}  # htmx swaps the form around a chosen file, so that a refusal loses nothing
NAME_MAX = Service._meta.get_field("name").max_length
SUMMARY_MAX = Service._meta.get_field("summary").max_length
DESCRIPTION_MAX = Service._meta.get_field("description").max_length


class QuantityWidget(forms.MultiWidget):
    """A number and its unit, side by side; one label names both."""

    def __init__(self, *, units: Mapping[str, int], of: str) -> None:
        self.units = units
        number = forms.NumberInput(attrs={"step": "any", "min": 0, "inputmode": "decimal"})
        unit = forms.Select(choices=[(name, name) for name in units], attrs={"aria-label": f"Unit of the {of}"})
        super().__init__([number, unit], attrs={"class": "quantity"})

    def decompress(self, value: int | None) -> list[Any]:
        """``value`` in the largest unit that leaves it whole."""
        if value is None:
            return [None, next(iter(self.units))]
        name, factor = max(
            ((name, factor) for name, factor in self.units.items() if value % factor == 0), key=lambda unit: unit[1]
        )
        return [value // factor, name]

    def id_for_label(self, id_: str) -> str:
        return f"{id_}_0"


class QuantityField(forms.MultiValueField):
    """A whole number of the smallest unit, typed in any of ``units`` (name → how many of the smallest)."""

    widget: QuantityWidget

    def __init__(self, *, units: Mapping[str, int], of: str, **options: Any) -> None:
        self.units = units
        number = forms.DecimalField(min_value=0, max_digits=12, decimal_places=4)
        unit = forms.ChoiceField(choices=[(name, name) for name in units])
        super().__init__([number, unit], widget=QuantityWidget(units=units, of=of), **options)
        self.widget.use_fieldset = False

    def compress(self, data_list: list[Any]) -> int | None:
        if not data_list:
            return None
        number, unit = data_list
        return round(number * self.units[unit])


class VcpuField(forms.DecimalField):
    """Virtual CPUs as people say them (0.5), thousandths of one as the model keeps them (500)."""

    def __init__(self, *, max_millis: int, **options: Any) -> None:
        super().__init__(min_value=Decimal("0.1"), max_value=in_vcpus(max_millis), decimal_places=3, **options)
        self.widget.attrs["step"] = "0.1"

    def clean(self, value: Any) -> int | None:
        vcpus = super().clean(value)
        return None if vcpus is None else int(vcpus * MILLIS_A_VCPU)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def prepare_value(self, value: Any) -> Any:
        return in_vcpus(value) if isinstance(value, int) else value


def in_vcpus(millis: int) -> Decimal:
    """Thousandths of a vCPU as vCPUs, without zeros at the end."""
    return Decimal(f"{Decimal(millis) / MILLIS_A_VCPU:f}")


def in_words(value: int, units: Mapping[str, int]) -> str:
    """``value`` of the smallest unit with the largest that leaves it whole: `24 hours`, `1 GiB`."""
    number, unit = QuantityWidget(units=units, of="").decompress(value)
    return f"{number:,} {unit[:-1] if number == 1 and unit.endswith('s') else unit}"


class TagsField(forms.CharField):
    """Words with commas between them. What a tag may be, publishing says."""

    def clean(self, value: Any) -> list[str]:
        return super().clean(value).split(",")

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value


class CeilingField(forms.IntegerField):
    """A number of things at once; empty means no limit, which the verbs call 0."""

    def clean(self, value: Any) -> int:
        return super().clean(value) or 0


def interpreter_field(*, kept: str = "") -> forms.Field | None:
    """The choice among the interpreters of this host, ``kept`` among them; None where there is no choice."""
    known = runtimes.interpreters()
    named = [(number, f"Python {number}") for number in known]
    if kept and kept not in known:
        named.append((kept, f"Python {kept} (this host has it no longer)"))
    if len(named) < 2:
        return None
    default = f"Default (now {known[0]})" if known else "Default"
    return forms.TypedChoiceField(
        label="Python",
        choices=[(DEFAULT_INTERPRETER, default), *named],
        initial=kept or DEFAULT_INTERPRETER,
        coerce=lambda choice: "" if choice == DEFAULT_INTERPRETER else choice,
        empty_value=None,
        required=False,
        help_text="Which interpreter builds and runs it. The default is what the host prefers when the build begins.",
    )


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


class RuntimeSelect(forms.Select):
    """The runtimes; what this instance cannot run is shown and cannot be chosen."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        if value and runtimes.refusal(str(value)):
            option["attrs"]["disabled"] = True
        return option


def code_fields(of: ServiceVersion | None = None) -> dict[str, forms.Field]:
    """What runs the code, and an image in place of a zip. They begin as in ``of``."""
    reason = runtimes.refusal(ServiceVersion.RuntimeName.DOCKER)
    kept = f"As in {of.number}, or as the new zip tells" if of else "As the zip tells"
    fields: dict[str, forms.Field] = {
        "runtime": forms.ChoiceField(
            required=False,
            choices=[("", kept), *ServiceVersion.RuntimeName.choices],
            widget=RuntimeSelect,
            help_text=(
                f"Containers do not run here now. {reason}"
                if reason
                else "Python calls run() in src/program.py. Container builds the Dockerfile at the top of the zip."
            ),
        )
    }
    if not reason:
        fields["image"] = forms.CharField(
            label="Image instead of a zip",
            required=False,
            max_length=image_names.MAX_LENGTH,
            initial=of.image if of else "",
            widget=forms.TextInput(
                attrs={
                    "autocomplete": "off",
                    "autocapitalize": "none",
                    "spellcheck": "false",
                    "placeholder": "none",
                }
            ),
            help_text="One that its registry gives to anybody, such as registry.example/team/solver:1.2.",
        )
    return fields


class DescribedForm(forms.Form):
    """What people read about a service."""

    name = forms.CharField(max_length=NAME_MAX, help_text="What people call it, in a list of many.")
    summary = forms.CharField(
        max_length=SUMMARY_MAX, required=False, help_text="One sentence: what goes in, what comes out."
    )
    description = forms.CharField(
        max_length=DESCRIPTION_MAX,
        required=False,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "true"}),
        help_text="Markdown. What the service does, what it expects, where its limits are.",
    )
    tags = TagsField(
        max_length=1000,
        required=False,
        help_text=f"Up to {publishing.TAGS_MAX}, with commas between them. The marketplace finds services by them.",
    )


class CodeForm(forms.Form):
    """The zip, its API description, and what a run of it may use."""

    upload = forms.FileField(
        label="Zip of your project", widget=forms.FileInput(attrs={"accept": ".zip,application/zip"} | KEPT)
    )
    openapi_file = forms.FileField(
        label="OpenAPI file",
        required=False,
        widget=forms.FileInput(attrs={"accept": ".yml,.yaml,.json"} | KEPT),
        help_text="Version 3.0 or 3.1, YAML or JSON. Without one, the file in your zip is taken, else a default.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        time_limit_max = in_words(settings.JOB_TIME_LIMIT_SECONDS_MAX, TIME_UNITS)
        megabytes = settings.SOURCE_MAX_BYTES // (1024 * 1024)
        self.fields |= code_fields()
        upload = self.fields["upload"]
        upload.help_text = (
            f"A zip of at most {megabytes} MB with src/program.py and its function run(), or a Dockerfile."
        )
        upload.required = "image" not in self.fields
        self.fields |= {
            "cpu_millis": VcpuField(
                label="vCPU",
                max_millis=settings.JOB_CPU_MILLIS_MAX,
                initial=settings.JOB_CPU_MILLIS_DEFAULT,
                help_text=(
                    f"At most {in_vcpus(settings.JOB_CPU_MILLIS_MAX)}. Threads beyond it share it: a job gets slower, "
                    "it does not fail."
                ),
            ),
            "memory_mib": QuantityField(
                label="Memory",
                units=MEMORY_UNITS,
                of="memory",
                initial=settings.JOB_MEMORY_MIB_DEFAULT,
                help_text=(
                    f"At most {in_words(settings.JOB_MEMORY_MIB_MAX, MEMORY_UNITS)}. A job that needs more is ended "
                    "as out of memory. Files in /tmp count."
                ),
            ),
            "time_limit_seconds": QuantityField(
                label="Time limit",
                units=TIME_UNITS,
                of="time limit",
                initial=settings.JOB_TIME_LIMIT_SECONDS_DEFAULT,
                help_text=f"From its start; what runs longer is ended, without a result. At most {time_limit_max}.",
            ),
            "network": forms.ChoiceField(
                choices=ServiceVersion.Network.choices,
                initial=publishing.default_network(),
                disabled=not settings.JOB_NETWORK_ALLOWED,
                help_text=(
                    "Open lets your code reach other hosts, and other hosts reach what your code sends."
                    if settings.JOB_NETWORK_ALLOWED
                    else "The operator of this instance keeps the network of every job closed."
                ),
            ),
            "validates_input": forms.TypedChoiceField(
                label="Input check",
                choices=INPUT_CHECKS,
                coerce=lambda choice: choice == INPUT_CHECKS[0][0],
                empty_value=None,
                required=False,
                help_text=(
                    "What breaks the InputData or InputParams that you describe is refused before a job starts, with "
                    "every place that is wrong. A generated description refuses nothing."
                ),
            ),
            "dialect": forms.TypedChoiceField(
                choices=ServiceVersion.Dialect.choices,
                empty_value=None,
                required=False,
                help_text="How its endpoint answers. Keep the current one unless clients of 2022 call it.",
            ),
        }
        if (interpreter := interpreter_field()) is not None:
            self.fields["interpreter"] = interpreter
        self.fields |= operation_fields()


class ServiceForm(DescribedForm, CodeForm):
    """A new service with its first version."""

    def create(self, *, account: Account, by: Actor) -> Service | None:
        """The service; None where it was refused, with the reasons at their fields.

        Resources that nobody touched are those of the project's planqk.json, if it has some.
        """
        untouched = dict.fromkeys(name for name in publishing.MANIFEST_WORDS if name not in self.changed_data)
        try:
            return publishing.create_service(account=account, by=by, **(self.cleaned_data | untouched))
        except ValidationError as refusal:
            self.add_error(None, refusal)
            return None


class VersionForm(CodeForm):
    """The next version of a service: what is left out stays as it is."""

    number = forms.CharField(
        label="Version",
        max_length=32,
        help_text="major.minor.patch, larger than the one before. The next minor is suggested.",
    )

    def __init__(self, *args: Any, service: Service, latest: ServiceVersion, **kwargs: Any) -> None:
        names = ("cpu_millis", "memory_mib", "time_limit_seconds", "network", "dialect")
        initial = {name: getattr(latest, name) for name in names} | {"number": publishing.next_number(service)}
        initial["validates_input"] = INPUT_CHECKS[not latest.validates_input][0]
        if not settings.JOB_NETWORK_ALLOWED:
            initial["network"] = ServiceVersion.Network.NONE  # it may have been allowed when the latest was added
        super().__init__(*args, initial=initial, **kwargs)
        self.service = service
        if (interpreter := interpreter_field(kept=latest.interpreter)) is not None:
            self.fields["interpreter"] = interpreter
        self.fields |= operation_fields(latest) | code_fields(latest)
        self.fields["upload"].required = False
        self.fields["upload"].help_text += f" Without one, the code of {latest.number} stays."
        self.fields["openapi_file"].help_text = (
            "Version 3.0 or 3.1, YAML or JSON. Without one, the file in the new zip is taken, "
            f"else that of {latest.number}."
        )

    def create(self, *, by: Actor) -> ServiceVersion | None:
        """The version; None where it was refused, with the reasons at their fields."""
        try:
            return publishing.add_version(service=self.service, by=by, **self.cleaned_data)
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
        max_length=variables.NAME_MAX,
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


class ShareForm(forms.Form):
    """With whom a service is shared: an account, or the own account of a person."""

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
