"""Files of variables, one `NAME=value` a line, as Docker and many tools read them."""

import re

from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

LINE = re.compile(r"\s*(?:export\s+)?([^=\s]+)\s*=(.*)", re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
ESCAPED = re.compile(r'\\([nt"\\])')


@sensitive_variables()
def read(text: str, *, name: str) -> dict[str, str]:
    """The variables in ``text``; the last of a name counts. Raises ValidationError with the number of a bad line.

    Blank lines and those that begin with # are left out. A value may stand in quotes: in double ones \\n is a new line.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            raise ValidationError(f"{name}, line {number}: it is not NAME=value. Mend it, or put a # before it.")
        found[match[1]] = _unquoted(match[2].strip())
    return found


@sensitive_variables()
def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return ESCAPED.sub(lambda found: ESCAPES[found[1]], value[1:-1])
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    return value
