"""Zips for tests: good ones, and ones that no zip program would write, byte for byte."""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

PROGRAM = "def run(data, params):\n    return data\n"
GOOD = {"src/__init__.py": "", "src/program.py": PROGRAM, "requirements.txt": ""}
CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
UTF8 = 0x800


def zip_of(files: dict[str, str | bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip with ``files`` and nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zipped(*entries: tuple[str | zipfile.ZipInfo, str | bytes]) -> bytes:
    """A zip of the good project with ``entries`` behind it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*GOOD.items(), *entries]:
            archive.writestr(name, content)
    return buffer.getvalue()


def project(program: str | bytes, **files: str | bytes) -> bytes:
    """A zip of the good project with another program."""
    return zip_of(GOOD | {"src/program.py": program} | files)


def entry(name: str, mode: int, *, system: int = 3) -> zipfile.ZipInfo:
    """An entry of a kind of its own: ``mode`` is that of stat."""
    info = zipfile.ZipInfo(name)
    info.create_system = system
    info.external_attr = mode << 16
    return info


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One entry, of which every field may lie. What is None is as it should be."""

    name: bytes
    content: bytes = b""
    packed: bytes | None = None  # the bytes behind the header
    method: int = 0
    flags: int = UTF8
    mode: int = 0o100644
    attributes: int = 0  # those of DOS
    checksum: int | None = None
    packed_size: int | None = None
    size: int | None = None
    local_name: bytes | None = None
    local_packed_size: int | None = None
    local_size: int | None = None
    local_checksum: int | None = None
    extra: bytes = b""
    local_extra: bytes | None = None
    comment: bytes = b""
    offset: int | None = None  # of its header, as the list says
    disk: int = 0
    time: int = 0
    date: int = 0x21
    version: int = 20
    is_listed: bool = True
    is_there: bool = True

    def bytes_behind(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method != zipfile.ZIP_DEFLATED:
            return self.content
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflate.compress(self.content) + deflate.flush()


def good_pieces() -> list[Piece]:
    return [Piece(name=name.encode(), content=content.encode()) for name, content in GOOD.items()]


def build(
    pieces: Sequence[Piece],
    *,
    before: bytes = b"",
    comment: bytes = b"",
    comment_size: int | None = None,
    after: bytes = b"",
    count: int | None = None,
    count_here: int | None = None,
    disk: int = 0,
    first_disk: int = 0,
    start: int | None = None,
    length: int | None = None,
    end_64: bytes = b"",
) -> bytes:
    """The zip of ``pieces``. The keywords overwrite what its end says."""
    body, listed, number = before, b"", 0
    for piece in pieces:
        at = len(body)
        packed = piece.bytes_behind()
        checksum = zlib.crc32(piece.content) if piece.checksum is None else piece.checksum
        packed_size = len(packed) if piece.packed_size is None else piece.packed_size
        size = len(piece.content) if piece.size is None else piece.size
        if piece.is_there:
            name = piece.name if piece.local_name is None else piece.local_name
            extra = piece.extra if piece.local_extra is None else piece.local_extra
            body += LOCAL + struct.pack(
                "<5H3L2H", piece.version, piece.flags, piece.method, piece.time, piece.date,
                checksum if piece.local_checksum is None else piece.local_checksum,
                packed_size if piece.local_packed_size is None else piece.local_packed_size,
                size if piece.local_size is None else piece.local_size, len(name), len(extra),
            ) + name + extra + packed  # fmt: skip
        if piece.is_listed:
            number += 1
            listed += CENTRAL + struct.pack(
                "<BB5H3L5H2L", piece.version, 3, piece.version, piece.flags, piece.method, piece.time, piece.date,
                checksum, packed_size, size, len(piece.name), len(piece.extra), len(piece.comment), piece.disk, 0,
                piece.mode << 16 | piece.attributes, at if piece.offset is None else piece.offset,
            ) + piece.name + piece.extra + piece.comment  # fmt: skip
    end = END + struct.pack(
        "<4H2LH", disk, first_disk, number if count_here is None else count_here, number if count is None else count,
        len(listed) if length is None else length, len(body) if start is None else start,
        len(comment) if comment_size is None else comment_size,
    )  # fmt: skip
    return body + listed + end_64 + end + comment + after


def crooked(*pieces: Piece, **end: object) -> bytes:
    """The good project with ``pieces`` behind it; keywords as those of `build`."""
    return build([*good_pieces(), *pieces], **end)  # type: ignore[arg-type]


def with_fields(**fields: object) -> bytes:
    """The good project with one more entry `more.txt`, of which ``fields`` lie."""
    return crooked(Piece(**({"name": b"more.txt", "content": b"more\n" * 100} | fields)))  # type: ignore[arg-type]


def extra_field(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content
