"""Offering versions and taking them off again: built → internal | marketplace → retired, and whom a service is shared
with.

What takes something away from active subscribers raises `subscriptions.TakesAway` until it is confirmed.
"""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import Account
from services import plans
from services.models import Service, ServiceShare, ServiceVersion, Subscription
from services.subscriptions import active_of_service, ask_first, end_all

Publication = ServiceVersion.Publication
SCOPES = (Publication.INTERNAL, Publication.MARKETPLACE)


def publish(*, version: ServiceVersion, scope: str, by: Actor, confirmed: bool = False) -> ServiceVersion:
    """Offer ``version`` internally or on the marketplace; ``scope`` is a value of Publication. Twice is no error.

    Raises ValidationError: not built, no such scope, or (unless ``confirmed``) taking it from the marketplace away
    from subscribers who would lose it.
    """
    if scope not in SCOPES:
        raise ValidationError(f"A version cannot be published as {scope!r}. Choose one of {', '.join(SCOPES)}.")
    with transaction.atomic():
        version = _locked(version)
        if not version.is_runnable:
            raise ValidationError(
                f"Version {version.number} has no finished build, so nobody could run it. Wait for its build, or mend "
                "it, then publish it."
            )
        if version.publication != scope:
            ask_first(
                f"{version} would leave the marketplace, and these could start no more executions of it.",
                affected_by_publishing(version, scope),
                confirmed=confirmed,
            )
            plans.free_plan(version.service)
            version.publication = scope
            version.published_at = version.published_at or timezone.now()
            version.save(update_fields=["publication", "published_at"])
    return version


def affected_by_publishing(version: ServiceVersion, scope: str) -> QuerySet[Subscription]:
    """The active subscriptions to ``version`` that could start nothing more of it if it were published so."""
    naming = affected_by_retiring(version)
    if version.publication != Publication.MARKETPLACE or scope == Publication.MARKETPLACE:
        return naming.none()
    shared = ServiceShare.objects.filter(service=version.service_id).values("account")
    return naming.exclude(Q(application__account=version.service.account_id) | Q(application__account__in=shared))


def retire(*, version: ServiceVersion, by: Actor, confirmed: bool = False) -> ServiceVersion:
    """Take ``version`` off: no new executions and no new subscriptions; what it made stays readable.

    Raises ValidationError, unless ``confirmed``, where active subscriptions name it: the message says whose.
    """
    with transaction.atomic():
        version = _locked(version)
        if version.publication == Publication.NONE:
            raise ValidationError(f"Version {version.number} is not published, so there is nothing to retire.")
        if version.publication != Publication.RETIRED:
            ask_first(
                f"{version} would be retired, and these could start no more executions of it.",
                affected_by_retiring(version),
                confirmed=confirmed,
            )
            version.publication = Publication.RETIRED
            version.save(update_fields=["publication"])
    return version


def affected_by_retiring(version: ServiceVersion) -> QuerySet[Subscription]:
    """The active subscriptions whose endpoint names ``version``."""
    return active_of_service(version.service).filter(version=version)


def share(*, service: Service, account: Account, by: Actor) -> ServiceShare:
    """Let ``account`` subscribe to what is published internally. Twice is no error. Raises ValidationError."""
    if account.pk == service.account_id:
        raise ValidationError({"account": f"{account} owns {service} and needs no share. Name another account."})
    with transaction.atomic():
        service = _locked_service(service.pk)
        found, _ = ServiceShare.objects.get_or_create(
            service=service, account=account, defaults={"created_by": by.user}
        )
    return found


def share_with(*, service: Service, name: str, by: Actor) -> ServiceShare:
    """Share with the account whose slug ``name`` is, or with the person whose verified address it is."""
    if "@" in name:
        known = Account.objects.filter(
            person__is_active=True, person__emailaddress__email__iexact=name, person__emailaddress__verified=True
        )
        hint = "has no account here. Ask the person which address they signed up with, or for the name of their account"
    else:
        known = Account.objects.filter(slug=name.lower())
        hint = "is no account here. Ask for its name as it stands in addresses, or use the e-mail address of a person"
    account = known.first()
    if account is None:
        raise ValidationError({"account": f"{name} {hint}."})
    return share(service=service, account=account, by=by)


def unshare(*, share: ServiceShare, by: Actor, confirmed: bool = False) -> None:
    """Take it back: its subscriptions that only the share allowed end with it.

    Raises ValidationError, unless ``confirmed``, where there are such: the message says whose.
    """
    with transaction.atomic():
        _locked_service(share.service_id)
        affected = affected_by_unsharing(share)
        ask_first(
            f"{share.service} would be shared with {share.account} no more, and these would end.",
            affected,
            confirmed=confirmed,
        )
        end_all(affected)
        ServiceShare.objects.filter(pk=share.pk).delete()


def affected_by_unsharing(share: ServiceShare) -> QuerySet[Subscription]:
    """The active subscriptions of the account that name an internal version; all, where the marketplace has none."""
    theirs = active_of_service(share.service).filter(application__account=share.account_id)
    if share.service.versions.filter(publication=Publication.MARKETPLACE).exists():
        return theirs.filter(version__publication=Publication.INTERNAL)
    return theirs


def _locked(version: ServiceVersion) -> ServiceVersion:
    """The row as it is now, its service held until the transaction ends: of two who publish, one comes second."""
    _locked_service(version.service_id)
    return ServiceVersion.objects.select_related("service__account").get(pk=version.pk)


def _locked_service(pk: UUID) -> Service:
    found = Service.objects.select_for_update(no_key=True).filter(pk=pk, deleted_at=None).first()
    if found is None:
        raise ValidationError("The service was deleted in the meantime. Go back to your services.")
    return found
