"""`Range: bytes=…` of a download (RFC 9110 §14)."""

import re

from portal.lib.errors import Problem

# As many digits as the largest number of a client has, and more; Python refuses to read thousands.
SPECIFIER = re.compile(r"\s*(\d{0,40})\s*-\s*(\d{0,40})\s*", re.ASCII)


def parse(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; None where the whole file is to be sent.

    Units that we do not know are ignored, as they have to be, and several ranges at once, as they may be. Raises
    Problem for a range that the file does not have.
    """
    unit, separator, given = header.partition("=")
    if not separator or unit.strip().lower() != "bytes" or "," in given:
        return None
    found = SPECIFIER.fullmatch(given)
    first, last = found.groups() if found else ("", "")
    if first and (not last or int(first) <= int(last)) and int(first) < size:
        return int(first), min(int(last) + 1, size) if last else size
    if not first and last and int(last) > 0 and size:
        return max(0, size - int(last)), size
    raise Problem(
        "range_not_satisfiable",
        f"The file has {size:,} bytes, and no {header[:80]!r}. Ask for a range within it, or for all of it.",
        headers={"Content-Range": f"bytes */{size}"},
        size=size,
    )
