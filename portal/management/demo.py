"""The demo of an embedded instance: two people, each a tenant, services to try, and an application that may call the
first of them. Made once, then found again.

It is for somebody who tries the product on their own machine. A server that others reach has none (settings.DEMO).
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from django.conf import settings
from django.core.management import CommandError

from portal.accounts import applications
from portal.accounts.actors import Actor
from portal.accounts.models import Account, Application, ApplicationSecret, User
from portal.lib import tokens
from portal.management.calling import EXAMPLES, FIRST_SERVICE
from services import builds, importing, publication, snippets, subscriptions
from services.importing import Imported
from services.models import BuildStatus
from services.publication import Publication

PEOPLE = {"user": ("demo@mercato.example", "Demo"), "second_user": ("second@mercato.example", "Second")}
SERVICES = {  # scripts get the first
    FIRST_SERVICE: (Publication.MARKETPLACE, ("arithmetic", "first-steps")),
    "monte-carlo-pi": (Publication.INTERNAL, ("mathematics", "sampling")),
    "delivery-tour": (Publication.MARKETPLACE, ("logistics", "optimisation", "routing")),
}
APPLICATION = "Demo"


class Kept(TypedDict, total=False):
    """What stands in the file of the demo: the passwords, and since applications exist, the credentials of one."""

    user: str
    second_user: str
    application: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The people with their passwords, the services of the first, and an application of theirs with its credentials."""

    people: dict[str, User]
    passwords: dict[str, str]
    services: list[Imported]
    application: Application
    credentials: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """What scripts read. What is None comes with later versions of Mercato; the endpoint, with the first build."""
        service = self.services[0].service
        subscription = subscriptions.active_of_application(self.application).filter(service=service).first()
        return {
            "url": settings.PUBLIC_URL,
            **{key: {"email": person.email, "password": self.passwords[key]} for key, person in self.people.items()},
            "account": self.people["user"].personal_account.slug,
            "service": {"id": str(service.pk), "page": settings.PUBLIC_URL + service.get_absolute_url()},
            "personal_access_token": None,
            "second_personal_access_token": None,
            "platform_api": None,
            "token_endpoint": snippets.token_endpoint(),
            "application": self.credentials,
            "service_endpoint": subscription and subscriptions.endpoint(subscription.version),
        }


def find_or_create() -> Demo:
    """The demo, complete. Builds are asked for, not waited for."""
    if not settings.DEMO:
        raise CommandError(
            "This instance has no demo: demo accounts exist only with the embedded database and broker (neither "
            "DATABASE_URL nor REDIS_URL is set), on a loopback HOST, and unless DEMO=0. "
            "Use createsuperuser and import_service instead."
        )
    with (settings.MERCATO_HOME / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `up` makes it while a script asks for it: one makes it, the other finds it
        return _find_or_create()


def offer(demo: Demo) -> None:
    """Publish what is built, and subscribe the application to the first service. What is published already stays so."""
    by = Actor(user=demo.people["user"])
    for imported, (scope, _) in zip(demo.services, SERVICES.values(), strict=True):
        version = imported.version
        if version.is_runnable and not version.is_published:
            publication.publish(version=version, scope=scope, by=by)
    first = demo.services[0].version
    if first.is_runnable:
        subscription = subscriptions.subscribe(application=demo.application, service=first.service, by=by)
        if subscription.version_id != first.pk:  # the example has changed with the release
            subscriptions.upgrade(subscription=subscription, by=by, version=first)


def _find_or_create() -> Demo:
    path = settings.MERCATO_HOME / "demo.json"
    kept = _read(path)
    known = Kept(**kept)
    for key in PEOPLE:
        kept.setdefault(key, secrets.token_urlsafe(12))  # type: ignore[misc]
    people = {
        key: _person(email, name, password=kept[key], is_fresh=key not in known)  # type: ignore[literal-required]
        for key, (email, name) in PEOPLE.items()
    }
    by = Actor(user=people["user"])
    account = people["user"].personal_account
    services = [
        importing.import_project(path=EXAMPLES / folder, account=account, by=by, tags=tags)
        for folder, (_, tags) in SERVICES.items()
    ]
    for imported in services:
        if imported.version.builds.latest("id").status == BuildStatus.FAILED:  # the index was away, say
            builds.request_build(version=imported.version, by=by)
    application, secret = _application(account, kept.get("application", {}), by)
    kept["application"] = {"access_key_id": application.access_key_id, "secret_access_key": secret}
    if kept != known:
        _write(path, kept)
    return Demo(
        people=people,
        passwords={key: kept[key] for key in PEOPLE},  # type: ignore[literal-required]
        services=services,
        application=application,
        credentials=kept["application"],
    )


def _application(account: Account, kept: Mapping[str, str], by: Actor) -> tuple[Application, str]:
    """The application whose credentials are kept, while they work; else one with a fresh secret."""
    known = Application.objects.visible_to(account)
    secret = kept.get("secret_access_key", "")
    live = ApplicationSecret.objects.live().filter(digest=tokens.digest(secret))
    if found := known.filter(access_key_id=kept.get("access_key_id", ""), secrets__in=live).first():
        return found, secret
    found = known.filter(name=APPLICATION).first()
    if found and found.secrets.live().count() < applications.LIVE_SECRETS_MAX:
        return found, applications.add_secret(application=found, by=by)[1]
    name = f"{APPLICATION} {secrets.token_hex(3)}" if found else APPLICATION
    return applications.create_application(account=account, name=name, by=by)


def _person(email: str, name: str, *, password: str, is_fresh: bool) -> User:
    person = User.objects.filter(email=email).first()
    if person is None:
        return User.objects.create_user(email, password, name=name, email_verified=True)
    if is_fresh:  # the file with the password that they had is gone
        person.set_password(password)
        person.save(update_fields=["password"])
    return person


def _read(path: Path) -> Kept:
    """What an earlier run kept; nothing at the first."""
    with contextlib.suppress(FileNotFoundError):
        return Kept(**json.loads(path.read_text()))
    return Kept()


def _write(path: Path, kept: Kept) -> None:
    """Keep it in a file that only its owner reads, of this data folder alone."""
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(kept))
    fresh.replace(path)
