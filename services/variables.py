"""The variables of the environment that a version's code runs with; secret ones are encrypted, and shown to nobody.

A change acts on jobs that start afterwards. Who may make one is the caller's question (rules.py).
"""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.core.exceptions import ValidationError
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from portal.accounts.actors import Actor
from portal.lib import crypto
from portal.lib.prepared import Prepared
from services.models import ServiceVersion, VersionVariable

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
NAME_MAX_CHARACTERS = VersionVariable._meta.get_field("name").max_length or 0  # it has one, which its type does not say
COUNT_MAX = 100
VALUE_MAX_BYTES = 32 * 1024
SUM_MAX_BYTES = 256 * 1024  # names and values; the kernel hands the whole environment to a program at once
FERNET_BYTES = 57  # what encryption adds, before base64

# Names that are not the provider's to give, and why.
BY_THE_SANDBOX = "every job gets it from its sandbox"
FOR_THE_INPUT = "it tells the code of every job where its input and output are"
FOR_OLD_TEMPLATES = "it holds the input for the templates of 2022"
FOR_PYTHON = "jobs start Python without it: import from the folder src, and name packages in requirements.txt"
FOR_THE_JOB = "it stands for a token of the job itself"
TAKEN = {
    **dict.fromkeys(("PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "VIRTUAL_ENV"), BY_THE_SANDBOX),
    **dict.fromkeys(("INPUT_DIRECTORY", "OUTPUT_DIRECTORY", "DATAPOOL_DIRECTORY"), FOR_THE_INPUT),
    **dict.fromkeys(("DATA_VALUE", "PARAMS_VALUE", "BASE64_ENCODED"), FOR_OLD_TEMPLATES),
    **dict.fromkeys(("PYTHONHOME", "PYTHONPATH"), FOR_PYTHON),
    **dict.fromkeys((f"{of}SERVICE_EXECUTION_TOKEN" for of in ("", "KQH_", "PLANQK_")), FOR_THE_JOB),
}
TAKEN_STARTS = {
    "SECRET_": "what callers send as $secrets arrives under such names",
    "MERCATO_": "such names are the platform's own",
    "LD_": "the system's loader reads it before any code of yours",
}

UNREADABLE = (
    "A secret variable of this version cannot be decrypted any more, so its code was not started: the operator took "
    "away the key that it was encrypted under (ENCRYPTION_KEYS). The provider of the service writes its value again."
)


_rows = Prepared(
    lambda version: (
        VersionVariable.objects.filter(version=version).order_by("name").values_list("name", "value", "is_secret")
    ),
    version=UUID,
)


class Unreadable(Exception):
    """No key decrypts a secret variable."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A variable as its provider may see it: the value of a secret one is None."""

    name: str
    value: str | None
    is_secret: bool


def shown(version: ServiceVersion) -> list[Shown]:
    """The variables of ``version`` by name, without the values of secrets."""
    return [
        Shown(name=row.name, value=None if row.is_secret else row.value, is_secret=row.is_secret)
        for row in version.variables.order_by("name")
    ]


def resolve(version: ServiceVersion) -> dict[str, str]:
    """Every variable with its value, for a job of ``version`` alone. Raises Unreadable."""
    return resolve_and_keep(version)[0]


def resolve_and_keep(version: ServiceVersion) -> tuple[dict[str, str], list[str]]:
    """What `resolve` finds, and the secret values among it, encrypted as they lie here: for `opened`, later.

    By then a variable may have been changed, and a job that runs still has what it was started with.
    """
    rows = _rows.rows(version=version.pk)
    values = {name: _opened(value) if is_secret else value for name, value, is_secret in rows}
    return values, [value for _, value, is_secret in rows if is_secret]


def secret_values(version: ServiceVersion) -> list[str]:
    """What must not be seen in anything that jobs of ``version`` print. Raises Unreadable."""
    return opened(version.variables.filter(is_secret=True).order_by("name").values_list("value", flat=True))


def opened(sealed: Iterable[str]) -> list[str]:
    """The values that were kept encrypted. Raises Unreadable."""
    return [_opened(value) for value in sealed]


@sensitive_variables("value")
def set_variable(*, version: ServiceVersion, by: Actor, name: str, value: str | None, is_secret: bool) -> None:
    """Give a variable a value; None keeps the one it has, which a secret that becomes plain does not.

    Raises ValidationError with the keys `name` and `value`.
    """
    _check_name(name)
    if value is not None:
        _check_value(value)
    with transaction.atomic():
        _hold(version)
        row = version.variables.filter(name=name).first()
        if value is None:
            if row is None or (row.is_secret and not is_secret):
                raise ValidationError({"value": "Write a value. (That of a secret variable is shown to nobody.)"})
            value = row.value if row.is_secret or not is_secret else crypto.encrypt(row.value)
        elif is_secret:
            value = crypto.encrypt(value)
        row = row or VersionVariable(version=version, name=name)
        row.value, row.is_secret = value, is_secret
        row.save()
        _check_sums(version)
    log.info("The %s variable %s of version %s is set, by %s.", _kind(row), name, version.pk, by)


@sensitive_variables("values")
def set_variables(*, version: ServiceVersion, by: Actor, values: Mapping[str, str], is_secret: bool) -> None:
    """Give several variables a value, all or none. The others stay as they are."""
    with transaction.atomic():
        for name, value in values.items():
            set_variable(version=version, by=by, name=name, value=value, is_secret=is_secret)


@sensitive_variables("values")
def check(values: Mapping[str, str]) -> None:
    """Raise the ValidationError that setting ``values`` would, as far as it does not depend on other variables."""
    for name, value in values.items():
        _check_name(name)
        _check_value(value)


def remove_variable(*, version: ServiceVersion, by: Actor, name: str) -> bool:
    """Take a variable away; False where there is none of that name."""
    count, _ = version.variables.filter(name=name).delete()
    if count:
        log.info("The variable %s of version %s is removed, by %s.", name, version.pk, by)
    return count > 0


def copy_variables(*, source: ServiceVersion, target: ServiceVersion) -> None:
    """Give a new version the variables of the one before, secrets as they lie there."""
    VersionVariable.objects.bulk_create(
        VersionVariable(version=target, name=row.name, value=row.value, is_secret=row.is_secret)
        for row in source.variables.order_by("name")
    )


def _opened(sealed: str) -> str:
    try:
        return crypto.decrypt(sealed)
    except InvalidToken as error:
        raise Unreadable from error


def _hold(version: ServiceVersion) -> None:
    """Let nobody else change variables of ``version`` until the transaction ends: they are counted together."""
    ServiceVersion.objects.select_for_update(of=("self",)).only("pk").get(pk=version.pk)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValidationError(
            {"name": "A name has letters from A to Z, digits and underscores, and begins with no digit: like API_URL."}
        )
    if len(name) > NAME_MAX_CHARACTERS:
        raise ValidationError({"name": f"A name has at most {NAME_MAX_CHARACTERS} characters. Choose a shorter one."})
    reason = TAKEN.get(name) or next((why for start, why in TAKEN_STARTS.items() if name.startswith(start)), "")
    if reason:
        raise ValidationError({"name": f"{name} cannot be set: {reason}. Choose another name."})


@sensitive_variables("value")
def _check_value(value: str) -> None:
    if "\0" in value:
        raise ValidationError({"value": "It has a NUL character, which no variable can hold. Remove it."})
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValidationError({"value": "It has a character that is not valid Unicode. Write it anew."}) from None
    if size > VALUE_MAX_BYTES:
        raise ValidationError(
            {
                "value": f"It has {size:,} bytes, and a variable at most {VALUE_MAX_BYTES:,}. Put it into a file of "
                "the project, or split it."
            }
        )


def _check_sums(version: ServiceVersion) -> None:
    rows = list(version.variables.all())
    if len(rows) > COUNT_MAX:
        raise ValidationError(
            {"name": f"A version has at most {COUNT_MAX} variables. Remove one, or put several into one as JSON."}
        )
    size = sum(len(row.name) + _size(row) for row in rows)
    if size > SUM_MAX_BYTES:
        raise ValidationError(
            {
                "value": f"With it, the variables of this version have {size:,} bytes, and {SUM_MAX_BYTES:,} are "
                "possible. Put long values into a file of the project."
            }
        )


def _size(row: VersionVariable) -> int:
    """Bytes of the value; of an encrypted one, to within a block of the cipher."""
    return max(0, len(row.value) * 3 // 4 - FERNET_BYTES) if row.is_secret else len(row.value.encode())


def _kind(row: VersionVariable) -> str:
    return "secret" if row.is_secret else "plain"
