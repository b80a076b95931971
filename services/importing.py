"""Services from folders and zips on this machine: what operators load, and what the demo is made of."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.text import slugify

from portal.accounts.actors import Actor
from portal.accounts.models import Account
from services import contracts, publishing, sources
from services.models import Service, ServiceVersion
from services.sources import Source

HEADING = re.compile(r"\A\s*#\s+(.+?)\s*$", re.MULTILINE)
SUMMARY_MAX = 200


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import made of the project; ``is_changed`` is False where the service had that very source already."""

    service: Service
    version: ServiceVersion
    is_changed: bool


def import_project(*, path: Path, account: Account, by: Actor, tags: Iterable[str] = ()) -> Imported:
    """Make the project in ``path``, a folder or a zip, a service of ``account``; a new version where there is one.

    The name of the folder or zip becomes the slug, by which a second import finds the service again. ``tags`` are
    those of a new service.
    """
    slug = slugify(path.resolve().stem if path.is_file() else path.resolve().name)
    if not slug:
        raise ValidationError(f"{path}: its name has no letter that a web address can have. Rename it.")
    with _opened(path) as packed:
        upload = File(packed, name=f"{slug}.zip")
        source = sources.check(upload, f"{slug}.zip")
        service = Service.objects.visible_to(account).filter(slug=slug).first()
        if service is None:
            service = publishing.create_service(
                account=account, by=by, slug=slug, upload=upload, tags=tags, **_words_of(source, path.resolve().stem)
            )
            return Imported(service=service, version=service.versions.latest("id"), is_changed=True)
        latest = service.versions.latest("id")
        if latest.source_sha256 == source.sha256:
            return Imported(service=service, version=latest, is_changed=False)
        publishing.update_service(service=service, by=by, **_words_of(source, service.name))
        version = publishing.add_version(service=service, by=by, upload=upload)
        return Imported(service=service, version=version, is_changed=True)


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
    """Name, summary and description: from README.md, else from the API description, else from the file's name."""
    heading = HEADING.search(source.readme)
    description = source.readme[heading.end() :].strip() if heading else source.readme.strip()
    if source.openapi:
        contract = contracts.parse(source.openapi, name=source.openapi_name)
        name, about = contract.title, contract.description
    else:
        name, about = fallback, ""
    if heading:
        name = heading[1]
    return {"name": name[:100], "summary": _first_sentence(about or description), "description": description}


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n", 1)[0].split())
    sentence = re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0]
    return sentence if len(sentence) <= SUMMARY_MAX else f"{sentence[: SUMMARY_MAX - 1]}…"
