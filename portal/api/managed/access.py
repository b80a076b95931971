"""Who may call what: the bearer token and the endpoint of a request lead to a subscription, and that to its executions.

Each hot request is one query, which finds something only for a live token with an active subscription. What it missed,
and so how to refuse, is asked only then.
"""

from datetime import datetime
from typing import NamedTuple, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import F, Func, Model, QuerySet, Subquery, UUIDField, Value
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.utils import timezone
from django.utils.encoding import iri_to_uri

from jobs.models import Job
from portal.accounts.issuing import is_live_digest
from portal.api.authentication import require_live
from portal.lib import tokens
from portal.lib.errors import Problem
from services.models import ServiceVersion, Subscription

# A number that was never published is nobody's business but its provider's.
KNOWN = (
    ServiceVersion.Publication.INTERNAL,
    ServiceVersion.Publication.MARKETPLACE,
    ServiceVersion.Publication.RETIRED,
)
UUID_CHARACTERS = 36
BOUNDS = (0, 2**128 - 1)

Row = TypeVar("Row", bound=Model)


class Caller(NamedTuple):
    """Who asks, when, and at which endpoint: all that decides what may be seen. The types are those of its fields."""

    digest: str
    now: datetime
    account: str
    service: str
    number: str


class Endpoint(NamedTuple):
    """What the address of a call names, the version of a service; and the token of the call."""

    account: str
    service: str
    number: str
    token: str

    @property
    def path(self) -> str:
        return f"/gateway/{self.account}/{self.service}/{self.number}"

    @property
    def url(self) -> str:
        """The address that consumers know, whatever proxy the call came through."""
        return iri_to_uri(settings.PUBLIC_URL + self.path)

    @property
    def caller(self) -> Caller:
        return Caller(tokens.digest(self.token), timezone.now(), self.account, self.service, self.number)


def subscriptions(caller: Caller, **version: str) -> QuerySet[Subscription]:
    """The active subscription that ``caller`` calls with: one row or none.

    ``version``: further conditions on the version that the endpoint names.
    """
    return Subscription.objects.filter(
        is_live_digest(caller.digest, now=caller.now, via="application__tokens"),
        ended_at=None,
        service__slug=caller.service,
        service__account__slug=caller.account,
        service__deleted_at=None,
        service__versions__number=caller.number,
        service__versions__publication__in=KNOWN,
        **{f"service__versions__{name}": value for name, value in version.items()},
    )


def executions(caller: Caller) -> QuerySet[Job]:
    """The executions that ``caller`` may see: those of its subscription, of whichever version."""
    return Job.objects.filter(subscription=only(subscriptions(caller)))


def only(found: QuerySet[Subscription]) -> Subquery:
    """The one that was found, as a value: so the planner walks the index of its rows, in the order of the list."""
    return Subquery(found.values("pk")[:1])


def by_subscription(rows: QuerySet[Row]) -> QuerySet[Row]:
    """``rows`` of one subscription, to be read by the index of subscriptions whatever the planner believes.

    PostgreSQL does not know the value of `only` and takes it for an average one. Where there are few, it would walk all
    rows by their ids until it has enough of the one: a hundred times as long among a million. Bounds that hold for
    every id, and that it does not know either, let it believe that there are few rows to be found.
    """
    if connection.vendor != "postgresql":
        return rows
    first, last = (Func(Value(UUID(int=bound), UUIDField()), template="(SELECT %(expressions)s)") for bound in BOUNDS)
    column = F("subscription_id")
    return rows.filter(GreaterThanOrEqual(column, first), LessThanOrEqual(column, last))


def execution_id(endpoint: Endpoint, text: str) -> UUID:
    """The id in an address; what is no id is an execution that is not there."""
    try:
        if len(text) != UUID_CHARACTERS:
            raise ValueError
        return UUID(text)
    except ValueError:
        raise missing_execution(endpoint, text) from None


def get_subscription(endpoint: Endpoint) -> Subscription:
    """The active subscription, with its application and both accounts. Raises Problem."""
    found = subscriptions(endpoint.caller).select_related("application__account", "service__account").first()
    if found is None:
        raise missing_service(endpoint)
    return found


def get_version(subscription: Subscription, endpoint: Endpoint) -> ServiceVersion:
    """The version that ``endpoint`` names."""
    version = ServiceVersion.objects.get(service=subscription.service_id, number=endpoint.number)
    version.service = subscription.service
    return version


def missing_service(endpoint: Endpoint) -> Problem:
    """Why nothing was found at ``endpoint``. Raises the 401 of a dead token."""
    require_live(endpoint.token)
    return Problem(
        "not_found",
        f"The application of this access token has no subscription to a service at {endpoint.path}. Compare the "
        "address with the service endpoint on the page of the application, or subscribe the application there.",
    )


def missing_execution(endpoint: Endpoint, text: str) -> Problem:
    """Why there is no execution ``text``. Raises the 401 of a dead token."""
    if not subscriptions(endpoint.caller).exists():
        return missing_service(endpoint)
    return Problem(
        "not_found",
        f"This subscription has no execution {text[:64]!r}. GET {endpoint.path} lists the executions that it has.",
    )
