"""What a caller sends as `$secrets`: encrypted until the job ends, handed to the code as variables, then gone."""

import json
import re
from collections.abc import Mapping, Sequence

from cryptography.fernet import InvalidToken
from django.views.decorators.debug import sensitive_variables

from jobs import masking
from jobs.masking import Masks
from jobs.models import Job, JobInput
from portal.lib import crypto
from services import variables as own

PREFIX = "SECRET_"
CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")

UNREADABLE = (
    "The secrets that were sent with this job cannot be decrypted any more, so your code was not started: the operator "
    "took away the key that they were encrypted under (ENCRYPTION_KEYS). Send the job again, with its secrets."
)


class Unreadable(Exception):
    """No key decrypts them."""


@sensitive_variables("secrets")
def seal(secrets: Mapping[str, str]) -> str:
    """What may lie in the database of ``secrets``; empty for none."""
    return crypto.encrypt(json.dumps(dict(secrets))) if secrets else ""


@sensitive_variables("secrets")
def variables(sealed: str) -> dict[str, str]:
    """The variables by which the code gets what `seal` was given. Raises Unreadable."""
    if not sealed:
        return {}
    try:
        secrets = json.loads(crypto.decrypt(sealed))
    except InvalidToken as error:
        raise Unreadable from error
    return {variable_name(name): value for name, value in secrets.items()}


@sensitive_variables("values")
def masks(job: Job, *, sealed: Sequence[str] | None = None) -> Masks:
    """What must not be seen in what ``job`` prints. Where its secrets are gone or unreadable, that is everything.

    ``sealed`` are the secret variables of its version that it was started with; None: those that there are now.
    """
    if job.input.secret_count and not job.input.secrets:
        return masking.EVERYTHING  # it has ended, and a part of its output still waits for the log
    try:
        of_version = own.secret_values(job.version) if sealed is None else own.opened(sealed)
        values = [*variables(job.input.secrets).values(), *of_version]
    except (Unreadable, own.Unreadable):
        return masking.EVERYTHING
    return Masks.of(values)


def variable_name(name: str) -> str:
    """`ibmToken` and `ibm_token` → `SECRET_IBM_TOKEN`; a name in capitals stays: the rule of the Kipu libraries."""
    return PREFIX + (name if name.isupper() else CAPITAL.sub("_", name).upper())


def wipe(job: Job) -> None:
    """Forget them: ``job`` is final. In the transaction that makes it so."""
    if not Job.input.is_cached(job) or job.input.secrets:  # nobody gives it any afterwards
        JobInput.objects.filter(pk=job.pk).exclude(secrets="").update(secrets="")
