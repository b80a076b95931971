"""How a version is run: again after a cut, how many at once, warm. It may change without a new version.

Each version's variables are variables.py's. What runs never changes: that is publishing's.
"""

import logging
from typing import Any, TypedDict

from django.core.exceptions import ValidationError
from django.db import transaction

from portal.accounts.actors import Actor
from services.models import ServiceVersion

log = logging.getLogger(__name__)

CONCURRENCY_MAX = 1000


class Operation(TypedDict, total=False):
    """What may be chosen about it. What is missing or None stays as it is."""

    retryable: bool | None
    concurrency: int | None  # 0: no limit
    warm_start: bool | None


def operate(
    *,
    version: ServiceVersion,
    by: Actor,
    retryable: bool | None = None,
    concurrency: int | None = None,
    warm_start: bool | None = None,
) -> ServiceVersion:
    """Change how ``version`` is run, for jobs that start afterwards.

    Raises ValidationError with the names of the arguments.
    """
    chosen: Operation = {"retryable": retryable, "concurrency": concurrency, "warm_start": warm_start}
    with transaction.atomic():
        version = ServiceVersion.objects.select_for_update(of=("self",)).defer("openapi").get(pk=version.pk)
        settled = operation(version, chosen)
        for name, value in settled.items():
            setattr(version, name, value)
        version.save(update_fields=[*settled])
    log.info("Version %s is run with %s, by %s.", version.pk, settled, by)
    return version


def operation(before: ServiceVersion, chosen: Operation) -> dict[str, Any]:
    """The columns that say how a version is run: what is chosen, else as ``before``. Raises ValidationError."""
    retryable, concurrency, warm_start = chosen.get("retryable"), chosen.get("concurrency"), chosen.get("warm_start")
    if concurrency is not None and not 0 <= concurrency <= CONCURRENCY_MAX:
        raise ValidationError(
            {
                "concurrency": f"{concurrency:,} at once is not possible: choose 1 to {CONCURRENCY_MAX:,}, or leave it "
                "empty for no limit. The limits of the operator hold anyway."
            }
        )
    return {
        "retryable": before.retryable if retryable is None else retryable,
        "concurrency": before.concurrency if concurrency is None else concurrency or None,
        "warm_start": before.warm_start if warm_start is None else warm_start,
    }
