"""A service with its first version; what people read about it; and its end."""

from collections.abc import Callable, Iterable
from typing import TypeVar, Unpack

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from portal.accounts.actors import Actor
from portal.accounts.models import Account
from services import builds, subscriptions
from services.models import Service, ServiceTag
from services.publishing import code, configuration, descriptions, rows, versions
from services.publishing.configuration import Configuration

TAGS_MAX = 10
TAG_MAX_CHARACTERS = ServiceTag._meta.get_field("name").max_length or 0  # it has one, which its type does not say
SLUG_BASE_MAX_CHARACTERS = 56  # of a slug made from a name: the rest is for a number

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
    slug: str = "",
    **chosen: Unpack[Configuration],
) -> Service:
    """Offer a new service with version 1.0.0, whose build is asked for. Its code is ``upload`` or the ``image`` of a
    registry. A resource that nobody chose is what the project's own planqk.json asks for, within what is possible here,
    else the default.

    The slug is made from the name, with a number behind it where the account has such a service already; a given
    ``slug`` must be free.
    """
    words = _checked_words(name=name, summary=summary, description=description)
    tags = _checked_tags(tags)
    brought = code.bring(upload=upload, image=image, runtime=chosen.get("runtime"))
    columns = configuration.columns(chosen, runtime=brought.runtime)
    columns |= configuration.take_from_manifest(brought.source, chosen)
    openapi = descriptions.first(
        brought.source, openapi_file=openapi_file, name=words["name"], summary=words["summary"]
    )
    brought.store()
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)  # two at once get two slugs
        service = Service(account=account, slug=_free_slug(account, slug, words["name"]), created_by=by.user, **words)
        rows.check(service)
        service.save()
        _set_tags(service, tags)
        version = versions.new_version(
            service=service, by=by, number=versions.FIRST_NUMBER, code=brought.code(), openapi=openapi, columns=columns
        )
        builds.request_build(version=version, by=by)
    return service


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
    tags = None if tags is None else _checked_tags(tags)
    with transaction.atomic():
        service = rows.locked(service)
        for key, value in words.items():
            setattr(service, key, value)
        rows.check(service)
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
        service = rows.locked(service)
        objections = [words for ask in _objectors if (words := ask(service))]
        if objections:
            raise ValidationError(objections)
        subscribers = subscriptions.active_of_service(service)
        subscriptions.ask_first(f"{service} would be deleted, and these would end.", subscribers, confirmed=confirmed)
        subscriptions.end_all(subscribers)
        service.deleted_at = timezone.now()
        service.save(update_fields=["deleted_at", "updated_at"])
    return service


def _checked_words(*, name: str, summary: str, description: str) -> dict[str, str]:
    words = {"name": name.strip(), "summary": " ".join(summary.split()), "description": description.strip()}
    if not words["name"]:
        raise ValidationError({"name": "A service needs a name, by which people find it. Write one."})
    unprintable = next((key for key in ("name", "summary") if not words[key].isprintable()), None)
    if unprintable or "\0" in words["description"]:
        raise ValidationError({unprintable or "description": "It has control characters. Remove them."})
    return words


def _checked_tags(tags: Iterable[str]) -> list[str]:
    """Tags as they are kept: small letters, digits and hyphens, each once. Raises ValidationError."""
    checked: dict[str, None] = {}
    for tag in filter(None, map(str.strip, tags)):
        kept = slugify(tag)
        if not kept:
            raise ValidationError({"tags": f"“{tag[:20]}” has no letter from a to z and no digit. Write another tag."})
        if len(kept) > TAG_MAX_CHARACTERS:
            raise ValidationError(
                {"tags": f"“{tag[:20]}…” is longer than {TAG_MAX_CHARACTERS} characters. Write a shorter tag."}
            )
        checked[kept] = None
    if len(checked) > TAGS_MAX:
        raise ValidationError(
            {"tags": f"These are {len(checked)} tags, and a service has at most {TAGS_MAX}. Take some away."}
        )
    return list(checked)


def _set_tags(service: Service, tags: Iterable[str]) -> None:
    service.tags.exclude(name__in=tags).delete()
    ServiceTag.objects.bulk_create((ServiceTag(service=service, name=tag) for tag in tags), ignore_conflicts=True)


def _free_slug(account: Account, wanted: str, name: str) -> str:
    taken = set(Service.objects.filter(account=account, deleted_at=None).values_list("slug", flat=True))
    if wanted:
        if wanted in taken:
            raise ValidationError({"slug": f"This account has a service {wanted} already. Choose another slug."})
        return wanted
    base = slugify(name)[:SLUG_BASE_MAX_CHARACTERS].strip("-_") or "service"
    number = 1
    while (slug := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return slug
