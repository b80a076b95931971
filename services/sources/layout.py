"""What a project is for, and where its files must lie: words for what is not there, and how to mend it."""

import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from services.sources.archive import Entry, shown

PROGRAM = "src/program.py"
MAIN = "src/__main__.py"  # what `python -m src` runs
DOCKERFILE = "Dockerfile"
PYTHON, CONTAINER = "python", "docker"  # names of runtimes


def is_container(files: Mapping[str, Entry], *, asked: str | None, hinted: str | None) -> bool:
    """Whether a zip is a container project: as asked for, else a Dockerfile without a program that we could call."""
    if asked is not None:
        return asked == CONTAINER
    return DOCKERFILE in files and (PROGRAM not in files or hinted == CONTAINER)


def container_problems(files: Mapping[str, Entry]) -> list[str]:
    """Why the Dockerfile is not where it must be, and how to mend it; empty where it is."""
    if DOCKERFILE in files:
        return []
    nested = sorted((path for path in files if path.endswith(f"/{DOCKERFILE}")), key=lambda path: path.count("/"))
    if nested:
        return [
            f"{nested[0]}: it must lie at the top of the zip. Zip what is in the project folder, not the folder "
            "itself: zip -r ../project.zip ."
        ]
    otherwise_spelt = [path for path in files if path.casefold() == DOCKERFILE.casefold()]
    if otherwise_spelt:
        return [f"{otherwise_spelt[0]}: it must be written {DOCKERFILE}. Rename it and zip again."]
    return [
        f"{DOCKERFILE}: it is missing at the top of the zip, and it says how the container is made. Add one, or choose "
        "the runtime Python."
    ]


def program_problems(files: Mapping[str, Entry], *, name: str) -> list[str]:
    """Why src/program.py is not where it must be, and how to mend it; empty where it is."""
    if PROGRAM in files or MAIN in files:
        return []
    nested = sorted((path for path in files if path.endswith(f"/{PROGRAM}")), key=lambda path: path.count("/"))
    if nested:
        folder = nested[0].removesuffix(f"/{PROGRAM}")
        stem = shlex.quote(f"{PurePosixPath(folder).name}.zip")
        up = "../" * len(PurePosixPath(folder).parts)
        return [
            f"{nested[0]}: the project folder itself was zipped, so {PROGRAM} is not at the top of the zip. "
            f"Zip what is in the folder instead: (cd {shlex.quote(folder)} && zip -r {up}{stem} .)"
        ]
    otherwise_spelt = [path for path in files if path.casefold() == PROGRAM]
    if otherwise_spelt:
        return [f"{otherwise_spelt[0]}: it must be written {PROGRAM}, in small letters. Rename it and zip again."]
    if "program.py" in files:
        return [
            f"program.py: it lies at the top of the zip, but it must be {PROGRAM}. "
            "Go to the folder that holds src and zip from there: zip -r ../project.zip ."
        ]
    if DOCKERFILE in files:
        return [
            f"{PROGRAM}: it is missing, and a service of the runtime Python starts there. This zip has a {DOCKERFILE}: "
            "choose the runtime Container for it."
        ]
    if any(path.endswith(f"/{DOCKERFILE}") or path.casefold() == DOCKERFILE.casefold() for path in files):
        return container_problems(files)
    found = ", ".join(sorted({path.split("/")[0] for path in files})[:5])
    return [
        f"{PROGRAM}: it is missing, and it is where a service starts. The top of {name or 'the zip'} holds "
        f"{shown(found) or 'nothing'}. Begin with the template, and zip what is in the project folder: "
        "zip -r ../project.zip ."
    ]
