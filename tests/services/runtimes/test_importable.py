"""The module that the code of every job can import, as a program: what it prints is what markers.py reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.markers import Interim, Progress, Scanner
from services.runtimes.sandbox import tools

INTERPRETERS = [path for path in (sys.executable, "/usr/bin/python3") if Path(path).exists()]


def said(code, interpreter=sys.executable):
    """What a program that imports it says, and its exit status."""
    program = f"import sys; sys.path.append({str(tools.IMPORTABLE)!r}); import mercato\n{code}"
    done = subprocess.run([interpreter, "-I", "-c", program], capture_output=True, check=False)
    scanner = Scanner()
    return [*scanner.feed(done.stdout), *scanner.close()], done


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_what_is_said_is_understood(interpreter):
    found, done = said("mercato.progress(0.25, 'ü \"quoted\"\\n')\nmercato.interim({'best': [1, None]})", interpreter)
    assert found == [Progress(0.25, 'ü "quoted"'), Interim('{"best": [1, null]}')]
    assert done.stderr == b""


def test_a_line_is_printed_only_where_the_bar_moves():
    found, _ = said("for step in range(100_000): mercato.progress(step / 100_000)\nmercato.progress(1)")
    assert len(found) == 1001
    assert (found[0], found[-1]) == (Progress(0.0), Progress(1.0))


def test_what_is_no_share_is_brought_into_bounds():
    found, _ = said("for value in (-1, float('nan'), 3): mercato.progress(value, str(value))")
    assert [each.fraction for each in found] == [0.0, 0.0, 1.0]


def test_it_goes_past_what_the_code_put_in_the_place_of_the_output():
    code = "import io\nsys.stdout = io.StringIO()\nmercato.progress(0.5)\nsys.__stdout__.close()\nmercato.progress(0.6)"
    found, done = said(code)
    assert (found, done.returncode) == ([Progress(0.5)], 0)


def test_an_interim_result_that_is_no_json_is_an_error_of_the_code():
    _, done = said("mercato.interim({'a': float('nan')})")
    assert b"ValueError" in done.stderr
