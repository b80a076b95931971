"""How a version is configured: what it may use, how it is run and how its endpoint answers, as the operator allows."""

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from portal.lib.sizes import limit_in_words
from services import manifest, runtimes
from services.manifest import Manifest
from services.models import ServiceVersion
from services.operating import Operation, operation
from services.sources import Source

INTERPRETER = re.compile(r"3\.\d{1,3}", re.ASCII)
CPU_MILLIS_MIN = 100
MEMORY_MIB_MIN = 64
TIME_LIMIT_SECONDS_MIN = 1
RESOURCES = {  # argument: (least, name of the default, name of the ceiling, in words)
    "cpu_millis": (CPU_MILLIS_MIN, "JOB_CPU_MILLIS_DEFAULT", "JOB_CPU_MILLIS_MAX", "thousandths of a vCPU"),
    "memory_mib": (MEMORY_MIB_MIN, "JOB_MEMORY_MIB_DEFAULT", "JOB_MEMORY_MIB_MAX", "MiB of memory"),
    "time_limit_seconds": (
        TIME_LIMIT_SECONDS_MIN,
        "JOB_TIME_LIMIT_SECONDS_DEFAULT",
        "JOB_TIME_LIMIT_SECONDS_MAX",
        "seconds",
    ),
}
TAKEN_FROM_MANIFEST: dict[str, Callable[[int], str]] = {  # argument: its value in words
    "cpu_millis": lambda millis: f"{millis / 1000:g} vCPU",
    "memory_mib": lambda mebibytes: f"{limit_in_words(mebibytes << 20)} of memory",
}


class Configuration(Operation, total=False):
    """What a provider may choose for a version. What is missing or None is left as it was, else to the defaults."""

    runtime: str | None
    cpu_millis: int | None
    memory_mib: int | None
    time_limit_seconds: int | None
    network: str | None
    interpreter: str | None  # empty: the default of the host
    dialect: str | None
    validates_input: bool | None


def columns(chosen: Configuration, *, runtime: str, before: ServiceVersion | None = None) -> dict[str, Any]:
    """The columns of a version that ``runtime`` runs: what is chosen, else as ``before``, else the defaults of this
    instance. Raises ValidationError.
    """
    if unknown := chosen.keys() - Configuration.__annotations__.keys():
        raise TypeError(f"A version has nothing that is called {', '.join(sorted(unknown))}.")
    before = before or _unconfigured()
    validates_input = chosen.get("validates_input")
    return {
        "runtime": runtime,
        **_checked_resources(chosen, before, network=chosen.get("network") or before.network),
        "dialect": _checked_dialect(chosen.get("dialect") or before.dialect),
        "validates_input": before.validates_input if validates_input is None else validates_input,
        **operation(before, chosen),
        "interpreter": _checked_interpreter(chosen.get("interpreter"), runtime, kept=before.interpreter),
    }


def take_from_manifest(source: Source, chosen: Configuration) -> dict[str, int]:
    """The resources that the project asks for where nobody chose; the warnings of ``source`` tell the provider."""
    taken = {name: value for name, value in resources_of(source.manifest).items() if chosen.get(name) is None}
    source.warnings.extend(manifest.note(source.manifest, taken, TAKEN_FROM_MANIFEST))
    return taken


def resources_of(found: Manifest) -> dict[str, int]:
    """What the project itself asks for, within what this instance allows."""
    bounds = {name: (RESOURCES[name][0], getattr(settings, RESOURCES[name][2])) for name in TAKEN_FROM_MANIFEST}
    return manifest.within(found, **bounds)


def default_network() -> str:
    """The network of a version whose provider chose none."""
    is_open = settings.JOB_NETWORK_DEFAULT == ServiceVersion.Network.OPEN and settings.JOB_NETWORK_ALLOWED
    return ServiceVersion.Network.OPEN if is_open else ServiceVersion.Network.NONE


def _unconfigured() -> ServiceVersion:
    """A version for which nobody chose anything."""
    resources = {
        name: min(getattr(settings, default), getattr(settings, ceiling))
        for name, (_, default, ceiling, _) in RESOURCES.items()
    }
    return ServiceVersion(network=default_network(), **resources)


def _checked_resources(chosen: Configuration, before: ServiceVersion, *, network: str) -> dict[str, Any]:
    """Resources and network, with all that is wrong with them at once. Raises ValidationError."""
    checked: dict[str, Any] = {"network": network}
    problems: dict[str, str] = {}
    for name, (least, _, ceiling, unit) in RESOURCES.items():
        most = getattr(settings, ceiling)
        value = chosen.get(name)
        checked[name] = getattr(before, name) if value is None else value
        if not least <= checked[name] <= most:
            problems[name] = (
                f"{checked[name]:,} {unit} is not possible: this instance allows {least:,} to {most:,}. "
                "Choose a value in between, or ask the operator for more."
            )
    if network not in ServiceVersion.Network:
        problems["network"] = f"Choose one of {', '.join(ServiceVersion.Network)}."
    if network == ServiceVersion.Network.OPEN and not settings.JOB_NETWORK_ALLOWED:
        problems["network"] = (
            "The operator of this instance keeps the network of every job closed. Choose Closed, or ask the operator."
        )
    if problems:
        raise ValidationError(problems)
    return checked


def _checked_dialect(dialect: str) -> str:
    if dialect not in ServiceVersion.Dialect:
        raise ValidationError({"dialect": f"Choose one of {', '.join(ServiceVersion.Dialect)}."})
    return dialect


def _checked_interpreter(number: str | None, runtime: str, *, kept: str) -> str:
    """The version of Python that jobs shall run on; empty for the default of the host. Raises ValidationError.

    The one ``kept`` may be gone from this host meanwhile: then the build says so.
    """
    number = kept if number is None else number
    if not number or runtime != ServiceVersion.RuntimeName.PYTHON:
        return ""
    if number == kept:
        return kept
    known = runtimes.interpreters()
    if not INTERPRETER.fullmatch(number) or (known and number not in known):
        raise ValidationError(
            {
                "interpreter": f"There is no Python {number[:16]} for jobs here. Choose one of {', '.join(known)}, or "
                "ask the operator to install it."
            }
        )
    return number
