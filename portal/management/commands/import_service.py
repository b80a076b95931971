"""`manage.py import_service FOLDER_OR_ZIP`: makes a project on this machine a service and waits for its build."""

import json
from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.core.management.base import BaseCommand

from portal.accounts.actors import Actor
from portal.accounts.models import Account, Application, Membership, User
from portal.management.building import wait_for_build
from services import envfile, importing, publication, subscriptions
from services.importing import Imported, Wishes
from services.models import Build, BuildStatus

ACCOUNTS_NAMED = 10
SWITCHES = {
    "retryable": "start a job again where its sandbox or host went away",
    "warm-start": "start jobs as copies of a Python that has imported the program",
}


class Command(BaseCommand):
    help = "Creates a service from a folder or zip, or adds a version to it, and waits for its build."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", type=Path, metavar="FOLDER_OR_ZIP", help="its name becomes the service's slug")
        parser.add_argument("--account", metavar="SLUG", help="whose service it is; needed where there are several")
        parser.add_argument("--json", action="store_true", help="print the service for scripts")
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the build")
        parser.add_argument("--interpreter", metavar="3.11", help="the version of Python that runs it")
        parser.add_argument("--env-file", type=Path, metavar="FILE", help="variables of it, one NAME=value a line")
        parser.add_argument("--secret-env-file", type=Path, metavar="FILE", help="likewise, kept encrypted and hidden")
        for name, words in SWITCHES.items():
            parser.add_argument(f"--{name}", action=BooleanOptionalAction, default=None, help=words)
        parser.add_argument("--concurrency", type=int, metavar="N", help="how many jobs run at once; 0: no limit")
        parser.add_argument("--publish", choices=[*map(str, publication.SCOPES)], help="publish it once it is built")
        parser.add_argument("--subscribe", metavar="ACCESS_KEY_ID", help="subscribe this application to it")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["no_wait"] and (options["publish"] or options["subscribe"]):
            raise CommandError("--publish and --subscribe need a finished build. Leave --no-wait out.")
        application = _application(options["subscribe"])
        account = _account(options["account"])
        by = Actor(user=_owner(account))
        try:
            imported = importing.import_project(
                path=options["project"], account=account, by=by, wishes=_wishes(options)
            )
        except ValidationError as error:
            raise CommandError("\n".join(["The project cannot become a service.", *error.messages])) from error
        wait = not options["no_wait"] and not imported.version.is_runnable
        build = wait_for_build(imported.version, by=by) if wait else imported.version.builds.latest("id")
        refusal = "" if build.status == BuildStatus.FAILED else _offer(imported, application, options["publish"], by)
        facts = _facts(imported, build)
        if options["json"]:
            self.stdout.write(json.dumps(facts, indent=2))
        else:
            self._print(imported, build, facts)
        if build.status == BuildStatus.FAILED:
            raise CommandError(f"The build failed: {build.detail}")
        if refusal:
            raise CommandError(refusal)

    def _print(self, imported: Imported, build: Build, facts: dict[str, Any]) -> None:
        service, version = imported.service, imported.version
        did = "is" if imported.is_changed else "was already"
        self.stdout.write(f"{service} {version.number} {did} a service of {service.account}.")
        for warning in version.warnings:
            self.stdout.write(f"  Note: {warning}")
        self.stdout.write(f"Build: {build.get_status_display().lower()}")
        self.stdout.write(facts["page"])
        if facts["service_endpoint"]:
            self.stdout.write(f"Service endpoint ({facts['state']}): {facts['service_endpoint']}")


def _wishes(options: dict[str, Any]) -> Wishes:
    return Wishes(
        interpreter=options["interpreter"],
        retryable=options["retryable"],
        concurrency=options["concurrency"],
        warm_start=options["warm_start"],
        plain=_variables(options["env_file"]),
        secret=_variables(options["secret_env_file"]),
    )


def _variables(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        return envfile.read(path.read_text(), name=str(path))
    except (OSError, ValueError) as error:
        raise ValidationError(f"{path}: it cannot be read ({error}).") from error


def _facts(imported: Imported, build: Build) -> dict[str, Any]:
    service = imported.service
    return {
        "id": str(service.pk),
        "slug": service.slug,
        "account": service.account.slug,
        "page": settings.PUBLIC_URL + service.get_absolute_url(),
        "version": imported.version.number,
        "state": imported.version.state,
        "service_endpoint": subscriptions.endpoint(imported.version) if imported.version.is_published else None,
        "changed": imported.is_changed,
        "build": {"id": str(build.pk), "status": build.status, "detail": build.detail},
        "warnings": imported.version.warnings,
    }


def _offer(imported: Imported, application: Application | None, scope: str | None, by: Actor) -> str:
    """Publish the version and subscribe the application to it, as asked; why not, where it is refused.

    From the marketplace to internal is never confirmed here: the page of the service says who would be affected.
    """
    version = imported.version
    try:
        if scope:
            imported.version.publication = publication.publish(version=version, scope=scope, by=by).publication
        if application:
            subscriber = Actor(user=_owner(application.account))
            subscription = subscriptions.subscribe(
                application=application, service=imported.service, by=subscriber, version=version
            )
            if subscription.version_id != version.pk:
                subscriptions.upgrade(subscription=subscription, by=subscriber, version=version)
    except subscriptions.TakesAway as error:
        page = settings.PUBLIC_URL + imported.service.get_absolute_url()
        return f"{error.what} {error.affects} Confirm it on its page, {page}, or keep things as they are."
    except ValidationError as error:
        return "\n".join(error.messages)
    return ""


def _application(access_key_id: str | None) -> Application | None:
    if access_key_id is None:
        return None
    found = Application.objects.filter(access_key_id=access_key_id, deleted_at=None).select_related("account").first()
    if found is None:
        raise CommandError(
            f"There is no application with the access key id {access_key_id}. Its page shows the right one; "
            "`bootstrap --json` prints that of the demo."
        )
    return found


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
