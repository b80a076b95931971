"""What becomes of what run() returns, and which words a value gets that JSON cannot hold."""

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import types
import uuid
from typing import Any, NamedTuple

import attrs
import pydantic
import pydantic.v1
import pytest

from services.runtimes.runner import results

WHEN = datetime.datetime(2024, 1, 31, 12, tzinfo=datetime.UTC)
KEY = uuid.UUID(int=1)


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Name(str):
    __slots__ = ()


@dataclasses.dataclass
class Point:
    x: float
    when: datetime.datetime = WHEN


@dataclasses.dataclass
class Line:
    slope: float

    def __call__(self, x: float) -> float:
        return self.slope * x


@attrs.define
class Tagged:
    tags: set[str]


class Pair(NamedTuple):
    left: int
    right: Color


class Model(pydantic.BaseModel):
    when: datetime.datetime = WHEN
    color: Color = Color.RED


class Root(pydantic.RootModel[list[int]]):
    pass


class Holds(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    inside: types.SimpleNamespace


class Older(pydantic.v1.BaseModel):
    key: uuid.UUID = KEY


class Plain:
    def __init__(self, **attributes: object) -> None:
        self.__dict__ |= attributes


class ResultResponse(Plain):
    pass


class Array:
    """What arrays of every library have."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def tolist(self) -> Any:
        return self.items


class Times(Array):
    """As numpy has times and durations, with a unit."""

    class dtype:  # noqa: N801
        kind = "M"
        type = staticmethod(lambda number, unit: datetime.timedelta(seconds=number))

    def astype(self, _: type) -> "Array":
        return Array(self.items)


class Durations(Times):
    class dtype(Times.dtype):  # noqa: N801
        kind = "m"

    def __truediv__(self, other: datetime.timedelta) -> "Array":
        return Array([item / other for item in self.items])


class LongDouble(float):
    __slots__ = ()

    class dtype:  # noqa: N801
        kind = "f"


class NAType:
    """What pandas has where there is nothing."""


class NaTType:
    def isoformat(self) -> str:
        return "NaT"


class Loose(pydantic.BaseModel):
    inside: dict[str, Any]
    items: list[Any] = []


class Told(Loose):
    model_config = pydantic.ConfigDict(ser_json_inf_nan="null")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Times(["2024-01-31T12"]), ["2024-01-31T12"]),
        (Durations([datetime.timedelta(minutes=1)]), [60.0]),
        (Loose(inside={"a": None, "b": [None, (1,)]}), {"inside": {"a": None, "b": [None, [1]]}, "items": []}),
        (Told(inside={"a": float("nan")}), {"inside": {"a": None}, "items": []}),
        ({"a": [1, 2.5, "x", None, True]}, {"a": [1, 2.5, "x", None, True]}),
        ("text", "text"),
        (False, False),
        (
            {"at": WHEN, "on": WHEN.date(), "t": WHEN.time()},
            {"at": WHEN.isoformat(), "on": "2024-01-31", "t": "12:00:00"},
        ),
        (datetime.timedelta(minutes=1), 60.0),
        ([decimal.Decimal("0.10"), KEY, pathlib.Path("a/b"), 1 + 2j], ["0.10", str(KEY), "a/b", "(1+2j)"]),
        ([Color.RED, Level.LOW, Name("n")], ["red", 1, "n"]),
        (
            {Color.RED: 1, KEY: 2, WHEN.date(): 3, None: 4, 5: 6},
            {"red": 1, str(KEY): 2, "2024-01-31": 3, "null": 4, "5": 6},
        ),
        ({"b", "a"}, ["a", "b"]),
        (collections.deque([1, (2, 3)]), [1, [2, 3]]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        (range(3), [0, 1, 2]),
        (types.MappingProxyType({"a": WHEN}), {"a": WHEN.isoformat()}),
        (collections.OrderedDict(a={1}), {"a": [1]}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (Point(1.0), {"x": 1.0, "when": WHEN.isoformat()}),
        (Line(0.5), {"slope": 0.5}),
        ([Pair(1, Color.RED)], [[1, "red"]]),
        (Tagged({"x"}), {"tags": ["x"]}),
        ({"m": Model()}, {"m": {"when": "2024-01-31T12:00:00Z", "color": "red"}}),
        (Root([1]), [1]),
        (Holds(inside=types.SimpleNamespace(a={1})), {"inside": {"a": [1]}}),
        (Older(), {"key": str(KEY)}),
        (Array([[1, Array(2)]]), [[1, 2]]),
        (ResultResponse(result={"x": {1}}, metadata=None), {"result": {"x": [1]}, "metadata": None}),
        (Plain(a=1, _hidden=2, inside=Plain(b=Color.RED)), {"a": 1, "inside": {"b": "red"}}),
    ],
)
def test_what_json_does_not_know_gets_a_form_in_it(value: object, expected: object) -> None:
    assert json.loads(results.encode(value)) == expected


class DataFrame:
    def __init__(self) -> None:
        self.columns = [1]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": Array([0.5, float("nan")])}, "result.a[1] is NaN"),
        (Point(float("inf")), "result.x is infinite"),
        ({"t": Times([["2024-01-31", "NaT"]])}, "result.t[0][1] is NaT"),
        ([NAType()], "result[0] is NA, which JSON does not have. Return None"),
        ({"at": NaTType()}, "result.at is NaT"),
        ([Loose(inside={"a": [1.0, float("nan")]})], "result[0].inside.a[1] is NaN"),
        (Loose(inside={}, items=[float("inf")]), "result.items[0] is infinite"),
        (
            {"m": [Model(), b"x"]},
            "result.m[1] is of type bytes, which JSON cannot hold: decode it, or write it to a file",
        ),
        ({"table": DataFrame()}, "call .to_dict(orient='records')"),
        ({float("nan"): 1}, "a key of result is NaN"),
        (Plain(call=print), "result.call is of type builtin_function_or_method"),
        ((item for item in "ab"), "result is of type generator, which JSON cannot hold: make it a list"),
        (Plain(), "result is of type tests."),
        ({"t": {(1, 2): 1}}, "result.t has a key of type tuple"),
        ([ValueError("x")], "result[0] is of type ValueError"),
    ],
)
def test_what_has_no_form_is_named_by_its_place(value: object, words: str) -> None:
    with pytest.raises(results.InvalidResult) as caught:
        results.encode(value)
    assert words in str(caught.value)


def test_a_circle_of_objects_ends() -> None:
    one = Plain()
    one.__dict__["other"] = Plain(back=one)
    with pytest.raises(results.InvalidResult, match=r"result\.other\.back contains itself"):
        results.encode(one)


def test_deep_is_not_too_deep() -> None:
    value: object = {1}
    for _ in range(400):
        value = [value]
    assert results.encode(value).startswith(b"[[[[")


RETURN_OBJECTS = """
import json
class Response:
    def to_json(self):
        return json.dumps(self, default=lambda o: getattr(o, "__dict__", str(o)), sort_keys=True)
class ErrorResponse(Response):
    def __init__(self, code, detail):
        self.code, self.detail = code, detail
class ResultResponse(Response):
    def __init__(self, result, metadata=None):
        self.result, self.metadata = result, metadata
"""
FILES = {"src/libs/__init__.py": "", "src/libs/return_objects.py": RETURN_OBJECTS}


def test_the_response_objects_of_2022(call) -> None:
    program = """
from typing import Any, Dict, Union
from .libs.return_objects import ResultResponse, ErrorResponse
def run(data: Dict[str, Any] = None, params: Dict[str, Any] = None) -> Union[ResultResponse, ErrorResponse]:
    if not data["values"]:
        return ErrorResponse(code=400, detail="There are no values.")
    return ResultResponse(result={"sum": sum(data["values"])}, metadata={"n": len(data["values"])})
"""
    good = call(program, given={"data": {"values": [1, 2]}, "params": {}}, files=FILES)
    assert good.result == {"result": {"sum": 3}, "metadata": {"n": 2}}
    (bad := call(program, given={"data": {"values": []}, "params": {}}, files=FILES)).report.pop("memory_peak_bytes")
    assert bad.code == 1
    assert bad.report == {"reason": "error_response", "type": "400", "message": "There are no values.", "frames": []}
    assert "run() returned an ErrorResponse: 400: There are no values." in bad.err


def test_a_handler_error_says_it_in_its_own_words(call) -> None:
    program = """
class HandlerError(Exception):
    def __init__(self, title, detail):
        super().__init__(title)
        self.title, self.detail = title, detail
HandlerError.__module__ = "qhub.commons.runtime.error"
def run():
    raise HandlerError("Backend busy", "All 5 qubits are taken.")
"""
    report = call(program).report
    assert (report["type"], report["message"]) == ("Backend busy", "All 5 qubits are taken.")
    assert report["frames"] == ["src/program.py:8 in run"]
