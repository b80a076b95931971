"""`manage.py import_service FOLDER_OR_ZIP`: makes a project on this machine a service and waits for its build."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.core.management.base import BaseCommand

from portal.accounts.actors import Actor
from portal.accounts.models import Account, Membership, User
from portal.management.building import wait_for_build
from services import importing
from services.importing import Imported
from services.models import Build, BuildStatus

ACCOUNTS_NAMED = 10


class Command(BaseCommand):
    help = "Creates a service from a folder or zip, or adds a version to it, and waits for its build."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", type=Path, metavar="FOLDER_OR_ZIP", help="its name becomes the service's slug")
        parser.add_argument("--account", metavar="SLUG", help="whose service it is; needed where there are several")
        parser.add_argument("--json", action="store_true", help="print the service for scripts")
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the build")

    def handle(self, *args: Any, **options: Any) -> None:
        account = _account(options["account"])
        by = Actor(user=_owner(account))
        try:
            imported = importing.import_project(path=options["project"], account=account, by=by)
        except ValidationError as error:
            raise CommandError("\n".join(["The project cannot become a service.", *error.messages])) from error
        wait = not options["no_wait"] and not imported.version.is_runnable
        build = wait_for_build(imported.version, by=by) if wait else imported.version.builds.latest("id")
        facts = _facts(imported, build)
        if options["json"]:
            self.stdout.write(json.dumps(facts, indent=2))
        else:
            self._print(imported, build, facts)
        if build.status == BuildStatus.FAILED:
            raise CommandError(f"The build failed: {build.detail}")

    def _print(self, imported: Imported, build: Build, facts: dict[str, Any]) -> None:
        service, version = imported.service, imported.version
        did = "is" if imported.is_changed else "was already"
        self.stdout.write(f"{service} {version.number} {did} a service of {service.account}.")
        for warning in version.warnings:
            self.stdout.write(f"  Note: {warning}")
        self.stdout.write(f"Build: {build.get_status_display().lower()}")
        self.stdout.write(facts["page"])


def _facts(imported: Imported, build: Build) -> dict[str, Any]:
    service = imported.service
    return {
        "id": str(service.pk),
        "slug": service.slug,
        "account": service.account.slug,
        "page": settings.PUBLIC_URL + service.get_absolute_url(),
        "version": imported.version.number,
        "changed": imported.is_changed,
        "build": {"id": str(build.pk), "status": build.status, "detail": build.detail},
        "warnings": imported.version.warnings,
    }


def _account(slug: str | None) -> Account:
    """The account called ``slug``; without one, the only account there is."""
    accounts = Account.objects.order_by("slug")
    if slug:
        found = accounts.filter(slug=slug).first()
        if found:
            return found
        raise CommandError(f"There is no account {slug}. {_known(accounts)}")
    candidates = list(accounts[:2])
    if len(candidates) == 1:
        return candidates[0]
    raise CommandError(f"Say whose service it is with --account SLUG. {_known(accounts)}")


def _known(accounts: Any) -> str:
    slugs = list(accounts.values_list("slug", flat=True)[: ACCOUNTS_NAMED + 1])
    if not slugs:
        return "There is none yet: sign up in the browser, or run createsuperuser."
    more = " and more" if len(slugs) > ACCOUNTS_NAMED else ""
    return f"There are: {', '.join(slugs[:ACCOUNTS_NAMED])}{more}."


def _owner(account: Account) -> User:
    owner = User.objects.filter(memberships__account=account, memberships__role=Membership.Role.OWNER).first()
    if owner is None:
        raise CommandError(f"The account {account.slug} has no owner in whose name this could happen. Give it one.")
    return owner
