"""How a version is run: again after a cut, how many at once, warm. It may change without a new version.

Each version's variables are variables.py's. What runs never changes: that is publishing.py's.
"""

import logging
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from portal.accounts.actors import Actor
from services.models import ServiceVersion

log = logging.getLogger(__name__)

CONCURRENCY_MAX = 1000


def operate(
    *,
    version: ServiceVersion,
    by: Actor,
    retryable: bool | None = None,
    concurrency: int | None = None,
    warm_start: bool | None = None,
) -> ServiceVersion:
    """Change how ``version`` is run, for jobs that start afterwards. None stays as it is; a concurrency of 0: no limit.

    Raises ValidationError with the names of the arguments.
    """
    with transaction.atomic():
        version = ServiceVersion.objects.select_for_update(of=("self",)).defer("openapi").get(pk=version.pk)
        settled = operation(version, retryable=retryable, concurrency=concurrency, warm_start=warm_start)
        for name, value in settled.items():
            setattr(version, name, value)
        version.save(update_fields=[*settled])
    log.info("Version %s is run with %s, by %s.", version.pk, settled, f"user {by.user.pk}" if by.user else by)
    return version


def operation(
    before: ServiceVersion | None = None,
    *,
    retryable: bool | None = None,
    concurrency: int | None = None,
    warm_start: bool | None = None,
) -> dict[str, Any]:
    """The columns that say how a version is run: what is asked for, else as ``before``. Raises ValidationError."""
    if concurrency is not None and not 0 <= concurrency <= CONCURRENCY_MAX:
        raise ValidationError(
            {
                "concurrency": f"{concurrency:,} at once is not possible: choose 1 to {CONCURRENCY_MAX:,}, or leave it "
                "empty for no limit. The limits of the operator hold anyway."
            }
        )
    before = before or ServiceVersion()
    return {
        "retryable": before.retryable if retryable is None else retryable,
        "concurrency": before.concurrency if concurrency is None else concurrency or None,
        "warm_start": before.warm_start if warm_start is None else warm_start,
    }
