"""Making and changing offers. Making a version runnable is builds.py's business, taking zips apart sources.py's.

Every verb refuses with a ValidationError whose keys are the verb's own argument names (`upload`, `openapi_file`,
`name`, `memory_mib`, …): a form with fields of the same names takes it by ``form.add_error(None, error)``.
Who may do it is the caller's question (rules.py).
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from portal.accounts.actors import Actor
from portal.accounts.models import Account
from services import builds, contracts, manifest, runtimes, sources, subscriptions, variables
from services.contracts import Contract, ContractRejected
from services.manifest import Manifest
from services.models import Service, ServiceTag, ServiceVersion
from services.operating import operation
from services.runtimes import image_names
from services.sources import Source, SourceRejected

FIRST_NUMBER = "1.0.0"
INTERPRETER = re.compile(r"3\.\d{1,3}", re.ASCII)
NUMBER = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", re.ASCII)
CPU_MILLIS_MIN = 100
MEMORY_MIB_MIN = 64
TIME_LIMIT_SECONDS_MIN = 1
TAGS_MAX = 10
TAG_MAX = ServiceTag._meta.get_field("name").max_length or 0  # it has one, which its type does not say
BROUGHT = (ServiceVersion.OpenapiOrigin.UPLOADED, ServiceVersion.OpenapiOrigin.EDITED)
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
MANIFEST_WORDS: dict[str, Callable[[int], str]] = {
    "cpu_millis": lambda millis: f"{millis / 1000:g} vCPU",
    "memory_mib": lambda mebibytes: f"{mebibytes:,} MiB of memory",
}

# Asked before a service is deleted: the layers above know things that this one does not.
_objectors: list[Callable[[Service], str | None]] = []
Objector = TypeVar("Objector", bound=Callable[[Service], str | None])


def may_object(ask: Objector) -> Objector:
    """Register ``ask``: it returns why ``service`` must not be deleted now, in words for its owner, or None."""
    _objectors.append(ask)
    return ask


def create_service(
    *,
    account: Account,
    by: Actor,
    name: str,
    upload: File | None = None,
    image: str = "",
    summary: str = "",
    description: str = "",
    tags: Iterable[str] = (),
    openapi_file: File | None = None,
    runtime: str | None = None,
    cpu_millis: int | None = None,
    memory_mib: int | None = None,
    time_limit_seconds: int | None = None,
    network: str | None = None,
    interpreter: str | None = None,
    retryable: bool | None = None,
    concurrency: int | None = None,
    warm_start: bool | None = None,
    dialect: str | None = None,
    validates_input: bool | None = None,
    slug: str = "",
) -> Service:
    """Offer a new service with version 1.0.0, whose build is asked for. Its code is ``upload``, which itself tells the
    runtime where that is None, or the ``image`` of a registry. None for a resource means what the project's
    own planqk.json asks for, within what is possible here, else the default. A concurrency of 0 means no limit.

    The slug is made from the name, with a number behind it where the account has such a service already; a given
    ``slug`` must be free.
    """
    asked = {"cpu_millis": cpu_millis, "memory_mib": memory_mib, "time_limit_seconds": time_limit_seconds}
    words = _checked_words(name=name, summary=summary, description=description)
    tags = checked_tags(tags)
    brought = _brought(upload, image.strip(), runtime or None)
    settled = _settled(runtime=brought.runtime, network=network or default_network(), **asked)
    settled |= _called(dialect or ServiceVersion.Dialect.CURRENT, validates_input is not False)
    settled |= operation(retryable=retryable, concurrency=concurrency, warm_start=warm_start)
    settled["interpreter"] = _checked_interpreter(interpreter or "", brought.runtime)
    source = brought.source
    taken = {name: value for name, value in resources_of(source.manifest).items() if asked[name] is None}
    settled |= taken
    source.warnings.extend(manifest.note(source.manifest, taken, MANIFEST_WORDS))
    contract, origin = _described(source, openapi_file, name=words["name"], summary=words["summary"])
    brought.store()
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)  # two at once get two slugs
        service = Service(account=account, slug=_free_slug(account, slug, words["name"]), created_by=by.user, **words)
        _validate(service)
        service.save()
        _set_tags(service, tags)
        version = _new_version(service, by, FIRST_NUMBER, brought.code(), contract, origin, settled)
        builds.request_build(version=version, by=by)
    return service


def add_version(
    *,
    service: Service,
    by: Actor,
    number: str | None = None,
    upload: File | None = None,
    image: str = "",
    openapi_file: File | None = None,
    text: str | None = None,
    of: ServiceVersion | None = None,
    runtime: str | None = None,
    cpu_millis: int | None = None,
    memory_mib: int | None = None,
    time_limit_seconds: int | None = None,
    network: str | None = None,
    interpreter: str | None = None,
    retryable: bool | None = None,
    concurrency: int | None = None,
    warm_start: bool | None = None,
    dialect: str | None = None,
    validates_input: bool | None = None,
) -> ServiceVersion:
    """Add a version and ask for its build. What is None stays as in ``of``, else as in the latest version; the number
    grows by a minor. Its variables are those of that version. A concurrency of 0 means no limit.

    The API description: ``openapi_file`` or its edited ``text``, else that of a new zip, else one that a person brought
    or wrote stays, else a new default.
    """
    latest = of or service.versions.latest("id")
    asked = {"cpu_millis": cpu_millis, "memory_mib": memory_mib, "time_limit_seconds": time_limit_seconds}
    kept = {key: getattr(latest, key) if value is None else value for key, value in asked.items()}
    brought = _newly_brought(latest, upload, image.strip(), runtime or None)
    chosen = brought.runtime if brought else latest.runtime
    settled = _settled(runtime=chosen, network=network or latest.network, **kept)
    validates_input = latest.validates_input if validates_input is None else validates_input
    settled |= _called(dialect or latest.dialect, validates_input)
    settled |= operation(latest, retryable=retryable, concurrency=concurrency, warm_start=warm_start)
    interpreter = latest.interpreter if interpreter is None else interpreter
    settled["interpreter"] = _checked_interpreter(interpreter, chosen, kept=latest.interpreter)
    if brought is None:
        code = _Code.of(latest)
        contract, origin = contracts.load(latest.openapi), latest.openapi_origin
        if openapi_file is not None:
            contract, origin = _parsed(openapi_file), ServiceVersion.OpenapiOrigin.UPLOADED
        elif text is not None:
            contract, origin = _written(text), ServiceVersion.OpenapiOrigin.EDITED
    else:
        source, code = brought.source, brought.code()
        if openapi_file is None and not source.openapi and latest.openapi_origin in BROUGHT:
            contract, origin = contracts.load(latest.openapi), latest.openapi_origin
        else:
            contract, origin = _described(source, openapi_file, name=service.name, summary=service.summary)
        brought.store()
    with transaction.atomic():
        service = _locked(service)
        version = _new_version(service, by, _checked_number(service, number), code, contract, origin, settled)
        variables.copy_variables(source=latest, target=version)
        service.save(update_fields=["updated_at"])
        builds.request_build(version=version, by=by)
    return version


def describe(*, version: ServiceVersion, text: str, by: Actor, seen: str) -> ServiceVersion:
    """Give a version that was never published another API description.

    ``seen`` is `digest` of the description that ``text`` was made from: Overtaken where it is another one by now.
    """
    contract = _written(text)
    with transaction.atomic():
        version = ServiceVersion.objects.select_for_update(of=("self",)).get(pk=version.pk)
        if version.published_at:
            raise ValidationError(
                f"Version {version.number} has been published, and callers rely on its description. "
                "Save yours as a new version."
            )
        if digest(version.openapi) != seen:
            raise Overtaken(version)
        kept = [words for words in version.warnings if words not in contracts.WARNINGS]
        version.openapi = contracts.dump(contract, "json")
        version.openapi_origin = ServiceVersion.OpenapiOrigin.EDITED
        version.warnings = [*kept, *contract.warnings]
        version.save(update_fields=["openapi", "openapi_origin", "warnings"])
    return version


def default_description(version: ServiceVersion) -> Contract:
    """The description that ``version`` would have if its provider had brought none."""
    service = version.service
    try:
        unread = sources.unread(version.source_sha256)
        source = sources.kept(version.source_sha256, runtime=version.runtime) if version.source_sha256 else unread
    except (OSError, SourceRejected):  # the limits may have become stricter; the rest of the description is the same
        source = sources.unread(version.source_sha256)
    return contracts.default(name=service.name, summary=service.summary, source=source)


def digest(openapi: str) -> str:
    """By which two API descriptions are told apart."""
    return hashlib.sha256(openapi.encode()).hexdigest()[:32]


class Overtaken(ValidationError):
    """Somebody else saved ``openapi`` in the meantime. ``seen`` is its digest: saving over it takes that."""

    def __init__(self, version: ServiceVersion) -> None:
        self.openapi = version.openapi
        self.seen = digest(version.openapi)
        super().__init__(
            f"Somebody else saved the description of {version.number} while you wrote, so yours is not saved yet. "
            "Compare the two, then save yours over it, or leave the page to keep theirs."
        )


def update_service(
    *,
    service: Service,
    by: Actor,
    name: str | None = None,
    summary: str | None = None,
    description: str | None = None,
    tags: Iterable[str] | None = None,
) -> Service:
    """Change what people read about the service. Its slug, and so every address, stays. What is None stays, too."""
    given = {"name": name, "summary": summary, "description": description}
    words = _checked_words(**{key: getattr(service, key) if value is None else value for key, value in given.items()})
    tags = None if tags is None else checked_tags(tags)
    with transaction.atomic():
        service = _locked(service)
        for key, value in words.items():
            setattr(service, key, value)
        _validate(service)
        service.save(update_fields=[*words, "updated_at"])
        if tags is not None:
            _set_tags(service, tags)
    return service


def delete_service(*, service: Service, by: Actor, confirmed: bool = False) -> Service:
    """Hide the service and free its slug. Finished jobs stay with those who ran them, with their results.

    Its subscriptions end; unless ``confirmed``, that is refused with a `subscriptions.TakesAway` that says whose.
    Refused (ValidationError without a key) while the service has live jobs. A build under way runs to its end, unseen.
    """
    with transaction.atomic():
        service = _locked(service)
        objections = [words for ask in _objectors if (words := ask(service))]
        if objections:
            raise ValidationError(objections)
        subscribers = subscriptions.active_of_service(service)
        subscriptions.ask_first(f"{service} would be deleted, and these would end.", subscribers, confirmed=confirmed)
        subscriptions.end_all(subscribers)
        service.deleted_at = timezone.now()
        service.save(update_fields=["deleted_at", "updated_at"])
    return service


def next_number(service: Service) -> str:
    """The number that `add_version` gives by itself: the next minor."""
    major, minor, _ = max(_numbers(service), default=(1, -1, 0))
    return f"{major}.{minor + 1}.0"


@dataclass(frozen=True, kw_only=True)
class _Code:
    """The columns of a version that say what its code is."""

    source_sha256: str
    source_size: int
    source_name: str
    image: str
    warnings: list[str]

    @classmethod
    def of(cls, version: ServiceVersion) -> "_Code":
        return cls(**{name: getattr(version, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class _Brought:
    """Code that a provider brings: a checked zip, or an image of a registry."""

    source: Source
    runtime: str
    upload: File | None = None
    image: str = ""

    def code(self) -> _Code:
        return _Code(
            source_sha256=self.source.sha256,
            source_size=self.source.size,
            source_name=(self.image or self.source.name)[-255:],
            image=self.image,
            warnings=self.source.warnings,
        )

    def store(self) -> None:
        """Keep the zip."""
        if self.upload is not None:
            sources.store(self.upload, sha256=self.source.sha256)


def _brought(upload: File | None, image: str, runtime: str | None) -> _Brought:
    """The code of a version, for the runtime that was chosen or that it itself tells. Raises ValidationError."""
    if upload is not None and image:
        raise ValidationError({"image": "Send a zip or name an image, not both: which of them is it?"})
    if upload is None and not image:
        raise ValidationError({"upload": "Send the zip of your project, or name an image of a registry."})
    if runtime is not None and runtime not in ServiceVersion.RuntimeName:
        names = ", ".join(ServiceVersion.RuntimeName)
        raise ValidationError({"runtime": f"There is no runtime {runtime[:16]!r}. Choose one of {names}."})
    if upload is not None:
        source = _checked_source(upload, runtime)
        _refuse_without_engine(source.runtime, field="runtime" if runtime else "upload")
        return _Brought(source=source, runtime=source.runtime, upload=upload)
    if runtime == ServiceVersion.RuntimeName.PYTHON:
        raise ValidationError({"image": "An image is run by the runtime Container. Choose that, or send a zip."})
    if reason := image_names.problem_with(image):
        raise ValidationError({"image": reason})
    _refuse_without_engine(ServiceVersion.RuntimeName.DOCKER, field="image")
    return _Brought(source=sources.unread(""), runtime=ServiceVersion.RuntimeName.DOCKER, image=image)


def _newly_brought(latest: ServiceVersion, upload: File | None, image: str, runtime: str | None) -> _Brought | None:
    """The code of the version after ``latest``; None where it stays. Raises ValidationError."""
    if upload is not None or (image and image != latest.image):
        return _brought(upload, image if image != latest.image else "", runtime)
    if runtime not in (None, latest.runtime):
        raise ValidationError(
            {"runtime": f"The code of {latest.number} is for another runtime. Send a zip for this one."}
        )
    _refuse_without_engine(latest.runtime, field="runtime")
    return None


def _refuse_without_engine(runtime: str, *, field: str) -> None:
    if reason := runtimes.refusal(runtime):
        raise ValidationError(
            {
                field: f"This is a container, and containers do not run here: {reason} Nothing was created. Ask the "
                "operator, or send a project with src/program.py, which runs as Python."
            }
        )


def _new_version(
    service: Service, by: Actor, number: str, code: _Code, contract: Contract, origin: str, settled: dict[str, Any]
) -> ServiceVersion:
    version = ServiceVersion(
        service=service,
        number=number,
        created_by=by.user,
        openapi=contracts.dump(contract, "json"),
        openapi_origin=origin,
        warnings=[*(words for words in code.warnings if words not in contracts.WARNINGS), *contract.warnings],
        source_sha256=code.source_sha256,
        source_size=code.source_size,
        source_name=code.source_name,
        image=code.image,
        **settled,
    )
    _validate(version)
    version.save()
    return version


def _locked(service: Service) -> Service:
    """The row as it is now, held until the transaction ends."""
    found = Service.objects.select_for_update().filter(pk=service.pk, deleted_at=None).first()
    if found is None:
        raise ValidationError("The service was deleted in the meantime. Go back to your services.")
    return found


def _validate(row: Service | ServiceVersion) -> None:
    """Hold the row against its columns: lengths and choices. What else there is to check was checked before."""
    ours = {"account", "service", "created_by", "warnings"}
    row.clean_fields(exclude=ours & {field.name for field in row._meta.fields})


def _checked_words(*, name: str, summary: str, description: str) -> dict[str, str]:
    words = {"name": name.strip(), "summary": " ".join(summary.split()), "description": description.strip()}
    if not words["name"]:
        raise ValidationError({"name": "A service needs a name, by which people find it. Write one."})
    unprintable = next((key for key in ("name", "summary") if not words[key].isprintable()), None)
    if unprintable or "\0" in words["description"]:
        raise ValidationError({unprintable or "description": "It has control characters. Remove them."})
    return words


def checked_tags(tags: Iterable[str]) -> list[str]:
    """Tags as they are kept: small letters, digits and hyphens, each once. Raises ValidationError."""
    checked: dict[str, None] = {}
    for tag in filter(None, map(str.strip, tags)):
        kept = slugify(tag)
        if not kept:
            raise ValidationError({"tags": f"“{tag[:20]}” has no letter from a to z and no digit. Write another tag."})
        if len(kept) > TAG_MAX:
            raise ValidationError({"tags": f"“{tag[:20]}…” is longer than {TAG_MAX} characters. Write a shorter tag."})
        checked[kept] = None
    if len(checked) > TAGS_MAX:
        raise ValidationError(
            {"tags": f"These are {len(checked)} tags, and a service has at most {TAGS_MAX}. Take some away."}
        )
    return list(checked)


def _set_tags(service: Service, tags: Iterable[str]) -> None:
    service.tags.exclude(name__in=tags).delete()
    ServiceTag.objects.bulk_create((ServiceTag(service=service, name=tag) for tag in tags), ignore_conflicts=True)


def _called(dialect: str, validates_input: bool) -> dict[str, Any]:
    """How the version answers and what it takes. Raises ValidationError."""
    if dialect not in ServiceVersion.Dialect:
        raise ValidationError({"dialect": f"Choose one of {', '.join(ServiceVersion.Dialect)}."})
    return {"dialect": dialect, "validates_input": validates_input}


def _settled(*, runtime: str, network: str, **resources: int | None) -> dict[str, Any]:
    """Runtime, network and resources within what the operator allows. Raises ValidationError."""
    problems: dict[str, str] = {}
    settled: dict[str, Any] = {"runtime": runtime, "network": network}
    for name, value in resources.items():
        least, default, ceiling, unit = RESOURCES[name]
        most = getattr(settings, ceiling)
        settled[name] = min(getattr(settings, default), most) if value is None else value
        if not least <= settled[name] <= most:
            problems[name] = (
                f"{settled[name]:,} {unit} is not possible: this instance allows {least:,} to {most:,}. "
                "Choose a value in between, or ask the operator for more."
            )
    if runtime not in ServiceVersion.RuntimeName:
        problems["runtime"] = f"There is no runtime {runtime!r}. Choose one of {', '.join(ServiceVersion.RuntimeName)}."
    if network not in ServiceVersion.Network:
        problems["network"] = f"Choose one of {', '.join(ServiceVersion.Network)}."
    if network == ServiceVersion.Network.OPEN and not settings.JOB_NETWORK_ALLOWED:
        problems["network"] = (
            "The operator of this instance keeps the network of every job closed. Choose Closed, or ask the operator."
        )
    if problems:
        raise ValidationError(problems)
    return settled


def default_network() -> str:
    """The network of a version whose provider chose none."""
    is_open = settings.JOB_NETWORK_DEFAULT == ServiceVersion.Network.OPEN and settings.JOB_NETWORK_ALLOWED
    return ServiceVersion.Network.OPEN if is_open else ServiceVersion.Network.NONE


def resources_of(found: Manifest) -> dict[str, int]:
    """What the project itself asks for, within what this instance allows."""
    bounds = {name: (RESOURCES[name][0], getattr(settings, RESOURCES[name][2])) for name in MANIFEST_WORDS}
    return manifest.within(found, **bounds)


def _checked_interpreter(number: str, runtime: str, *, kept: str = "") -> str:
    """The version of Python that jobs shall run on; empty for the default of the host. Raises ValidationError.

    The one ``kept`` may be gone from this host meanwhile: then the build says so.
    """
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


def _checked_source(upload: File, runtime: str | None) -> Source:
    try:
        return sources.check(upload, name=upload.name or "", runtime=runtime)
    except SourceRejected as rejected:
        raise ValidationError({"upload": rejected.messages}) from rejected


def _described(source: Source, openapi_file: File | None, *, name: str, summary: str) -> tuple[Contract, str]:
    """The API description and where it comes from: brought beside the zip, found in it, or the default."""
    if openapi_file is not None:
        return _parsed(openapi_file), ServiceVersion.OpenapiOrigin.UPLOADED
    if source.openapi:
        try:
            contract = contracts.accept(source.openapi, name=source.openapi_name)
        except ContractRejected as rejected:
            raise ValidationError({"upload": rejected.messages}) from rejected
        return contract, ServiceVersion.OpenapiOrigin.ARCHIVE
    return contracts.default(name=name, summary=summary, source=source), ServiceVersion.OpenapiOrigin.DEFAULT


def _parsed(openapi_file: File) -> Contract:
    openapi_file.seek(0)
    text = openapi_file.read(settings.OPENAPI_MAX_BYTES + 1)
    try:
        return contracts.accept(text, name=(openapi_file.name or "openapi").rpartition("/")[2])
    except ContractRejected as rejected:
        raise ValidationError({"openapi_file": rejected.messages}) from rejected


def _written(text: str) -> Contract:
    try:
        return contracts.accept(text, name="The description")
    except ContractRejected as rejected:
        raise ValidationError({"text": rejected.messages}) from rejected


def _free_slug(account: Account, wanted: str, name: str) -> str:
    taken = set(Service.objects.filter(account=account, deleted_at=None).values_list("slug", flat=True))
    if wanted:
        if wanted in taken:
            raise ValidationError({"slug": f"This account has a service {wanted} already. Choose another slug."})
        return wanted
    base = slugify(name)[:56].strip("-_") or "service"
    number = 1
    while (slug := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return slug


def _numbers(service: Service) -> list[tuple[int, ...]]:
    return [tuple(map(int, number.split("."))) for number in service.versions.values_list("number", flat=True)]


def _checked_number(service: Service, number: str | None) -> str:
    if not number:
        return next_number(service)
    if not NUMBER.fullmatch(number):
        raise ValidationError(
            {"number": f"{number!r} is not a version: write three numbers with dots, like {next_number(service)}."}
        )
    highest = max(_numbers(service), default=(0, 0, -1))
    if tuple(map(int, number.split("."))) <= highest:
        newest = ".".join(map(str, highest))
        raise ValidationError(
            {
                "number": f"{number} does not come after {newest}, the newest version, and a version never changes. "
                f"Choose a higher one, like {next_number(service)}."
            }
        )
    return number
