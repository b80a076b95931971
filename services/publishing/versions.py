"""The versions of a service and their numbers. A version never changes: whoever changes something adds the next one."""

import re
from typing import Any, Unpack

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import transaction

from portal.accounts.actors import Actor
from services import builds, contracts, variables
from services.models import Service, ServiceVersion
from services.publishing import code, configuration, descriptions, rows
from services.publishing.code import Code
from services.publishing.configuration import Configuration
from services.publishing.descriptions import Description

FIRST_NUMBER = "1.0.0"
NUMBER = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", re.ASCII)


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
    **chosen: Unpack[Configuration],
) -> ServiceVersion:
    """Add a version and ask for its build. What is not given stays as in ``of``, else as in the latest version; the
    number grows by a minor. Its variables are those of that version.

    The API description: ``openapi_file`` or its edited ``text``, else that of a new zip, else one that a person brought
    or wrote stays, else a new default.
    """
    latest = of or service.versions.latest("id")
    brought = code.bring_next(latest, upload=upload, image=image, runtime=chosen.get("runtime"))
    columns = configuration.columns(chosen, runtime=brought.runtime if brought else latest.runtime, before=latest)
    source = brought.source if brought else None
    openapi = descriptions.following(latest, service=service, source=source, openapi_file=openapi_file, text=text)
    if brought:
        brought.store()
    with transaction.atomic():
        service = rows.locked(service)
        version = new_version(
            service=service,
            by=by,
            number=_checked_number(service, number),
            code=brought.code() if brought else Code.of(latest),
            openapi=openapi,
            columns=columns,
        )
        variables.copy_variables(source=latest, target=version)
        service.save(update_fields=["updated_at"])
        builds.request_build(version=version, by=by)
    return version


def new_version(
    *, service: Service, by: Actor, number: str, code: Code, openapi: Description, columns: dict[str, Any]
) -> ServiceVersion:
    """Save a version of checked parts; ``columns`` are those of its configuration. The caller holds the service."""
    version = ServiceVersion(
        service=service,
        number=number,
        created_by=by.user,
        openapi=openapi.as_json,
        openapi_origin=openapi.origin,
        warnings=[*(words for words in code.warnings if words not in contracts.WARNINGS), *openapi.contract.warnings],
        source_sha256=code.source_sha256,
        source_size=code.source_size,
        source_name=code.source_name,
        image=code.image,
        **columns,
    )
    rows.check(version)
    version.save()
    return version


def next_number(service: Service) -> str:
    """The number that `add_version` gives by itself: the next minor."""
    major, minor, _ = max(_numbers(service), default=(1, -1, 0))
    return f"{major}.{minor + 1}.0"


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
