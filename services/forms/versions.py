"""The code of a version, what a run of it may use, and how its endpoint answers."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from portal.accounts.actors import Actor
from portal.lib.sizes import limit_in_words
from services import publishing, runtimes
from services.forms.quantities import MEMORY_UNITS, TIME_UNITS, QuantityField, VcpuField, in_vcpus, in_words
from services.forms.runtime import operation_fields
from services.models import Service, ServiceVersion
from services.runtimes import image_names

INPUT_CHECKS = (("refuse", "Refuse what breaks the description"), ("any", "Take any input"))
DEFAULT_INTERPRETER = "default"
KEPT = {"hx-preserve": True}  # htmx swaps the form around a chosen file, so that a refusal loses nothing


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
        self.fields |= code_fields()
        upload = self.fields["upload"]
        upload.help_text = (
            f"A zip of at most {limit_in_words(settings.SOURCE_MAX_BYTES)} with src/program.py and its function run(), "
            "or a Dockerfile."
        )
        upload.error_messages |= {
            "required": "Choose the zip of your project.",
            "empty": "The file is empty. Zip the project again from inside its folder: zip -r ../project.zip .",
        }
        upload.required = "image" not in self.fields
        self.fields |= resource_fields() | endpoint_fields()
        if (interpreter := interpreter_field()) is not None:
            self.fields["interpreter"] = interpreter
        self.fields |= operation_fields()


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
            max_length=image_names.MAX_CHARACTERS,
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


def resource_fields() -> dict[str, forms.Field]:
    """What a run may use, up to what the operator allows."""
    time_limit_max = in_words(settings.JOB_TIME_LIMIT_SECONDS_MAX, TIME_UNITS)
    return {
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
    }


def endpoint_fields() -> dict[str, forms.Field]:
    """How the endpoint of the version answers, and what it takes."""
    return {
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
