"""What is found in the bytes of a standard output, however they are cut."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import markers
from jobs.markers import Failure, Interim, Progress, Result, Scanner, Unreadable


def scan(*pieces):
    scanner = Scanner()
    found = [said for piece in pieces for said in scanner.feed(piece)]
    return found + list(scanner.close())


# Pieces of which hostile outputs are made.
FRAGMENTS = st.sampled_from([
    b"PlanQK:Job:Result:", b"PlanQK:Job:InterimResult:", b"PlanQK:Job:MultilineResult", b"Job:ResulsResponse:",
    b"Job:ErrorResponse:", b"PlanQK:Job:", b"Job:", b'"progress"', b'{"progress": 0.5}', b'{"progress": 2}',
    b'{"progress": 0.1, "message": "a"}', b'{"a": 1}', b'{"a": {"b": [1]}}', b"{", b"}", b"[1]", b"\n", b"\n", b"\r\n",
    b"\r", b" ", b"\t", b":", b"\xff\xfe", "ü".encode(), b"\x00", b'{"code": "x", "detail": "y"}', b"NaN", b" " * 70,
    b"x" * 90, b"{" + b" " * 5000, b'"', b"\\",
])  # fmt: skip
OUTPUTS = st.lists(FRAGMENTS | st.binary(max_size=8), max_size=40).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(output=OUTPUTS, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_how_the_output_is_cut_changes_nothing(output, cuts):
    places = sorted({min(cut, len(output)) for cut in cuts} | {0, len(output)})
    pieces = [output[begin:end] for begin, end in itertools.pairwise(places)]
    assert scan(*pieces) == scan(output)
    assert scan(*[output[at : at + 1] for at in range(len(output))]) == scan(output)


@settings(max_examples=200, deadline=None)
@given(output=OUTPUTS)
def test_there_is_one_answer_at_most_and_it_is_usable(output):
    said = scan(output)
    answers = [each for each in said if isinstance(each, Result | Failure) or getattr(each, "is_result", False)]
    assert len(answers) <= 1
    for each in said:
        if isinstance(each, Result):
            assert isinstance(json.loads(each.content), dict)
        elif isinstance(each, Interim):
            json.loads(each.content)
        elif isinstance(each, Progress):
            assert 0 <= each.fraction <= 1


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (b'PlanQK:Job:Result: {"sum":42}', [Result(b'{"sum":42}')]),
        (b'  PlanQK:Job:Result:{"sum":42}  \r\n', [Result(b'{"sum":42}')]),
        (b'see PlanQK:Job:Result: {"sum":42}\n', []),
        (b"PlanQK:Job:MultilineResult\r\n{\r\n}\r\nPlanQK:Job:MultilineResult\r\n", [Result(b"{\r\n}")]),
        (b'PlanQK:Job:MultilineResult\n{"a": 1}', [Result(b'{"a": 1}')]),  # its end never came, and it is whole
        (b'PlanQK:Job:Result: {"a": 1}\nPlanQK:Job:Result: {"a": 2}\nJob:ErrorResponse: {}\n', [Result(b'{"a": 1}')]),
        (b'PlanQK:Job:InterimResult: {"a": 1}\nPlanQK:Job:InterimResult: [2]\n', [Interim('{"a": 1}'), Interim("[2]")]),
        (b'Job:ResulsResponse: {"result": {"a": 1}, "metadata": null}\n', [Result(b'{"a": 1}')]),
        (b'Job:ResulsResponse:\n\n{\n "result": {"a":\n{}\n},\n "metadata": {}}\nmore\n', [Result(b'{"a": {}}')]),
        (b'Job:ResultResponse: {"result": [1], "metadata": 2}\n', [Result(b'{"result": [1], "metadata": 2}')]),
        (b'Job:ResulsResponse: {"own": 12345678901234567890123}\n', [Result(b'{"own": 12345678901234567890123}')]),
        (b'Job:ErrorResponse: {"code": "E1", "detail": "no"}\n{"progress": 1}\n', [Failure("E1", "no"), Progress(1.0)]),
        (b'Job:ErrorResponse:\n{\n"code": 400,\n"detail": "a\\nb"\n}\n', [Failure("400", "a\nb")]),
        (b"Job:ErrorResponse: it broke\n{\"progress\": 1}\n", [Failure("error", "it broke"), Progress(1.0)]),
        (b'{"progress": 0.4, "message": "a\\n\\u0000 b"}\r\n', [Progress(0.4, "a b")]),
        (b'{"message": "b", "progress": 1, "more": []}\n', [Progress(1.0, "b")]),
        (b'{"progress": 40}\n{"progress": true}\n{"progress": "0.4"}\n{"progress": null}\n{"progress": NaN}\n', []),
        (b'["progress", 0.4]\n{"other": {"progress": 0.4}}\n', []),
        (b'{"progress": 0.4, "message": "' + b"x" * 300 + b'"}\n', [Progress(0.4, "x" * 200)]),
        (b'{"progress": 0.4, "message": "' + b"x" * 5000 + b'"}\n', []),
    ],
)  # fmt: skip
def test_what_is_found(output, said):
    assert scan(output) == said


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (b"PlanQK:Job:Result: [1]\n", "a list"),
        (b'PlanQK:Job:Result: "a"\n', "a text"),
        (b"PlanQK:Job:Result: 7\n", "a number"),
        (b"PlanQK:Job:Result: null\n", "null"),
        (b"PlanQK:Job:Result:\n", "empty"),
        (b'PlanQK:Job:Result: {"a": NaN}\n', "NaN"),
        (b'PlanQK:Job:Result: {"a": "\xff"}\n', "UTF-8"),
        (b'PlanQK:Job:Result: {"a": ' + b"[" * 100_000 + b"\n", "nested too deeply"),
        (b"PlanQK:Job:MultilineResult\nPlanQK:Job:MultilineResult\n", "empty"),
        (b'Job:ResulsResponse: {"a": \nPlanQK:Job:InterimResult: 1\n', "no JSON"),
    ],
)
def test_a_first_result_that_cannot_be_read_says_why(output, why):
    first = scan(output + b'PlanQK:Job:Result: {"second": true}\n')[0]
    assert isinstance(first, Unreadable)
    assert first.is_result
    assert why in first.problem
    assert not [said for said in scan(output + b'PlanQK:Job:Result: {"second": true}\n') if isinstance(said, Result)]


@pytest.mark.parametrize("is_cut", [False, True])
def test_what_is_too_long_is_left_out_and_not_remembered(monkeypatch, is_cut):
    monkeypatch.setattr(markers, "RESULT_MAX_BYTES", 10_000)
    monkeypatch.setattr(markers, "INTERIM_MAX_BYTES", 1_000)
    long = b'"' + b"x" * 20_000 + b'"'
    outputs = [
        b'PlanQK:Job:Result: {"a": ' + long + b"}\n",
        b'PlanQK:Job:MultilineResult\n{"a":\n' + long + b"\n}\nPlanQK:Job:MultilineResult\n",
        b"PlanQK:Job:MultilineResult\n" + b"[1,\n" * 5_000 + b"PlanQK:Job:MultilineResult\n",
        b'Job:ResulsResponse:\n{"a":\n' + long + b"\n}\n",
    ]
    for output in outputs:
        pieces = [output[at : at + 700] for at in range(0, len(output), 700)] if is_cut else [output]
        scanner = Scanner()
        found = [said for piece in pieces for said in scanner.feed(piece)]
        assert len(scanner._line) <= 10_000
        (said,) = found + list(scanner.close())
        assert said.is_result
        assert "10,000 bytes" in said.problem
    (said,) = scan(b"PlanQK:Job:InterimResult: " + long + b"\n")
    assert not said.is_result
    assert "1,000 bytes" in said.problem


def test_an_output_without_an_end_is_not_remembered():
    scanner = Scanner()
    for piece in [b"x" * 100_000] * 20 + [b"{" + b"y" * 100_000] * 20:
        assert not list(scanner.feed(piece))
        assert len(scanner._line) <= markers.PROGRESS_LINE_MAX_BYTES


class Untouched(bytearray):
    """A text that is not to be looked at as a whole."""

    def lstrip(self, *_: object) -> bytearray:
        raise AssertionError("all of it was read again")


def test_a_block_is_not_read_again_with_each_of_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """With five million of them that took hours, in the worker that all jobs of a host share."""
    monkeypatch.setattr(markers, "bytearray", Untouched, raising=False)
    block = [b"Job:ResulsResponse:\n\n", b" {\n", b'"a": 1,\n' * 1_000, b'"b": 2\n}\n']
    assert scan(*block) == [Result(b"{\n" + b'"a": 1,\n' * 1_000 + b'"b": 2\n}')]
