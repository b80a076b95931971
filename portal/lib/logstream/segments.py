"""Segments of archived logs in storage: compressed files of entries, and an index that names them.

The index is written last: without a whole one there is no archive.
"""

import gzip
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import orjson
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from portal.lib.logstream.entries import END, Cursor, Entry, LogName, State
from portal.lib.logstream.stream import Stored

SEGMENT_BYTES = 1024 * 1024


def is_archived(name: LogName) -> bool:
    """Whether storage has the whole log."""
    return _index(name) is not None


def final_state(name: LogName) -> State | None:
    """Where an archived log ended; None for one that is not archived."""
    if (index := _index(name)) is None:
        return None
    last = index["segments"][-1]
    return State.unpack(entry_id=last["last"], packed=last["state"], event=END)


def pages(name: LogName, *, after: Cursor) -> Iterator[list[Entry]]:
    """The entries behind ``after``, a segment at a time."""
    index = _index(name)
    for segment in index["segments"] if index else ():
        if Cursor.of(segment["last"]).position <= after.position:
            continue
        with default_storage.open(segment["name"]) as file:
            entries = _unpack(gzip.decompress(file.read()))
        yield [entry for entry in entries if Cursor.of(entry.id).position > after.position]


def store(name: LogName, entries: Iterable[Stored]) -> State | None:
    """Write a whole log: each entry with the packed state behind it. Where it ended; None where there was nothing."""
    # Two may archive at once, and one may die of it: each writes below a name of its own, and one index wins.
    run = secrets.token_hex(4)
    segments: list[dict[str, str]] = []
    for segment, state in _segments(entries):
        content = ContentFile(gzip.compress(_pack(segment), 1, mtime=0))
        file = default_storage.save(f"{name.folder}/{run}/{len(segments):05}.gz", content)
        segments.append({"name": file, "first": segment[0].id, "last": segment[-1].id, "state": state})
    if not segments:
        return None
    wanted = f"{name.folder}/index.json"
    if default_storage.exists(wanted):
        if (found := final_state(name)) is not None:
            return found
        default_storage.delete(wanted)  # half an index: its writer died
    default_storage.save(wanted, ContentFile(orjson.dumps({"segments": segments})))
    return State.unpack(entry_id=segments[-1]["last"], packed=segments[-1]["state"], event=END)


def delete(name: LogName) -> None:
    """Remove the segments and the index."""
    with suppress(FileNotFoundError):
        runs, files = default_storage.listdir(name.folder)
        for file in files:
            default_storage.delete(f"{name.folder}/{file}")
        for run in runs:
            for file in default_storage.listdir(f"{name.folder}/{run}")[1]:
                default_storage.delete(f"{name.folder}/{run}/{file}")
            default_storage.delete(f"{name.folder}/{run}")
        default_storage.delete(name.folder)


def _segments(entries: Iterable[Stored]) -> Iterator[tuple[list[Entry], str]]:
    """Groups of about SEGMENT_BYTES, and the packed state behind each."""
    segment: list[Entry] = []
    size, state = 0, ""
    for entry, packed in entries:
        segment.append(entry)
        size, state = size + len(entry.data), packed
        if size >= SEGMENT_BYTES:
            yield segment, state
            segment, size = [], 0
    if segment:
        yield segment, state


def _pack(entries: list[Entry]) -> bytes:
    """Each entry as a line of JSON, its bytes, and a newline."""
    parts = []
    for entry in entries:
        head = {
            "id": entry.id,
            "t": entry.at,
            "c": entry.channel,
            "n": entry.line,
            "o": entry.offset,
            "e": entry.event,
            "size": len(entry.data),
        }
        parts += [orjson.dumps(head), b"\n", entry.data, b"\n"]
    return b"".join(parts)


def _unpack(content: bytes) -> list[Entry]:
    entries, begin = [], 0
    while begin < len(content):
        end = content.index(b"\n", begin)
        head = orjson.loads(content[begin:end])
        begin = end + 1 + head["size"] + 1
        entries.append(
            Entry(
                id=head["id"],
                at=head["t"],
                channel=head["c"],
                line=head["n"],
                offset=head["o"],
                event=head["e"],
                data=content[end + 1 : begin - 1],
            )
        )
    return entries


def _index(name: LogName) -> dict[str, Any] | None:
    try:
        with default_storage.open(f"{name.folder}/index.json") as file:
            return dict(orjson.loads(file.read()))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
