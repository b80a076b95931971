"""The project template that providers download: the files of services/project_template, zipped."""

from functools import cache
from pathlib import Path

from services import sources

FOLDER = Path(__file__).parent / "project_template"


@cache
def as_zip() -> bytes:
    """The zip of the template: the same bytes each time, and a source that our own check takes without a warning."""
    with sources.from_folder(FOLDER) as packed:
        return packed.read()
