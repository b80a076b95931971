"""Promises about the project as a whole: what is documented, what is shipped, what no file may hold."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent
OURS = ("portal", "services", "jobs")
READ_SETTING = re.compile(r"""\benv(?:\.\w+)?\(\s*["']([A-Z_]+)["']""")
TABLE_NAME = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
REQUIREMENT_NAME = re.compile(r"^[A-Za-z0-9._-]+")
# Where a checkout, an interpreter or a package happened to lie on somebody's machine.
MACHINE_PATH = re.compile(r"(?<![\w./~-])/(?:root|home/\w+|work|opt/(?:pypi|wheels)\w*|Users/\w+|builds)/[\w.]+")
# Registries and mirrors by the names that they usually have.
REGISTRY = re.compile(r"\b(?:files\.pythonhosted|pypi|test\.pypi|registry\.npmjs|deb\.debian|archive\.ubuntu)\.org\b")
PAGES_ABOUT = {"docs/operator.md", "docs/contributing.md", "README.md"}


def tracked_files() -> list[Path]:
    """What a clone has, and what will be committed next."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no clone")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def documented(page: str) -> set[str]:
    """The names in the first column of the tables of ``page``."""
    return set(TABLE_NAME.findall((ROOT / page).read_text()))


def test_every_setting_is_documented_and_nothing_else():
    read = set(READ_SETTING.findall((ROOT / "portal" / "settings.py").read_text()))
    assert len(read) > 40
    assert documented("docs/settings.md") == read


def test_every_dependency_has_its_reason():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {REQUIREMENT_NAME.match(line)[0] for extra in extras.values() for line in extra}
    assert documented("docs/dependencies.md") == asked


@pytest.mark.parametrize("command", sorted(name for name, app in get_commands().items() if app.startswith(OURS)))
def test_every_command_is_documented(command):
    assert any(f"manage.py {command}" in (ROOT / page).read_text() for page in PAGES_ABOUT)


def test_no_file_names_a_place_on_somebodys_machine_or_a_registry():
    found = []
    for file in tracked_files():
        if file.suffix in {".woff2", ".png", ".ico", ".zip"} or file == Path(__file__):
            continue
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            if MACHINE_PATH.search(line) or REGISTRY.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("lock", ["server.lock", "test.lock"])
def test_a_lock_holds_versions_and_hashes_and_no_address(lock):
    text = (ROOT / "requirements" / lock).read_text()
    assert "://" not in text
    pinned = re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)
    assert len(pinned) == len(set(pinned)) > 30
    hashed = re.findall(r"^([a-z0-9._-]+)==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}\b", text, re.MULTILINE)
    assert hashed == pinned


def test_the_locks_agree():
    server, test = (
        dict(re.findall(r"^([a-z0-9._-]+)==([^ ]+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("server.lock", "test.lock")
    )
    assert server.items() <= test.items()


def test_the_wheel_ships_the_command_line_and_nothing_else(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--quiet", "--out-dir", tmp_path],
        cwd=ROOT,
        check=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("mercato-*.whl"))) as wheel:
        names = wheel.namelist()
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped
    assert all(name.startswith("portal/cli/") for name in shipped), shipped
    assert any(name.endswith("licenses/LICENSE") for name in names)
