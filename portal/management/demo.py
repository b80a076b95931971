"""The demo of an embedded instance: two people, each a tenant, and services to try. Made once, then found again.

It is for somebody who tries the product on their own machine. A server that others reach has none (settings.DEMO).
"""

import contextlib
import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError

from portal.accounts.actors import Actor
from portal.accounts.models import User
from services import builds, importing
from services.importing import Imported
from services.models import BuildStatus

EXAMPLES = settings.BASE_DIR / "examples"
PEOPLE = {"user": ("demo@mercato.example", "Demo"), "second_user": ("second@mercato.example", "Second")}
SERVICES = ("sum", "monte-carlo-pi")  # the first is the one that scripts get


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The people with their passwords, and the services of the first."""

    people: dict[str, User]
    passwords: dict[str, str]
    services: list[Imported]

    def as_json(self) -> dict[str, Any]:
        """What scripts read. What is None is built by later versions of Mercato."""
        service = self.services[0].service
        return {
            "url": settings.PUBLIC_URL,
            **{key: {"email": person.email, "password": self.passwords[key]} for key, person in self.people.items()},
            "account": self.people["user"].personal_account.slug,
            "service": {"id": str(service.pk), "page": settings.PUBLIC_URL + service.get_absolute_url()},
            "personal_access_token": None,
            "second_personal_access_token": None,
            "platform_api": None,
            "token_endpoint": None,
            "application": None,
            "service_endpoint": None,
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


def _find_or_create() -> Demo:
    passwords, are_fresh = _kept_passwords(settings.MERCATO_HOME / "demo.json")
    people = {
        key: _person(email, name, password=passwords[key], is_fresh=are_fresh) for key, (email, name) in PEOPLE.items()
    }
    by = Actor(user=people["user"])
    services = [
        importing.import_project(path=EXAMPLES / folder, account=by.user.personal_account, by=by) for folder in SERVICES
    ]
    for imported in services:
        if imported.version.builds.latest("id").status == BuildStatus.FAILED:  # the index was away, say
            builds.request_build(version=imported.version, by=by)
    return Demo(people=people, passwords=passwords, services=services)


def _person(email: str, name: str, *, password: str, is_fresh: bool) -> User:
    person = User.objects.filter(email=email).first()
    if person is None:
        return User.objects.create_user(email, password, name=name, email_verified=True)
    if is_fresh:  # the file with the password that they had is gone
        person.set_password(password)
        person.save(update_fields=["password"])
    return person


def _kept_passwords(path: Path) -> tuple[dict[str, str], bool]:
    """Passwords of this data folder alone, in a file that only its owner reads; and whether they are new."""
    with contextlib.suppress(FileNotFoundError):
        return dict(json.loads(path.read_text())), False
    passwords = {key: secrets.token_urlsafe(12) for key in PEOPLE}
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(passwords))
    fresh.replace(path)
    return passwords, True
