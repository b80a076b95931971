"""`planqk.commons` and `qhub.commons` where nothing has them, where the host has them, and where the user does."""

import sys
from pathlib import Path

import pytest

from jobs.secrets import variable_name
from services.runtimes.runner.commons import Finder
from services.runtimes.runner.converting import secret_variable

USES_BOTH = """
from typing import Optional
from {root}.commons.secret import SecretValue
from {root}.commons.datapool import DataPool
def run(ibmToken: SecretValue, other: Optional[SecretValue], training_data: DataPool, more: DataPool = None):
    shown = [str(ibmToken), repr(ibmToken), "%s" % ibmToken]
    first = ibmToken.unwrap()
    try:
        ibmToken.unwrap()
    except ValueError as error:
        second = type(error).__name__
    with training_data.open("a.txt") as file:
        text = file.read()
    return [first, second, shown, ibmToken.is_locked, other, more, training_data.name,
            sorted(training_data.list_files()), text, type(ibmToken).__module__, ibmToken]
"""


@pytest.mark.parametrize("root", ["planqk", "qhub"])
def test_secrets_and_pools_where_nothing_has_the_packages(call, root: str, tmp_path: Path) -> None:
    (tmp_path / "datapool/training_data/folder").mkdir(parents=True)
    (tmp_path / "datapool/training_data/a.txt").write_text("content")
    answer = call(
        USES_BOTH.format(root=root),
        given={"training_data": {"id": "x", "ref": "DATAPOOL"}, "data": {}, "params": {}},
        variables={"SECRET_IBM_TOKEN": "s3cret"},
    )
    assert answer.result == [
        "s3cret", "ValueError", ["[redacted]", "SecretValue([redacted])", "[redacted]"], True, None, None,
        "training_data", ["a.txt"], "content", f"{root}.commons.secret", "[redacted]",
    ]  # fmt: skip
    assert answer.err == ""


def packages(folder: Path, *names: str, value: str = "host") -> Path:
    """An environment of the host's, with modules of these names."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for name in names:
        file = folder / "lib" / version / "site-packages" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"value = {value!r}\n")
    return folder


def test_the_hosts_packages_are_found_last(call, tmp_path: Path) -> None:
    host = packages(tmp_path / "host", "planqk/commons/deep.py", "loguru/__init__.py", "src.py", "json.py", "mine.py")
    program = """
import sys
before = list(sys.path)
try:
    import no_such_module
except ImportError as error:
    missing = str(error)
untouched = sys.path == before
import json, mine, loguru, planqk.commons.deep
def run():
    return [missing, untouched, hasattr(json, "dumps"), mine.value, loguru.value, planqk.commons.deep.value,
            sys.path.index(sys.path[-1]) == len(before), "MERCATO_COMMONS" in __import__("os").environ]
"""
    answer = call(program, files={"mine.py": "value = 'user'\n"}, variables={"MERCATO_COMMONS": str(host)})
    assert answer.result == ["No module named 'no_such_module'", True, True, "user", "host", "host", True, False]


def test_a_part_of_a_package_that_the_user_has_the_rest_of(call, tmp_path: Path) -> None:
    host = packages(tmp_path / "host", "planqk/commons/secret.py", "planqk/service.py")
    program = """
import planqk.service, planqk.commons.secret
def run():
    return [planqk.service.value, planqk.commons.secret.value]
"""
    for init in ({}, {"planqk/__init__.py": ""}):  # a namespace, and an ordinary package
        files = {"planqk/service.py": "value = 'user'\n", **init}
        assert call(program, files=files, variables={"MERCATO_COMMONS": str(host)}).result == ["user", "host"]


def test_beside_pydantic_1_the_classes_are_stood_in_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    packages(tmp_path / "host", "planqk/commons/secret.py", "loguru/__init__.py")
    packages(tmp_path / "host", "pydantic/__init__.py", "pydantic_core/__init__.py")
    (own / "pydantic").mkdir(parents=True)
    (own / "pydantic" / "__init__.py").touch()
    monkeypatch.setattr("sys.path", [str(own)])
    finder = Finder(str(tmp_path / "host"))
    secret = finder.find_spec("planqk.commons.secret", [])
    assert secret is not None
    assert secret.origin == "mercato"
    loguru = finder.find_spec("loguru")
    assert loguru is not None
    assert str(tmp_path / "host") in str(loguru.origin)
    assert sys.path == [str(own)]


def test_what_is_not_stood_in_for_is_missing_as_ever(call) -> None:
    answer = call("import planqk.commons.logging\ndef run(): pass")
    assert answer.report["type"] == "ModuleNotFoundError"
    assert "planqk.commons.logging" in answer.report["message"]


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("api_token", "SECRET_API_TOKEN"),
        ("ibmToken", "SECRET_IBM_TOKEN"),
        ("iqm_token", "SECRET_IQM_TOKEN"),
        ("API_KEY", "SECRET_API_KEY"),
        ("Token", "SECRET_TOKEN"),
    ],
)
def test_names_of_variables(name: str, variable: str) -> None:
    assert secret_variable(name) == variable_name(name) == variable
