"""The right of an application to call a service: given, moved to another version, taken back.

Who may act for the application is the caller's question (rules.py); whether the service is offered to its account is
asked here. Verbs lock Service, then Application, then Subscription.
"""

from collections.abc import Sequence

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import Application
from services import catalogue, plans
from services.models import Service, ServiceVersion, Subscription

NAMED_MAX = 5  # subscribers in a message; a page lists more


class TakesAway(ValidationError):
    """Something would be taken away from active subscribers, and nobody has confirmed it yet."""

    def __init__(self, what: str, subscriptions: Sequence[Subscription]) -> None:
        self.what = what
        self.subscriptions = list(subscriptions)
        super().__init__(f"{what} {self.affects} Confirm it, or keep things as they are.", code="takes_away")

    @property
    def affects(self) -> str:
        """How many and who, as a sentence."""
        count = len(self.subscriptions)
        applications = [each.application for each in self.subscriptions[:NAMED_MAX]]
        named = ", ".join(f"{application} of {application.account}" for application in applications)
        more = f" and {count - NAMED_MAX} more" if count > NAMED_MAX else ""
        return f"{count} active subscription{'' if count == 1 else 's'} would be affected: {named}{more}."


def ask_first(what: str, affected: QuerySet[Subscription], *, confirmed: bool) -> None:
    """Raise `TakesAway` where ``affected`` are there and nobody has confirmed."""
    if not confirmed and (subscriptions := list(affected)):
        raise TakesAway(what, subscriptions)


def active() -> QuerySet[Subscription]:
    """The subscriptions that nobody has ended, of applications that are there, newest first, ready to be shown."""
    found = Subscription.objects.filter(ended_at=None, application__deleted_at=None)
    related = found.select_related("application__account", "version", "service__account", "plan")
    return related.defer("version__openapi", "version__warnings", "service__description").order_by("-id")


def active_of_service(service: Service) -> QuerySet[Subscription]:
    """Who may call ``service`` now."""
    return active().filter(service=service)


def active_of_application(application: Application) -> QuerySet[Subscription]:
    """What ``application`` may call now."""
    return active().filter(application=application, service__deleted_at=None)


def subscribe(
    *, application: Application, service: Service, by: Actor, version: ServiceVersion | None = None
) -> Subscription:
    """Let ``application`` call ``service``; its endpoint names ``version``, by default the newest on offer.

    Twice is no error and changes nothing. Raises ValidationError.
    """
    with transaction.atomic():
        is_there = _lock(service) and Application.objects.select_for_update(no_key=True).filter(
            pk=application.pk, deleted_at=None
        )
        if not is_there:
            raise ValidationError("The service or the application was deleted in the meantime. Choose another one.")
        found = Subscription.objects.select_for_update().filter(application=application, service=service).first()
        if found and found.ended_at is None:
            return found
        offered = _offered(service, application, version)
        if found is None:
            return Subscription.objects.create(
                application=application,
                service=service,
                plan=plans.free_plan(service),
                version=offered,
                created_by=by.user,
            )
        found.plan, found.version = plans.free_plan(service), offered
        found.created_by, found.created_at, found.ended_at = by.user, timezone.now(), None
        found.save(update_fields=["plan", "version", "created_by", "created_at", "ended_at"])
    return found


def unsubscribe(*, subscription: Subscription, by: Actor) -> None:
    """Take the right back, at once. Its executions stay with the account; twice is no error."""
    end_all(Subscription.objects.filter(pk=subscription.pk))


def end_all(subscriptions: QuerySet[Subscription]) -> int:
    """End every active one of ``subscriptions``, at once; how many there were."""
    return subscriptions.filter(ended_at=None).order_by().update(ended_at=timezone.now())


def upgrade(*, subscription: Subscription, by: Actor, version: ServiceVersion) -> Subscription:
    """Have the endpoint of ``subscription`` name ``version``. Calls to the endpoint of before go on to work.

    Raises ValidationError.
    """
    with transaction.atomic():
        is_there = _lock(subscription.service) and active().filter(pk=subscription.pk).exists()
        if not is_there:
            raise ValidationError("The subscription has ended in the meantime. Subscribe again.")
        subscription.version = _offered(subscription.service, subscription.application, version)
        subscription.save(update_fields=["version"])
    return subscription


def endpoint(version: ServiceVersion) -> str:
    """The service endpoint of ``version``: what SDKs call `service_endpoint`."""
    service = version.service
    return f"{settings.PUBLIC_URL}/gateway/{service.account.slug}/{service.slug}/{version.number}"


def _lock(service: Service) -> bool:
    """Hold the row until the transaction ends, so that nothing is published or retired meanwhile; False: deleted."""
    return bool(Service.objects.select_for_update(no_key=True).filter(pk=service.pk, deleted_at=None))


def _offered(service: Service, application: Application, version: ServiceVersion | None) -> ServiceVersion:
    """``version``, or the newest one, if it is on offer to the application. Raises ValidationError."""
    offered = catalogue.offered_versions(service, application.account)
    found = offered.filter(pk=version.pk).first() if version else offered.first()
    if found is None:
        raise ValidationError(
            f"{version or service} is not offered to {application.account} now. Ask its provider to publish it, or to "
            "share it with you."
        )
    return found
