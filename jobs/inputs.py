"""What a caller sends, taken apart and checked, before anything of it is kept. Accepting is submission.py's business.

JSON texts stay as they came.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.views.decorators.debug import sensitive_variables

from jobs.secrets import variable_name
from portal.lib import jsontext
from portal.lib.jsontext import JsonRefused, Member
from services import checking
from services.checking import Violation
from services.models import ServiceVersion

SECRETS, TAGS, DEADLINE = "$secrets", "$tags", "$deadline"
REFERENCE_KEYS = ("dataRef", "paramsRef")
REFERENCE_KINDS = ("DATAPOOL",)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")  # becomes the name of a file and, often, of a parameter
MORE_MAX = 50
TAGS_MAX = 20
TAG_MAX_CHARACTERS = 64
SECRETS_MAX = 50
DEADLINE_MAX_SECONDS = 366 * 86_400
CHECK_RETRY_SECONDS = 5
SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
SECRET_MAX_BYTES = 64 * 1024  # a variable of the environment ends at 128 KiB
SECRETS_MAX_BYTES = 512 * 1024  # together: a process takes 2 MiB of variables and arguments
SEND_LESS = "Send less, or let the code read the bulk from a file of its own project."


class Refused(ValidationError):
    """A job that is not accepted, and why. Keys of ``message_dict`` are names of arguments, for a form.

    ``code`` is one of portal.lib.errors.CODES; ``detail`` says it all in one text; ``members`` go beside it.
    """

    headers: ClassVar[Mapping[str, str]] = {}  # of the answer to a machine

    def __init__(self, code: str, messages: str | Mapping[str, str | list[str]], **members: Any) -> None:
        keyed = {NON_FIELD_ERRORS: messages} if isinstance(messages, str) else messages
        lists = {name: [text] if isinstance(text, str) else text for name, text in keyed.items()}
        super().__init__(lists)
        self.code: str = code
        self.detail = " ".join(text for texts in lists.values() for text in texts)
        self.members = members


class InputRefused(Refused):
    """What was sent is not taken."""


class InputUnchecked(InputRefused):
    """Nobody had time to check what was sent."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": str(CHECK_RETRY_SECONDS)}

    def __init__(self) -> None:
        super().__init__(
            "unavailable",
            "The input could not be checked in time, because too many others are being checked. Nothing was started. "
            "Send it again in a few seconds.",
        )


class InputInvalid(InputRefused):
    """What was sent does not fit the provider's schema."""

    def __init__(self, found: Sequence[Violation], more: int) -> None:
        keyed: dict[str, list[str]] = {}
        for violation in found:
            name, _, inside = violation.pointer.removeprefix("/").partition("/")
            is_field = name in ("data", "params")
            place = f"/{inside}" if is_field and inside else "" if is_field else violation.pointer
            message = f"{place}: {violation.message}." if place else f"{violation.message}."
            keyed.setdefault(name if is_field else NON_FIELD_ERRORS, []).append(message)
        count = len(found) + more
        members: dict[str, Any] = {"violations": [{"pointer": v.pointer, "message": v.message} for v in found]}
        if more:
            members["more"] = more
            keyed.setdefault(NON_FIELD_ERRORS, []).append(f"And {more:,} more.")
        super().__init__("invalid_input", keyed, **members)
        self.violations = list(found)
        self.detail = (
            f"The input breaks the schema of this service in {count:,} {'place' if count == 1 else 'places'}: "
            "`violations` names each with a pointer from the root of the body. Compare the input with the API "
            "description of the service, and send it again."
        )


@dataclass(frozen=True)
class Sent:
    """One input: JSON texts as they came, and what goes with them. It hides itself from logs and debuggers."""

    data: str = field(default="{}", repr=False)
    params: str = field(default="{}", repr=False)
    more: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    tags: Sequence[str] = ()
    deadline: datetime | timedelta | None = None  # until when it has to have ended; from now on, or on the clock

    def body(self) -> str:
        """All of it that is input, as one JSON object."""
        texts = {"data": self.data, "params": self.params, **self.more}
        return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"


def digest(body: bytes) -> str:
    """By which two bodies are known to be the same. Keyed: `$secrets` are in them, and short ones could be guessed."""
    return salted_hmac("jobs.inputs.digest", body, algorithm="sha256").hexdigest()


@sensitive_variables("body", "sent", "found")
def parse(body: bytes) -> Sent:
    """What the body of a call says: `{"data", "params", "$secrets", "$tags", "$deadline", …}`. Raises InputRefused."""
    if len(body) > settings.BODY_MAX_BYTES:
        raise _too_large("", len(body), settings.BODY_MAX_BYTES)
    try:
        found = jsontext.members(jsontext.decode(body))
    except JsonRefused as error:
        raise InputRefused(
            "invalid_json", f"The body is not taken as JSON: {error}.", line=error.line, column=error.column
        ) from None
    except jsontext.NotAnObject:
        raise InputRefused(
            "invalid_request",
            'The body must be a JSON object, such as {"data": {…}, "params": {…}}. Put what you send into one.',
        ) from None
    secrets, tags, deadline = found.pop(SECRETS, None), found.pop(TAGS, None), found.pop(DEADLINE, None)
    _check_names(found)
    return Sent(
        data=found.pop("data").text if "data" in found else "{}",
        params=found.pop("params").text if "params" in found else "{}",
        more={name: member.text for name, member in found.items()},
        secrets=_secrets(None if secrets is None else secrets.value),
        tags=_tags(None if tags is None else tags.value),
        deadline=_deadline(None if deadline is None else deadline.value),
    )


def from_texts(*, data: str, params: str) -> Sent:
    """What a form sends: two JSON texts, of which an empty one means `{}`. Raises InputRefused for both at once."""
    texts = {"data": data.strip() or "{}", "params": params.strip() or "{}"}
    refusals = {name: refused for name, text in texts.items() if (refused := _refusal_of_text(name, text))}
    if refusals:
        first = next(iter(refusals.values()))
        messages = {name: refused.message_dict[name] for name, refused in refusals.items()}
        raise InputRefused(first.code, messages, **first.members)
    return Sent(data=texts["data"], params=texts["params"])


def check_schema(sent: Sent, version: ServiceVersion) -> None:
    """Refuse what breaks the schema that the provider of ``version`` wrote; a generated one is only a guess."""
    if not version.validates_input or version.openapi_origin == version.OpenapiOrigin.DEFAULT:
        return
    schema = checking.of_body(version.openapi)
    if schema is None:
        return
    try:
        found = checking.check(schema, sent.body())
    except checking.Busy:
        raise InputUnchecked from None
    if found.violations:
        raise InputInvalid(found.violations, found.more)


def _refusal_of_text(name: str, text: str) -> InputRefused | None:
    try:
        if len(text.encode(errors="replace")) > settings.INPUT_MAX_BYTES:
            raise _too_large(name, len(text.encode(errors="replace")), settings.INPUT_MAX_BYTES)
        _refuse_reference(name, jsontext.load(text))
    except JsonRefused as error:
        message = f"`{name}` is not valid JSON: {error}."
        return InputRefused("invalid_json", {name: message}, line=error.line, column=error.column)
    except InputRefused as refused:
        return refused
    return None


def _check_names(found: Mapping[str, Member]) -> None:
    """Whether the keys, and the size of each value, are taken."""
    for name, member in found.items():
        if name.startswith("$"):
            raise InputRefused(
                "invalid_request",
                f"The key {_cut(name)} is not known: of the keys with a dollar sign there are `{SECRETS}`, "
                f"`{TAGS}` and `{DEADLINE}`. Correct it, or leave the dollar sign out.",
            )
        if name in REFERENCE_KEYS:
            raise _reference(name)
        if not NAME.fullmatch(name):
            raise InputRefused(
                "invalid_request",
                f"The key {_cut(name)} cannot be the name of an input: each becomes a file of that name. Use letters, "
                "digits, _ and -, at most 64 of them, beginning with a letter or _.",
            )
        size = len(member.text.encode())
        if size > settings.INPUT_MAX_BYTES:
            raise _too_large(name, size, settings.INPUT_MAX_BYTES)
        _refuse_reference(name, member.value)
    count = len(found.keys() - {"data", "params"})
    if count > MORE_MAX:
        raise InputRefused(
            "invalid_request",
            f"There are {count} inputs beside `data` and `params`, and {MORE_MAX} are taken. Put them into one object.",
        )


def _refuse_reference(name: str, value: Any) -> None:
    if isinstance(value, dict) and "id" in value and value.get("ref") in REFERENCE_KINDS:
        raise _reference(name)


def _reference(name: str) -> InputRefused:
    message = f"`{name}` refers to a data pool. Data pools come later: send the value itself instead, in the body."
    key = name if name in ("data", "params") else NON_FIELD_ERRORS
    return InputRefused("unsupported_reference", {key: message}, pointer=f"/{name}")


def _too_large(name: str, size: int, limit: int) -> InputRefused:
    what = f"`{name}`" if name else "The body"
    message = f"{what} has {size:,} bytes, and {limit:,} are allowed. {SEND_LESS}"
    key = name if name in ("data", "params") else NON_FIELD_ERRORS
    members = {"name": name} if name else {}
    return InputRefused("input_too_large", {key: message}, **members, size=size, limit=limit)


def _tags(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise _refuse(TAGS, "must be a list of texts. Put each word in quotes, and all of them in brackets.")
    tags = list(dict.fromkeys(value))
    if len(tags) > TAGS_MAX:
        raise _refuse(TAGS, f"has {len(tags)} tags, and {TAGS_MAX} are taken. Leave some out.")
    for tag in tags:
        if not tag.strip() or not tag.isprintable() or len(tag) > TAG_MAX_CHARACTERS:
            raise _refuse(
                TAGS,
                f"has the tag {_cut(tag)}. A tag is a word of 1 to {TAG_MAX_CHARACTERS} characters that can be "
                "printed. Change it.",
            )
    return tags


def deadline_at(sent: Sent) -> datetime | None:
    """Until when the job has to have ended. Raises InputRefused for a time that has passed.

    Not when it is parsed: who sends the same call again, a day later, gets the first answer.
    """
    now = timezone.now()
    at = now + sent.deadline if isinstance(sent.deadline, timedelta) else sent.deadline
    if at is not None and at <= now:
        raise _refuse(DEADLINE, f"is {at:%Y-%m-%d %H:%M:%S %Z}, which has passed. Send a later one, or none.")
    if at is not None and at > now + timedelta(seconds=DEADLINE_MAX_SECONDS):
        raise _refuse(DEADLINE, "is more than a year away. Send an earlier one, or none.")
    return at


def _deadline(value: Any) -> datetime | timedelta | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= DEADLINE_MAX_SECONDS:
        return timedelta(seconds=float(value))
    if isinstance(value, str):
        with suppress(ValueError, OverflowError):
            if (at := datetime.fromisoformat(value)).tzinfo is not None:
                return at.astimezone(UTC)
    raise _refuse(
        DEADLINE,
        "has to be a number of seconds from now on, above 0 and up to a year, or a time with its zone (ISO 8601), "
        'such as 3600 or "2030-01-31T12:00:00Z".',
    )


@sensitive_variables("value", "text", "secrets")
def _secrets(value: Any) -> dict[str, str]:
    """Checked. No message has a value in it."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _refuse(SECRETS, 'must be an object of texts, such as {"token": "…"}. Name each secret.')
    if len(value) > SECRETS_MAX:
        raise _refuse(SECRETS, f"has {len(value)} secrets, and {SECRETS_MAX} are taken. Leave some out.")
    names: dict[str, str] = {}
    for name, text in value.items():
        _check_secret(name, text)
        if (variable := variable_name(name)) in names:
            raise _refuse(
                SECRETS,
                f"has {_cut(names[variable])} and {_cut(name)}, which both become {variable}. Leave one out.",
            )
        names[variable] = name
    if (size := _size(value.values())) > SECRETS_MAX_BYTES:
        raise _secret_too_large(SECRETS, size, SECRETS_MAX_BYTES)
    return dict(value)


@sensitive_variables("text")
def _check_secret(name: str, text: Any) -> None:
    if not SECRET_NAME.fullmatch(name):
        raise _refuse(
            SECRETS,
            f"has the name {_cut(name)}, which no variable can have. Use letters, digits and _, at most 64 of them, "
            "beginning with a letter or _.",
        )
    if not isinstance(text, str):
        raise _refuse(SECRETS, f"has {_cut(name)}, whose value is not a text. Put it in quotes.")
    if "\0" in text:
        raise _refuse(SECRETS, f"has {_cut(name)} with a NUL in it, which no variable can have. Encode it as Base64.")
    if (size := len(text.encode())) > SECRET_MAX_BYTES:
        raise _secret_too_large(f"{SECRETS}.{name}", size, SECRET_MAX_BYTES)


def _secret_too_large(name: str, size: int, limit: int) -> InputRefused:
    message = f"`{name}` has {size:,} bytes, and {limit:,} are allowed. Send a key or a token, and bulk as `data`."
    return InputRefused("input_too_large", message, name=name, size=size, limit=limit)


@sensitive_variables("texts")
def _size(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def _refuse(key: str, what: str) -> InputRefused:
    return InputRefused("invalid_request", f"`{key}` {what}", pointer=f"/{key}")


def _cut(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:79]}…")
