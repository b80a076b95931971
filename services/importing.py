"""Services from folders and zips on this machine: what operators load, and what the demo is made of."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypedDict

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.text import slugify

from portal.accounts.actors import Actor
from portal.accounts.models import Account
from services import contracts, operating, publishing, sources, variables
from services.models import Service, ServiceVersion
from services.operating import Operation
from services.sources import Source

HEADING = re.compile(r"\A\s*#[ \t]+(\S.*)$", re.MULTILINE)
NAME_MAX_CHARACTERS = 100  # of the columns
SUMMARY_MAX_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import made of the project; ``is_changed`` is False where there was such a version already."""

    service: Service
    version: ServiceVersion
    is_changed: bool


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How the version shall run. None: as the version before, else as publishing has it."""

    interpreter: str | None = None
    retryable: bool | None = None
    concurrency: int | None = None  # 0: no limit
    warm_start: bool | None = None
    plain: Mapping[str, str] = field(default_factory=dict)  # variables
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def operation(self) -> Operation:
        return {"retryable": self.retryable, "concurrency": self.concurrency, "warm_start": self.warm_start}


NO_WISHES = Wishes()


def import_project(
    *, path: Path, account: Account, by: Actor, tags: Iterable[str] = (), wishes: Wishes = NO_WISHES
) -> Imported:
    """Make the project in ``path``, a folder or a zip, a service of ``account``; a new version where there is one.

    The name of the folder or zip becomes the slug, by which a second import finds the service again. ``tags`` are
    those of a new service. Without a change in what runs there is no new version, but ``wishes`` are heard.
    """
    slug = slugify(path.resolve().stem if path.is_file() else path.resolve().name)
    if not slug:
        raise ValidationError(f"{path}: its name has no letter that a web address can have. Rename it.")
    variables.check(wishes.plain)
    variables.check(wishes.secret)
    with _opened(path) as packed:
        upload = File(packed, name=f"{slug}.zip")
        source = sources.check(upload, f"{slug}.zip")
        service = Service.objects.visible_to(account).filter(slug=slug).first()
        if service is None:
            service = publishing.create_service(
                account=account, by=by, slug=slug, upload=upload, tags=tags, interpreter=wishes.interpreter,
                **wishes.operation, **_words_of(source, path.resolve().stem),
            )  # fmt: skip
            version, is_changed = service.versions.latest("id"), True
        else:
            version = service.versions.latest("id")
            has_source = version.source_sha256 == source.sha256
            is_changed = not has_source or wishes.interpreter not in (None, version.interpreter)
            if is_changed:
                publishing.update_service(service=service, by=by, **_words_of(source, service.name))
                resources = publishing.resources_of(source.manifest)
                version = publishing.add_version(
                    service=service, by=by, upload=None if has_source else upload, interpreter=wishes.interpreter,
                    cpu_millis=resources.get("cpu_millis"), memory_mib=resources.get("memory_mib"), **wishes.operation,
                )  # fmt: skip
            elif set(wishes.operation.values()) != {None}:
                version = operating.operate(version=version, by=by, **wishes.operation)
        variables.set_variables(version=version, by=by, values=wishes.plain, is_secret=False)
        variables.set_variables(version=version, by=by, values=wishes.secret, is_secret=True)
        return Imported(service=service, version=version, is_changed=is_changed)


class _Words(TypedDict):
    name: str
    summary: str
    description: str


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if not path.exists():
        raise ValidationError(f"{path}: there is no such folder or file. Check the path.")
    with sources.from_folder(path) if path.is_dir() else path.open("rb") as packed:
        yield packed


def _words_of(source: Source, fallback: str) -> _Words:
    """Name, summary and description: from planqk.json, README.md, the API description, the file's name, in that order.

    What planqk.json calls the description is a sentence: the summary, and the description only without a README.md.
    """
    heading = HEADING.search(source.readme)
    description = source.readme[heading.end() :].strip() if heading else source.readme.strip()
    if source.openapi:
        contract = contracts.parse(source.openapi, name=source.openapi_name)
        name, about = contract.title, contract.description
    else:
        name, about = fallback, ""
    if heading:
        name = heading[1].strip()
    return {
        "name": (source.manifest.name or name)[:NAME_MAX_CHARACTERS],
        "summary": _first_sentence(source.manifest.description or about or description),
        "description": description or source.manifest.description,
    }


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n", 1)[0].split())
    sentence = re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0]
    return sentence if len(sentence) <= SUMMARY_MAX_CHARACTERS else f"{sentence[: SUMMARY_MAX_CHARACTERS - 1]}…"
