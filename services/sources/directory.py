"""The directory at the end of a zip, looked at before `zipfile` reads it.

`zipfile` is generous: it guesses what was put in front of a zip, ignores what follows it, and takes extra fields apart
in quadratic time. Another program may then see another zip. What is sent to us has one meaning, or it is refused.
"""

import struct
from dataclasses import dataclass
from typing import IO

COMMENT_MAX_BYTES = 0xFFFF
EXTRA_MAX_BYTES = 4096  # of one entry; owner, times and sizes need some fifty
END = struct.Struct("<4s4H2LH")  # disk, its directory's disk, entries there, entries, size, place, length of comment
LOCATOR_64 = struct.Struct("<4sLQL")
END_64 = struct.Struct("<4sQ2H2L4Q")
ENTRY = struct.Struct("<4s24x3H12x")  # lengths of name, extra fields and comment
END_SIGNATURE, LOCATOR_64_SIGNATURE, END_64_SIGNATURE = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
ENTRY_SIGNATURE = b"PK\x01\x02"
ON_MANY_DISKS = "it is one part of a zip of several parts"
CUT_SHORT = "the list of its entries, at its end, is missing or cut short"


class Misleading(Exception):
    """The zip is not what it says. The text is the middle of a sentence: what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Where the list of entries begins, and how many there are (or one more than were asked for)."""

    start: int
    count: int


def find(file: IO[bytes], *, size: int, entries_max: int) -> Directory:
    """The directory of the zip in ``file`` of ``size`` bytes. Raises Misleading."""
    length, place, count, start = _end(file, size)
    if start < 0 or start != place:
        raise Misleading("its list of entries does not lie where it says, or something was put in front of it")
    found = _count(file, start, length, entries_max=entries_max)
    if found <= entries_max and found != count:
        raise Misleading(f"it says that it has {count:,} entries, and has {found:,}")
    return Directory(start=start, count=found)


def _end(file: IO[bytes], size: int) -> tuple[int, int, int, int]:
    """Of the directory: its length, its place as the zip says, its entries, and where it must begin."""
    first = max(size - END.size - COMMENT_MAX_BYTES - 1, 0)
    file.seek(first)
    tail = file.read(size - first)
    at = tail.rfind(END_SIGNATURE)
    if at < 0 or len(tail) - at < END.size:
        raise Misleading(CUT_SHORT)
    _, disk, first_disk, count_here, count, length, place, comment = END.unpack_from(tail, at)
    if at + END.size + comment != len(tail):
        raise Misleading("something follows its end")
    end = first + at
    if (found := _end_64(file, end)) is not None:
        disk, first_disk, count_here, count, length, place = found
        end -= LOCATOR_64.size + END_64.size
    if disk or first_disk or count_here != count:
        raise Misleading(ON_MANY_DISKS)
    return length, place, count, end - length


def _end_64(file: IO[bytes], end: int) -> tuple[int, int, int, int, int, int] | None:
    """The same facts where the zip has them in 64 bits, which large zips and those of a stream do."""
    begin = end - LOCATOR_64.size - END_64.size
    if begin < 0:
        return None
    file.seek(begin)
    both = file.read(LOCATOR_64.size + END_64.size)
    signature, disk, _, disks = LOCATOR_64.unpack_from(both, END_64.size)
    if signature != LOCATOR_64_SIGNATURE:
        return None
    if disk or disks > 1:
        raise Misleading(ON_MANY_DISKS)
    signature, _, _, _, *found = END_64.unpack_from(both)
    if signature != END_64_SIGNATURE:
        raise Misleading(CUT_SHORT)
    disk, first_disk, count_here, count, length, place = found
    return disk, first_disk, count_here, count, length, place


def _count(file: IO[bytes], start: int, length: int, *, entries_max: int) -> int:
    at, count = 0, 0
    while at < length and count <= entries_max:
        file.seek(start + at)
        header = file.read(ENTRY.size)
        if len(header) < ENTRY.size:
            raise Misleading(CUT_SHORT)
        signature, name, extra, comment = ENTRY.unpack(header)
        if signature != ENTRY_SIGNATURE:
            raise Misleading("its list of entries holds something else")
        if extra > EXTRA_MAX_BYTES:
            raise Misleading(f"an entry has {extra:,} bytes of extra fields, as no zip program writes")
        at += ENTRY.size + name + extra + comment
        count += 1
    if count <= entries_max and at != length:
        raise Misleading(CUT_SHORT)
    return count
