"""What is read of a project's requirement files, and what is refused with which words."""

from pathlib import Path

import pytest

from services.runtimes.base import UserError
from services.runtimes.environments import requirements


def read(project: Path, files: dict[str, str | bytes]) -> requirements.Requirements:
    for name, content in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return requirements.read(project, python="3.11.2")


def refusal(project: Path, files: dict[str, str | bytes]) -> str:
    with pytest.raises(UserError) as refused:
        read(project, files)
    return str(refused.value)


def test_a_project_without_any_requirement_file_needs_nothing(tmp_path):
    found = read(tmp_path, {"src/program.py": ""})
    assert (found.origin, found.packages, found.notes) == ("", (), ())


def test_requirements_txt_goes_before_the_others_even_when_it_is_empty(tmp_path):
    files = {
        "requirements.txt": "# nothing\n",
        "environment.yml": "dependencies: [{pip: [six]}]",
        "pyproject.toml": '[project]\ndependencies = ["six"]',
    }
    assert read(tmp_path, files).origin == "requirements.txt"
    assert read(tmp_path, {}).packages == ()


def test_the_pip_part_of_environment_yml_goes_before_pyproject_toml(tmp_path):
    files = {
        "environment.yml": "dependencies:\n - python=3.9\n - pip\n - scipy>=1\n - pip:\n   - Six\n   - -r more.txt\n",
        "more.txt": "iniconfig",
        "pyproject.toml": '[project]\ndependencies = ["numpy"]',
    }
    found = read(tmp_path, files)
    assert (found.origin, found.packages) == ("environment.yml", ("iniconfig", "six"))
    assert "scipy" in found.notes[0]
    assert "python" not in found.notes[0].split(":")[1]


def test_an_environment_yml_without_a_pip_part_leaves_the_word_to_pyproject_toml(tmp_path):
    files = {
        "environment.yml": "name: x\ndependencies:\n - numpy\n",
        "pyproject.toml": '[project]\nname = "x"\nrequires-python = ">=3.10"\ndependencies = ["six>=1"]',
    }
    found = read(tmp_path, files)
    assert (found.origin, found.packages) == ("pyproject.toml", ("six>=1",))
    assert "numpy" in found.notes[0]


def test_equal_wishes_are_equal_texts(tmp_path):
    one = read(tmp_path, {"requirements.txt": "Six >= 1.0 , < 2  # why\nPy_Yaml[B,a]\n\nsix>=1.0,<2\n"})
    two = read(tmp_path, {"requirements.txt": "py.yaml[a, b]\nsix<2,>=1.0"})
    assert one.packages == two.packages == ("py-yaml[a,b]", "six<2,>=1.0")


def test_continued_lines_markers_hashes_and_harmless_options(tmp_path):
    text = (
        "--require-hashes\n--only-binary :all:\n"
        "six==1.16.0 ; python_version > '3.8' \\\n    --hash=sha256:AB12 \\\n    --hash=sha512:99\n"
    )
    found = read(tmp_path, {"requirements.txt": text})
    assert found.packages == ('six==1.16.0 ; python_version > "3.8"',)
    assert found.hashes == {"six": {"ab12"}}


@pytest.mark.parametrize(
    "content", ["six\n".encode("utf-16"), b"\xef\xbb\xbfsix\r\n", b"six\r\n"], ids=["utf-16", "utf-8-bom", "crlf"]
)
def test_what_windows_writes_is_read(tmp_path, content):
    assert read(tmp_path, {"requirements.txt": content}).packages == ("six",)


def test_files_of_the_project_are_included_relative_to_the_one_that_names_them(tmp_path):
    files = {
        "requirements.txt": "-r deps/base.txt\n-c deps/pins.txt\n",
        "deps/base.txt": "-r more.txt\n--requirement=base.txt\nsix",
        "deps/more.txt": "iniconfig\n-c pins.txt",
        "deps/pins.txt": "six==1.16.0",
    }
    found = read(tmp_path, files)
    assert (found.packages, found.constraints) == (("iniconfig", "six"), ("six==1.16.0",))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-r ../other.txt", "lies outside the project"),
        ("-r /etc/passwd", "lies outside the project"),
        ("-r https://example.com/r.txt", "is an address"),
        ("-c missing.txt", "there is no file 'missing.txt'"),
        ("--index-url https://example.com/simple", "the operator decides where packages come from"),
        ("-i https://example.com/simple", "the operator decides where packages come from"),
        ("--extra-index-url=https://example.com/simple", "the operator decides"),
        ("-f wheels", "the operator decides"),
        ("--trusted-host example.com", "the operator decides"),
        ("-e .", "runs build code"),
        ("--editable=./lib", "runs build code"),
        ("--pre", "Pin the pre-release"),
        ("--no-binary :all:", "only -r, -c and --hash are"),
        ("six --global-option=x", "only -r, -c and --hash are"),
        ("git+https://example.com/x.git", "is a repository"),
        ("x @ git+https://example.com/x.git", "is a repository"),
        ("x @ https://example.com/x-1-py3-none-any.whl", "is an address"),
        ("https://example.com/x.tar.gz", "is an address"),
        ("x @ file:///etc/passwd", "is a local path"),
        (".", "is a local path"),
        ("./lib", "is a local path"),
        ("lib/x", "is a local path"),
        ("x-1.0.tar.gz", "is a local path"),
        ("six = 1.0", "is no requirement"),
        ("six==1 --hash=md5:00", "no hash of six is a SHA-256"),
    ],
)
def test_what_does_not_name_a_package_of_the_index_is_refused_with_file_line_and_reason(tmp_path, line, words):
    said = refusal(tmp_path, {"requirements.txt": f"iniconfig\n\n{line}\n"})
    assert said.startswith("requirements.txt, line 3: ")
    assert words in said


def test_a_refusal_names_the_included_file_and_shows_no_password(tmp_path):
    files = {"requirements.txt": "-r deps.txt", "deps.txt": "x @ git+https://me:hunter2@example.com/x.git"}
    said = refusal(tmp_path, files)
    assert said.startswith("deps.txt, line 1: ")
    assert "hunter2" not in said


def test_a_link_out_of_the_project_is_not_followed(tmp_path):
    (tmp_path / "requirements.txt").symlink_to("/etc/hostname")
    assert "leaves the project" in refusal(tmp_path, {})


def test_requirement_files_are_capped_together(tmp_path):
    big = "# " + "x" * 600_000
    assert "1,048,576 bytes" in refusal(tmp_path, {"requirements.txt": f"{big}\n-r b.txt", "b.txt": big})


def test_the_index_is_not_asked_for_endless_many(tmp_path):
    asked = "".join(f"p{number}\n" for number in range(1_001))
    assert "line 1001: the project asks for more than 1,000 packages" in refusal(tmp_path, {"requirements.txt": asked})
    assert len(read(tmp_path, {"requirements.txt": asked.removesuffix("p1000\n")}).packages) == 1_000


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"requirements.txt": b"six\xff"}, "requirements.txt is not text in UTF-8 (byte 4)"),
        ({"environment.yml": "a: ["}, "environment.yml is not valid YAML"),
        ({"environment.yml": "a: &x [1]\nb: *x"}, "aliases"),
        ({"environment.yml": "dependencies: [{pip: [1]}]"}, "no text"),
        ({"pyproject.toml": "["}, "pyproject.toml is not valid TOML"),
        ({"pyproject.toml": '[project]\ndynamic = ["dependencies"]'}, "dynamic"),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.12"'}, "asks for Python >=3.12"),
        ({"pyproject.toml": '[project]\nrequires-python = "new"'}, "no version range"),
        ({"pyproject.toml": '[project]\ndependencies = "six"'}, "not a list of texts"),
        ({"pyproject.toml": '[project]\ndependencies = ["x @ git+https://example.com/x"]'}, "is a repository"),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path, files, words):
    assert words in refusal(tmp_path, files)
