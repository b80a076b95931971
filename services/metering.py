"""Counting what was executed: one event an ended execution, and what a provider may read from the events.

What a consumer sent and received stays with the consumer: no event holds any of it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.core.cache import cache
from django.db.models import Count, QuerySet, TextField
from django.db.models.functions import Cast, Left
from django.utils import timezone

from services.models import Service, UsageEvent

DAYS_DEFAULT = 30
DAYS_MAX = 365
DURATIONS_OF = 2_000  # the newest so many successes say how long one takes
KEPT_SECONDS = 15
DATE_LENGTH = len("2026-01-31")


@dataclass(frozen=True, kw_only=True)
class Day:
    """The executions that ended on one day (UTC), by outcome."""

    on: date
    outcomes: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What happened to a service in the last days: counts, error classes and durations, and nobody's data."""

    days: list[Day]
    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]
    consumers: int
    median_seconds: float | None
    p95_seconds: float | None
    measured: int

    @property
    def total(self) -> int:
        return sum(self.outcomes.values())


def record(
    *,
    job_id: UUID,
    service_id: UUID,
    version_id: UUID,
    account_id: UUID,
    subscription_id: UUID | None,
    outcome: str,
    reason: str,
    wall_seconds: float | None,
    cpu_seconds: float | None,
    ended_at: datetime,
) -> None:
    """Count an execution that has ended, in the transaction that ends it. Twice is no error and counts once."""
    event = UsageEvent(
        job_id=job_id,
        service_id=service_id,
        version_id=version_id,
        account_id=account_id,
        subscription_id=subscription_id,
        outcome=outcome,
        reason=reason,
        wall_seconds=wall_seconds,
        cpu_seconds=cpu_seconds,
        ended_at=ended_at,
    )
    UsageEvent.objects.bulk_create([event], ignore_conflicts=True)


def usage(service: Service, days: int = DAYS_DEFAULT) -> Usage:
    """What happened in the last ``days``, today among them; up to ``KEPT_SECONDS`` old."""
    days = min(max(days, 1), DAYS_MAX)
    key = f"usage:{service.pk}:{days}"
    found = cache.get(key)
    if found is None:
        found = _counted(service, days)
        cache.set(key, found, KEPT_SECONDS)
    return found


def _counted(service: Service, days: int) -> Usage:
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=days - 1)
    events = UsageEvent.objects.filter(service=service, ended_at__gte=first)
    by_day: dict[date, Counter[str]] = {(first + timedelta(days=n)).date(): Counter() for n in range(days)}
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    # The text of a time begins with its date in UTC on both databases; a function of Django's own would be Python on
    # SQLite, called for each row.
    on = Left(Cast("ended_at", TextField()), DATE_LENGTH)
    for day, outcome, reason, count in (
        events.annotate(on=on).values_list("on", "outcome", "reason").annotate(count=Count("*")).order_by()
    ):
        by_day.setdefault(date.fromisoformat(day), Counter())[outcome] += count
        outcomes[outcome] += count
        if reason:
            reasons[reason] += count
    durations = _durations(events)
    return Usage(
        days=[Day(on=day, outcomes=dict(counts)) for day, counts in sorted(by_day.items())],
        outcomes=dict(outcomes),
        reasons=dict(reasons.most_common()),
        consumers=events.aggregate(count=Count("account", distinct=True))["count"],
        median_seconds=_quantile(durations, 0.5),
        p95_seconds=_quantile(durations, 0.95),
        measured=len(durations),
    )


def _durations(events: QuerySet[UsageEvent]) -> list[float]:
    """How long the newest successes took, sorted. Only so many, so that it costs the same however many there were."""
    newest = events.filter(outcome="SUCCEEDED", wall_seconds__isnull=False).order_by("-ended_at")
    seconds = newest.values_list("wall_seconds", flat=True)[:DURATIONS_OF]
    return sorted(value for value in seconds if value is not None)


def _quantile(ordered: list[float], share: float) -> float | None:
    """The value below which ``share`` of them lie (nearest rank)."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]
