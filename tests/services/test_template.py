"""The project template: it runs as it is, and is a source as it is."""

import io
import json
import os
import subprocess
import sys
import zipfile

import pytest
from django.core.files.base import ContentFile

from services import contracts, sources, template

FILES = {
    "Dockerfile",
    "openapi-spec.yml",
    "environment.yml",
    "requirements.txt",
    "input/data.json",
    "input/params.json",
    "src/__init__.py",
    "src/__main__.py",
    "src/program.py",
    "src/libs/__init__.py",
    "src/libs/return_objects.py",
}


@pytest.fixture
def project(tmp_path):
    with zipfile.ZipFile(io.BytesIO(template.as_zip())) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def run(project):
    """`python -m src` with nothing but the standard library."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "src"],
        cwd=project,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )


def test_it_has_the_files_of_the_documents_and_no_more():
    assert set(zipfile.ZipFile(io.BytesIO(template.as_zip())).namelist()) == FILES


def test_it_is_the_same_each_time():
    template.as_zip.cache_clear()
    first = template.as_zip()
    template.as_zip.cache_clear()
    assert template.as_zip() == first


def test_it_runs_on_the_standard_library_alone(project):
    ran = run(project)
    assert json.loads(ran.stdout) == {"sum": 420.69}
    assert "Adding 5 values" in ran.stderr


def test_it_rounds_where_it_is_told_to(project):
    (project / "input/params.json").write_text('{"round_off": true}')
    assert json.loads(run(project).stdout) == {"sum": 421}


def test_it_runs_a_coroutine_too(project):
    (project / "src/program.py").write_text("async def run(data, params):\n    return {'async': True}\n")
    assert json.loads(run(project).stdout) == {"async": True}


def test_our_own_check_takes_it_without_a_warning():
    source = sources.check(ContentFile(template.as_zip()), "template.zip")
    assert source.warnings == []
    assert source.openapi_name == "openapi-spec.yml"
    assert contracts.parse(source.openapi).warnings == []


def test_its_libraries_say_what_a_wrong_input_lacks(project):
    (project / "input/data.json").write_text("{}")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(project)
    assert "InvalidInput: data needs a list of numbers" in failed.value.stderr
