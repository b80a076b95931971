import pytest
from django.core.exceptions import ValidationError

from services import envfile


def test_lines_of_many_kinds_are_read():
    text = """\ufeff# a comment
API_URL = http://example.com/?a=b#c

export TOKEN='a b # c'
  PEM="first\\nsecond \\"x\\" \\\\"
EMPTY=
TWICE=1
TWICE=2
QUOTE="
"""
    assert envfile.read(text, name="a.env") == {
        "API_URL": "http://example.com/?a=b#c",
        "TOKEN": "a b # c",
        "PEM": 'first\nsecond "x" \\',
        "EMPTY": "",
        "TWICE": "2",
        "QUOTE": '"',
    }


@pytest.mark.parametrize("line", ["TOKEN", "=x", "two words=x"])
def test_a_line_that_is_none_is_named_and_not_shown(line):
    with pytest.raises(ValidationError, match=r"a\.env, line 2") as refused:
        envfile.read(f"A=1\n{line}canary", name="a.env")
    assert "canary" not in str(refused.value)
