"""Which interpreters a host has for jobs: those that are named, then those that are found, each once."""

from pathlib import Path

import pytest

from services import runtimes
from services.runtimes import sandbox
from services.runtimes.sandbox import tools


def test_the_first_one_named_is_the_default_and_the_others_follow(settings):
    default = sandbox.host().interpreter
    settings.JOB_PYTHON = f" /usr/bin/does-not-exist-but-later, {default.path}"
    assert "/usr/bin/does-not-exist-but-later" in sandbox.host().problem
    settings.JOB_PYTHON = f"{default.path}, /usr/bin/does-not-exist"
    assert sandbox.host().problem == ""
    assert sandbox.host().interpreter == default
    assert runtimes.interpreters()[0] == default.number


def test_each_is_found_once_and_has_a_number():
    found = tools.interpreters("")
    assert len({interpreter.path for interpreter in found}) == len(found)
    assert all(interpreter.version.startswith(f"{interpreter.number}.") for interpreter in found)


def test_installations_with_a_folder_of_their_own_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    wanted = [
        tmp_path / "uv/cpython-3.13/bin/python3.13",
        tmp_path / "pyenv/versions/3.12.1/bin/python3.12",
        tmp_path / "pyenv/versions/3.9.18/bin/python3.9",
    ]
    for path in (*wanted, tmp_path / "uv/cpython-3.13/bin/python3.13-config"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [path for path in tools._candidates("") if path.is_relative_to(tmp_path)]
    assert found == wanted
    assert not [each for each in tools.interpreters("") if each.path.is_relative_to(tmp_path)]
