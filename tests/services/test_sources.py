"""Projects that somebody sends: what is told of them, and what is kept. Hostile ones: sources/test_hostile_archives."""

import io
import os
import random
import stat
import threading
import zipfile
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import TemporaryUploadedFile

from services import contracts, sources
from services.runtimes import home
from services.sources import SourceRejected, archive
from tests.archives import GOOD, PROGRAM, Piece, crooked, entry, project, zip_of, zipped

MISTAKEN: dict[str, tuple[Callable[[], bytes], str, str]] = {
    # what: (how it is made, what the message names, what it says)
    "no program": (lambda: zip_of({"main.py": PROGRAM}), "src/program.py", "Begin with the template"),
    "program beside src": (lambda: zip_of({"program.py": PROGRAM}), "program.py", "it must be src/program.py"),
    "program in other case": (lambda: zip_of({"src/Program.py": PROGRAM}), "src/Program.py", "small letters"),
    "container in a folder": (lambda: zip_of({"x/Dockerfile": "", "x/main.go": ""}), "x/Dockerfile", "at the top"),
    "no run": (lambda: project("def start(data, params): pass"), "src/program.py", "no function named run"),
    "empty program": (lambda: project(""), "src/program.py", "no function named run"),
    "run is a method": (lambda: project("class A:\n    def run(self): pass"), "line 2", "inside something else"),
    "run is a class": (lambda: project("class run: pass"), "line 1", "a class"),
    "run in other case": (lambda: project("def Run(data): pass"), "Did you mean Run in line 1", "def run("),
}


def check(content: bytes, name: str = "project.zip") -> sources.Source:
    return sources.check(ContentFile(content), name)


def refusal(content: bytes) -> str:
    with pytest.raises(SourceRejected) as refused:
        check(content)
    return "\n".join(refused.value.messages)


@pytest.mark.parametrize("what", MISTAKEN)
def test_a_mistaken_archive_is_refused_in_words(what):
    make, names, says = MISTAKEN[what]
    message = refusal(make())
    assert names in message
    assert says in message
    assert message.isprintable() or "\n" in message
    assert "Traceback" not in message


def test_every_problem_of_an_archive_is_named_at_once():
    message = refusal(zipped(("/a", ""), ("../b", ""), ("c\nd", "")))
    assert message.count("\n") == 2


def test_a_flood_of_problems_is_cut():
    message = refusal(zipped(*((f"../{n}", "") for n in range(50))))
    assert message.endswith("And 30 more of this kind.")


# Limits


def test_a_zip_over_the_limit_is_refused_without_reading_on(settings):
    settings.SOURCE_MAX_BYTES = 10_000
    file = io.BytesIO(zipped(("noise.bin", random.Random(1).randbytes(5_000_000))))
    with pytest.raises(SourceRejected, match="larger than 10,000 bytes"):
        sources.check(file, "big.zip")


def test_what_is_unpacked_is_counted_and_not_believed(settings):
    settings.SOURCE_UNPACKED_MAX_BYTES = 1_000_000
    noise = random.Random(1).randbytes(600_000)
    assert check(zipped(("a.bin", noise))).unpacked_size == 600_000 + len(PROGRAM)
    assert "b.bin: with it the project is larger than 1,000,000 bytes" in refusal(
        zipped(("a.bin", noise), ("b.bin", noise))
    )


def test_inflating_stops_at_the_limit(settings):
    settings.SOURCE_UNPACKED_MAX_BYTES = 1_000_000
    content = zipped(("bomb.bin", bytes(200_000_000)))
    with archive.opened(io.BytesIO(content), size=len(content)) as project:
        for entry in project.files:
            with suppress(SourceRejected):
                deque(project.inflate(entry), maxlen=0)
        assert project.inflated <= 1_000_000 + archive.CHUNK_BYTES


def test_too_many_entries_are_refused(settings):
    settings.SOURCE_MAX_ENTRIES = 100
    files = GOOD | {f"data/{n}": "" for n in range(97)}
    assert check(zip_of(files)).entries == 100
    assert "100 are allowed" in refusal(zip_of(files | {"one-more": ""}))


def test_a_flood_of_entries_is_refused_before_it_is_parsed(settings):
    settings.SOURCE_MAX_ENTRIES = 5
    assert "5 are allowed" in refusal(zip_of(GOOD | {f"data/{n}": "" for n in range(100)}))


def test_a_zip_in_the_zip_does_not_count_as_its_entries(settings):
    settings.SOURCE_MAX_ENTRIES = 10
    inner = zip_of({f"data/{n}": "" for n in range(50)})
    assert check(zipped(("inner.zip", inner))).entries == 4


def test_too_many_folders_are_refused(settings):
    settings.SOURCE_MAX_ENTRIES = 20
    files = GOOD | {f"{n}/a/b/c/d/e/f.txt": "" for n in range(10)}
    assert "folders" in refusal(zip_of(files))


def test_a_harmless_file_of_zeros_beside_others_is_taken():
    assert check(zipped(("zeros.bin", bytes(100_000)), ("noise.bin", random.Random(1).randbytes(5_000))))


def test_zeros_that_are_meant_can_be_sent_uncompressed():
    assert check(zip_of(GOOD | {"zeros.bin": bytes(5_000_000)}, method=zipfile.ZIP_STORED))


# What is told about a good one


def test_a_good_project_is_described():
    files = {
        "src/__init__.py": "",
        "src/program.py": "async def run(data: dict, params: 'Params', *, top: int = 3): ...",
        "requirements.txt": "numpy",
        "openapi-spec.yml": "openapi: 3.0.3",
        "README.md": "# Hello",
        "input/data.json": '{"values": [1]}',
        "input/params.json": "{}",
    }
    content = zip_of(files)
    source = sources.check(ContentFile(content), "folder/project.zip")
    assert (source.name, source.size, source.entries) == ("project.zip", len(content), 7)
    assert (source.openapi_name, source.openapi) == ("openapi-spec.yml", "openapi: 3.0.3")
    assert (source.requirements, source.readme, source.warnings) == ("requirements.txt", "# Hello", [])
    assert (source.example_data, source.example_params) == ('{"values": [1]}', "{}")
    assert source.run.is_async
    assert source.run.parameters is not None
    assert [(p.name, p.annotation, p.required) for p in source.run.parameters] == [
        ("data", "dict", True),
        ("params", "'Params'", True),
        ("top", "int", False),
    ]


@pytest.mark.parametrize(
    "program",
    [
        PROGRAM,
        "import sys\nif sys.version_info > (3,):\n    def run(data): pass",
        "try:\n    import numpy\nexcept ImportError:\n    pass\nelse:\n    def run(data): pass",
        "with open('a'):\n    async def run(**inputs): pass",
        "run = 3\ndef run(data): pass",
        "# -*- coding: latin-1 -*-\ndef run(data): return '\xe9'".encode("latin-1"),
        b"\xef\xbb\xbfdef run(data): pass",
        "def run(data, params):\r\n    return data\r\n",
    ],
)
def test_run_is_found_wherever_python_would_find_it(program):
    assert check(project(program)).run.parameters is not None


@pytest.mark.parametrize(
    "program",
    [
        "from .main import run",
        "from .main import start as run",
        "from .main import *",
        "run = lambda data: data",
        "run: object = print",
        "a, run = 1, print",
    ],
)
def test_a_run_that_is_made_elsewhere_is_taken_with_a_warning(program):
    source = check(project(program))
    assert source.run.parameters is None
    assert any("src/program.py, line 1" in warning for warning in source.warnings)


@pytest.mark.parametrize("program", ["def main(): pass", None])
def test_a_project_that_starts_itself_is_taken_with_a_warning(program):
    files = {"src/__main__.py": "from .program import main\nmain()", "requirements.txt": ""}
    source = check(zip_of(files | ({"src/program.py": program} if program else {})))
    assert (source.run.line, source.run.parameters) == (0, None)
    assert any("a job runs src/__main__.py, as `python -m src` does" in warning for warning in source.warnings)
    assert contracts.default(name="Old", summary="", source=source)


def test_a_start_that_needs_run_does_not_stand_in_for_it():
    files = GOOD | {"src/program.py": "def start(): pass", "src/__main__.py": "from .program import run\nrun({}, {})"}
    assert "no function named run" in refusal(zip_of(files))


def test_a_syntax_error_is_shown_with_line_and_caret():
    message = refusal(project("import math\n\ndef run(data, params):\n    return math.sqrt(data['x']]\n"))
    assert message.startswith("src/program.py, line 4: closing parenthesis ']' does not match opening parenthesis '('")
    line, caret = message.splitlines()[-2:]
    assert line == "    return math.sqrt(data['x']]"
    assert caret.index("^") == line.index("]]") + 1


def test_user_code_is_never_run(tmp_path):
    trap = tmp_path / "trap"
    code = f"open({str(trap)!r}, 'w')\ndef run(data): pass\n"
    check(zip_of(GOOD | {"src/program.py": code, "src/__init__.py": code, "conftest.py": code}))
    assert not trap.exists()


def test_missing_requirements_are_a_warning_and_a_missing_init_is_none():
    source = check(zip_of({"src/program.py": PROGRAM}))
    assert source.requirements == ""
    assert len(source.warnings) == 1
    assert source.warnings[0].startswith("requirements.txt")


@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml", "pyproject.toml"])
def test_each_file_of_requirements_counts(name):
    source = check(zip_of({"src/program.py": PROGRAM, name: ""}))
    assert (source.requirements, source.warnings) == (name, [])


@pytest.mark.parametrize("name", ["openapi.yaml", "openapi.json", "openapi-spec.yml", "OpenAPI.yml", "openapi_v2.yaml"])
def test_the_api_description_in_the_zip_is_found(name):
    assert check(zipped((name, "openapi: 3.0.3"))).openapi_name == name


def test_of_two_api_descriptions_one_is_taken_with_a_warning():
    source = check(zipped(("openapi.yaml", "a"), ("openapi.json", "{}")))
    assert source.openapi_name == "openapi.json"
    assert "openapi.yaml is ignored" in source.warnings[0]


def test_an_example_that_is_no_json_is_a_warning():
    source = check(zipped(("input/data.json", "{'a': NaN}")))
    assert source.example_data == ""
    assert source.warnings[0].startswith("input/data.json")


def test_a_zipped_folder_is_answered_with_the_command_that_mends_it(tmp_path):
    message = refusal(zip_of({"my project/src/program.py": PROGRAM, "my project/requirements.txt": ""}))
    assert "(cd 'my project' && zip -r ../'my project.zip' .)" in message


def test_names_in_utf8_without_the_flag_are_read():
    source = check(crooked(Piece(name="modèle.py".encode(), content=b"x", flags=0)))
    assert source.entries == 4


def test_what_finder_adds_does_no_harm():
    assert (
        check(zipped(("__MACOSX/._src", "x"), ("src/.DS_Store", "x"), ("__MACOSX/src/._program.py", "x"))).warnings
        == []
    )


def test_an_upload_on_disk_is_read_and_kept(tmp_path):
    content = zipped()
    with TemporaryUploadedFile("project.zip", "application/zip", len(content), None) as upload:
        upload.write(content)
        source = sources.check(upload, upload.name)
        assert upload.tell() == 0
        sources.store(upload, source.sha256)
    with default_storage.open(f"sources/{source.sha256}.zip") as kept:
        assert kept.read() == content


# Keeping and unpacking


@pytest.fixture
def jobs_home() -> Path:
    return home.jobs_home()


def kept(content: bytes) -> str:
    source = check(content)
    sources.store(ContentFile(content), source.sha256)
    return source.sha256


def test_keeping_twice_keeps_once():
    content = zipped(("once.txt", "x"))
    first, second = kept(content), kept(content)
    assert first == second
    _, names = default_storage.listdir("sources")
    assert [name for name in names if first in name] == [f"{first}.zip"]


def test_a_copy_that_was_cut_short_is_replaced():
    content = zipped(("replaced.txt", "x"))
    sha256 = check(content).sha256
    default_storage.save(f"sources/{sha256}.zip", ContentFile(content[:50]))
    assert kept(content) == sha256
    assert (sources.materialise(sha256) / "replaced.txt").read_text() == "x"


def test_a_source_is_unpacked_read_only_for_everybody(jobs_home):
    script = entry("tools/start.sh", stat.S_IFREG | 0o4777)
    folder = sources.materialise(kept(zipped(("data/a.txt", "hello"), (script, "#!/bin/sh"), ("empty/", ""))))
    assert folder.parent == jobs_home / "sources"
    assert (folder / "data/a.txt").read_text() == "hello"
    modes = {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]
    }
    assert modes["data/a.txt"] == modes["src/program.py"] == 0o444
    assert modes["tools/start.sh"] == 0o555
    assert modes["."] == modes["src"] == modes["data"] == 0o555
    assert {path.stat().st_uid for path in folder.rglob("*")} == {os.geteuid()}


def test_a_missing_init_is_supplied_and_what_nobody_needs_left_out():
    content = zip_of(
        {"src/program.py": PROGRAM, "src/__pycache__/program.pyc": b"x", "__MACOSX/._src": b"x", ".DS_Store": b"x"}
    )
    folder = sources.materialise(kept(content))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"src/program.py", "src/__init__.py"}


def test_unpacking_at_once_makes_one_folder_and_leaves_nothing_else(jobs_home):
    sha256 = kept(zipped(*((f"data/{n}.txt", "x") for n in range(200))))
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(sources.materialise(sha256))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [jobs_home / "sources" / sha256] * 6
    assert len(list((folders[0] / "data").iterdir())) == 200
    assert not [path for path in folders[0].parent.iterdir() if path.name.startswith(".")]


def test_a_source_that_was_changed_in_storage_is_not_unpacked(jobs_home):
    content = zipped(("genuine.txt", "x"))
    sha256 = kept(content)
    default_storage.delete(f"sources/{sha256}.zip")
    default_storage.save(f"sources/{sha256}.zip", ContentFile(zipped(("evil.txt", "x"))))
    with pytest.raises(OSError, match="is damaged in storage"):
        sources.materialise(sha256)
    assert not (jobs_home / "sources" / sha256).exists()


def test_a_source_that_is_gone_says_so():
    with pytest.raises(FileNotFoundError):
        sources.materialise("0" * 64)


# Folders


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, content in GOOD.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_a_folder_makes_the_same_zip_each_time(folder):
    for name in (".git/config", "src/__pycache__/a.pyc", ".venv/bin/python", ".DS_Store"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    with sources.from_folder(folder) as packed:
        first = packed.read()
    os.utime(folder / "src/program.py", (0, 0))
    with sources.from_folder(folder) as packed:
        assert packed.read() == first
    assert sorted(zipfile.ZipFile(io.BytesIO(first)).namelist()) == sorted(GOOD)
    assert check(first).warnings == []


def test_a_folder_with_a_link_is_refused(folder):
    (folder / "passwords").symlink_to("/etc/passwd")
    with pytest.raises(SourceRejected, match="passwords: it is a symbolic link"):
        sources.from_folder(folder)


def test_a_folder_with_a_pipe_is_refused_and_not_waited_for(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(SourceRejected, match="pipe: it is a special file"):
        sources.from_folder(folder)


def test_limits_are_those_of_the_documents():
    assert settings.SOURCE_MAX_BYTES == 50 * 1024 * 1024
    assert settings.SOURCE_UNPACKED_MAX_BYTES == 500 * 1024 * 1024
    assert settings.SOURCE_MAX_ENTRIES == 10_000
