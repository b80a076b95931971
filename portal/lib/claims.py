"""Work that one process at a time may do: claimed by a conditional UPDATE, held by a lease, fenced by the attempt.

The row is the only authority. Whoever wins the UPDATE owns the attempt; every later write names that attempt, so a
process that lost its claim writes nothing.
"""

from datetime import timedelta
from typing import Any, TypeVar

from django.db import models
from django.db.models import F, QuerySet
from django.utils import timezone


class Claimable(models.Model):
    """Columns of a row that workers claim. Subclasses add ``status`` and what else a claim changes."""

    attempt = models.PositiveSmallIntegerField(default=0, editable=False)
    host = models.CharField(max_length=255, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


Row = TypeVar("Row", bound=Claimable)

CANDIDATES_AT_A_TIME = 8


def claim(waiting: QuerySet[Row], *, host: str, lease_seconds: float, **changes: Any) -> Row | None:
    """Take one row of ``waiting`` (best first) for ``host`` and begin its next attempt; None where none is left.

    The same filter that found the row guards the UPDATE, so of two claimants one wins and the other tries the next.
    """
    while candidates := list(waiting.values_list("pk", "attempt")[:CANDIDATES_AT_A_TIME]):
        for pk, attempt in candidates:
            won = (
                waiting.order_by()
                .filter(pk=pk, attempt=attempt)
                .update(attempt=F("attempt") + 1, host=host, lease_expires_at=lease_end(lease_seconds), **changes)
            )
            if won:
                return waiting.model._default_manager.get(pk=pk)
    return None


def update(row: Row, *, when: QuerySet[Row] | None = None, **values: Any) -> bool:
    """Write ``values`` to ``row`` and to the object, if ``row``'s attempt is still the current one.

    ``when`` narrows it further (for example to unfinished rows). False: the claim was lost and nothing was written.
    """
    rows = row.__class__._default_manager.all() if when is None else when
    won = rows.order_by().filter(pk=row.pk, attempt=row.attempt).update(**values)
    if won:
        for name, value in values.items():
            setattr(row, name, value)
    return bool(won)


def lease_end(seconds: float) -> Any:
    """The end of a lease of ``seconds`` that begins now."""
    return timezone.now() + timedelta(seconds=seconds)
