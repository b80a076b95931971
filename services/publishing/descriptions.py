"""The API description of a version: which one it gets, and another one before it is published."""

import contextlib
import hashlib
from dataclasses import dataclass
from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import transaction

from portal.accounts.actors import Actor
from services import contracts, sources
from services.contracts import Contract, ContractRejected
from services.models import Service, ServiceVersion
from services.sources import Source, SourceRejected

Origin = ServiceVersion.OpenapiOrigin
BY_A_PERSON = (Origin.UPLOADED, Origin.EDITED)


class Overtaken(ValidationError):
    """Somebody else saved ``openapi`` in the meantime. ``seen`` is its digest: saving over it takes that."""

    def __init__(self, version: ServiceVersion) -> None:
        self.openapi = version.openapi
        self.seen = digest(version.openapi)
        super().__init__(
            f"Somebody else saved the description of {version.number} while you wrote, so yours is not saved yet. "
            "Compare the two, then save yours over it, or leave the page to keep theirs."
        )


@dataclass(frozen=True)
class Description:
    """An accepted description, and where it comes from."""

    contract: Contract
    origin: str

    @classmethod
    def of(cls, version: ServiceVersion) -> Self:
        return cls(contracts.load(version.openapi), version.openapi_origin)

    @property
    def as_json(self) -> str:
        return contracts.dump(self.contract, "json")


def first(source: Source, *, openapi_file: File | None, name: str, summary: str) -> Description:
    """That of a version whose code is new: brought beside the zip, found in it, or the default.

    Raises ValidationError.
    """
    if openapi_file is not None:
        return _uploaded(openapi_file)
    if source.openapi:
        return Description(_accept(source.openapi, name=source.openapi_name, field="upload"), Origin.ARCHIVE)
    return Description(contracts.default(name=name, summary=summary, source=source), Origin.DEFAULT)


def following(
    latest: ServiceVersion, *, service: Service, source: Source | None, openapi_file: File | None, text: str | None
) -> Description:
    """That of the version after ``latest``, whose code is a new ``source`` or, where that is None, stays.

    Raises ValidationError.
    """
    if openapi_file is not None:
        return _uploaded(openapi_file)
    if text is not None:
        return _edited(text)
    if source is None or (not source.openapi and latest.openapi_origin in BY_A_PERSON):
        return Description.of(latest)
    return first(source, openapi_file=None, name=service.name, summary=service.summary)


def describe(*, version: ServiceVersion, text: str, by: Actor, seen: str) -> ServiceVersion:
    """Give a version that was never published another API description.

    ``seen`` is `digest` of the description that ``text`` was made from: Overtaken where it is another one by now.
    """
    description = _edited(text)
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
        version.openapi = description.as_json
        version.openapi_origin = description.origin
        version.warnings = [*kept, *description.contract.warnings]
        version.save(update_fields=["openapi", "openapi_origin", "warnings"])
    return version


def default_description(version: ServiceVersion) -> Contract:
    """The description that ``version`` would have if its provider had brought none."""
    service = version.service
    source = sources.unread(version.source_sha256)
    if version.source_sha256:
        with contextlib.suppress(OSError, SourceRejected):  # limits may be stricter now; the rest stays the same
            source = sources.kept(version.source_sha256, runtime=version.runtime)
    return contracts.default(name=service.name, summary=service.summary, source=source)


def digest(openapi: str) -> str:
    """By which two API descriptions are told apart."""
    return hashlib.sha256(openapi.encode()).hexdigest()[:32]


def _uploaded(openapi_file: File) -> Description:
    openapi_file.seek(0)
    text = openapi_file.read(settings.OPENAPI_MAX_BYTES + 1)
    name = (openapi_file.name or "openapi").rpartition("/")[2]
    return Description(_accept(text, name=name, field="openapi_file"), Origin.UPLOADED)


def _edited(text: str) -> Description:
    return Description(_accept(text, name="The description", field="text"), Origin.EDITED)


def _accept(text: str | bytes, *, name: str, field: str) -> Contract:
    try:
        return contracts.accept(text, name=name)
    except ContractRejected as rejected:
        raise ValidationError({field: rejected.messages}) from rejected
