"""Collects static files: css/main.css becomes one file that holds what it imports, so that a page needs one request.

In a checkout the browser follows the imports itself, so there is nothing to build while one works.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

ENTRY = "css/main.css"
IMPORT = re.compile(r'@import url\("(?P<name>[^"]+)"\) layer\((?P<layer>[\w.-]+)\);\n?')


class BundledStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it has no types
    """Hashed names, compressed files, and one style sheet."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        if ENTRY in paths and not dry_run:
            content = bundle(paths)
            self.delete(ENTRY)
            self.save(ENTRY, ContentFile(content))
            paths[ENTRY] = (self, ENTRY)  # hashed from here on, like every other file
        yield from super().post_process(paths, dry_run, **options)


def bundle(paths: dict[str, Any]) -> bytes:
    """The entry with each import in its place, as a block of its layer."""

    def inline(found: re.Match[str]) -> str:
        name = str(PurePosixPath(ENTRY).parent / found["name"])
        content = read(paths, name)
        if "url(" in content and PurePosixPath(name).parent != PurePosixPath(ENTRY).parent:
            raise ValueError(f"{name} has a url(), which would point elsewhere from {ENTRY}. Put it beside that file.")
        return f"@layer {found['layer']} {{\n{content}}}\n"

    return IMPORT.sub(inline, read(paths, ENTRY)).encode()


def read(paths: dict[str, Any], name: str) -> str:
    """A collected file, from where it came."""
    storage, path = paths[name]
    with storage.open(path) as file:
        return str(file.read().decode())
