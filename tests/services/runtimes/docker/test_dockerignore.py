"""Which files a build gets: as Docker understands .dockerignore, and in little time whatever stands in it."""

import itertools
from pathlib import Path

import docker.utils.build
import pytest

from services.runtimes.base import UserError
from services.runtimes.docker import dockerignore

TREE = (
    "Dockerfile", "a.txt", "b.py", "a1", "a2", "ab", "README.md", "src/a.txt", "src/x.pyc", "src/b/c.py", "src/b/d.txt",
    "docs/README.md", "node_modules/p/i.js", "node_modules/p/q/i.js", ".git/config", "sub/.git/x",
)  # fmt: skip
LINES = (
    "*.txt", "**/*.txt", "/src", "src/b", "src/**", "**/b", "node_modules", "**/.git", "a?", "a[12]", "**/p/**", "*",
    "src/*/c.py", "./docs/", "!*.py", "!src/b/c.py", "!README.md",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_it_is_understood_as_by_docker(project: Path) -> None:
    for lines in itertools.combinations(LINES, 2):
        (project / ".dockerignore").write_text("# why\n\n" + "\n".join(lines))
        expected = docker.utils.build.exclude_paths(str(project), list(lines), dockerfile="Dockerfile")
        found = dockerignore.files(project, needed="Dockerfile")
        assert set(found) - {".dockerignore"} == set(expected) - {".dockerignore"}, lines


def test_letters_are_meant_as_written(project: Path) -> None:
    (project / ".dockerignore").write_text("a[^1-9]\n\\a1\n[x\n")
    assert {"a1", "a2", "ab"} & set(dockerignore.files(project, needed="Dockerfile")) == {"a2"}


def test_many_stars_take_no_time(project: Path) -> None:
    (project / ("a" * 250)).touch()
    (project / ".dockerignore").write_text("*a" * 200 + "b")  # a regular expression would take longer than the sun has
    assert "a" * 250 in dockerignore.files(project, needed="Dockerfile")


@pytest.mark.parametrize("text", ["a\n" * 301, "a" * 501, "a" * 70_000])
def test_one_that_is_too_long_is_refused(project: Path, text: str) -> None:
    (project / ".dockerignore").write_text(text)
    with pytest.raises(UserError, match="Name folders"):
        dockerignore.files(project, needed="Dockerfile")


def test_one_that_takes_too_long_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dockerignore, "SECONDS_MAX", -1.0)
    with pytest.raises(UserError, match="fewer stars"):
        dockerignore.files(project, needed="Dockerfile")
