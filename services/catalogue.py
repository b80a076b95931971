"""What is on offer to whom: the marketplace, and what is published internally to an account. Searching it is
searching.py's business.
"""

from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from portal.accounts.models import Account
from services.models import Service, ServiceShare, ServiceVersion


def offered_to(account: Account | None) -> QuerySet[Service]:
    """The services with a version that ``account`` may subscribe to, or run a job of. None: who is not signed in."""
    return Service.objects.filter(Exists(on_offer(account).filter(service=OuterRef("pk"))), deleted_at=None)


def offered_versions(service: Service, account: Account | None) -> QuerySet[ServiceVersion]:
    """The versions of ``service`` that ``account`` may subscribe to, newest first."""
    return on_offer(account).filter(service=service).order_by("-id")


def offered_version(service: Service, account: Account | None) -> ServiceVersion | None:
    """The newest of them."""
    return offered_versions(service, account).first()


def runnable_by(account: Account) -> QuerySet[Service]:
    """The services of which ``account`` may start jobs: its own that were built, and what is offered to it."""
    return Service.objects.filter(Exists(_runnable(account).filter(service=OuterRef("pk"))), deleted_at=None)


def runnable_versions(service: Service, account: Account) -> QuerySet[ServiceVersion]:
    """The versions of ``service`` of which ``account`` may start jobs, newest first."""
    return _runnable(account).filter(service=service).order_by("-id")


def runnable_version(service: Service, account: Account) -> ServiceVersion | None:
    """The newest of them: for the owner the newest that is built, for others the newest on offer."""
    return runnable_versions(service, account).first()


def may_run(version: ServiceVersion, account: Account) -> bool:
    """Whether ``account`` may start a job of ``version`` now. One query."""
    return _runnable(account).filter(pk=version.pk).exists()


def _runnable(account: Account) -> QuerySet[ServiceVersion]:
    own = Q(service__account=account) & ~Q(publication=ServiceVersion.Publication.RETIRED)
    return ServiceVersion.objects.filter(own | startable(account=account.pk), service__deleted_at=None).exclude(
        environment=""
    )


def on_offer(account: Account | None) -> QuerySet[ServiceVersion]:
    """The versions of any service that ``account`` may subscribe to."""
    theirs = startable(account=account.pk) if account else Q(publication=ServiceVersion.Publication.MARKETPLACE)
    return ServiceVersion.objects.filter(theirs, service__deleted_at=None)


def startable(*, account: UUID | F, version: str = "") -> Q:
    """The condition for starting executions of a version, and for subscribing to it: on the marketplace, or internal
    and the account is the owner's or one that it is shared with. A deleted service is the caller's to leave out.

    ``version`` is the look-up from the row of the query to the version (none: the row is one); ``account`` is the id,
    or ``F("…")`` with the look-up from the row to it.
    """
    path = f"{version}__" if version else ""
    theirs = OuterRef(account.name) if isinstance(account, F) else account  # type: ignore[attr-defined]
    shared = ServiceShare.objects.filter(service=OuterRef(f"{path}service"), account=theirs)
    inside = Q(**{f"{path}service__account": account}) | Q(Exists(shared))
    return Q(**{f"{path}publication": ServiceVersion.Publication.MARKETPLACE}) | (
        Q(**{f"{path}publication": ServiceVersion.Publication.INTERNAL}) & inside
    )
