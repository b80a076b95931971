"""What run() gets by its annotations: good input, bad input and odd signatures, each with what comes of it."""

from collections.abc import Callable

import pytest

from tests.services.runtimes.runner.conftest import Answer, Case

IMPORTS = "from shapes import *\n"
# Imported once, before the forks: what most programs use, and models of pydantic take their time.
SHAPES = """
import collections, dataclasses, datetime, decimal, enum, functools, ipaddress, pathlib, typing, uuid
import pydantic, pydantic.v1, pydantic.dataclasses
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import *
from uuid import UUID
class Color(Enum):
    RED = "red"
    BLUE = "blue"
class Loose(Enum):
    LEFT = "left"
    @classmethod
    def _missing_(cls, value):
        return cls[value.strip().upper()]
class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2
class Level(IntEnum):
    LOW = 1
    HIGH = 2
@dataclass
class Point:
    x: float
    y: float = 0
@dataclass
class Path:
    points: List[Point]
    color: Color = Color.RED
    note: Optional[str] = None
class Movie(TypedDict):
    title: str
    year: int
class Pair(NamedTuple):
    left: int
    right: int = 0
Identifier = NewType("Identifier", int)
T = TypeVar("T")
class Inner(pydantic.BaseModel):
    values: List[int]
class Model(pydantic.BaseModel):
    inner: Inner = Inner(values=[])
    when: Optional[datetime] = None
    rate: float = pydantic.Field(default=0.5, gt=0)
class Needs(pydantic.BaseModel):
    name: str
class Root(pydantic.RootModel[List[int]]):
    pass
class Old(pydantic.v1.BaseModel):
    name: str = "x"
    count: int = 0
class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
@dataclass
class Blank:
    x: int = None
class Bare(NamedTuple):
    y: int = None
@pydantic.dataclasses.dataclass
class Both:
    size: int
"""


def shows(annotation: str, sent: object, expected: object, *, show: str = "x") -> Case:
    """``x`` annotated so, what is sent for it, and what `show` makes of what arrives."""
    program = f"{IMPORTS}def run(x: {annotation}):\n    return {show}\n"
    return Case(program, {"x": sent}, expected)


AS_TEXT, WITH_TYPE = "repr(x)", "[type(x).__name__, x]"

GOOD: dict[str, Case] = {
    "bool stays": shows("bool", False, ["bool", False], show=WITH_TYPE),
    "text stays": shows("str", "1", ["str", "1"], show=WITH_TYPE),
    "text of true": shows("str", "true", ["str", "true"], show=WITH_TYPE),
    "int": shows("int", 3, ["int", 3], show=WITH_TYPE),
    "int without fraction": shows("int", 3.0, ["int", 3], show=WITH_TYPE),
    "large int": shows("int", 10**30, "1" + "0" * 30, show="str(x)"),
    "float of int": shows("float", 3, ["float", 3.0], show=WITH_TYPE),
    "complex": shows("complex", 2, "(2+0j)", show=AS_TEXT),
    "any": shows("Any", [1, "2"], [1, "2"]),
    "object": shows("object", {"a": 1}, {"a": 1}),
    "type variable": shows("T", 5, 5),
    "new type": shows("Identifier", 7, 7),
    "dict": shows("dict", {"1": "2"}, {"1": "2"}),
    "Dict of Any stays": shows("Dict[str, Any]", {"a": "1", "b": "true"}, {"a": "1", "b": "true"}),
    "bare Dict": shows("Dict", {"a": 1}, {"a": 1}),
    "Dict with int keys": shows("Dict[int, float]", {"1": 2}, "{1: 2.0}", show=AS_TEXT),
    "dict of lists": shows("dict[str, list[int]]", {"a": [1.0]}, "{'a': [1]}", show=AS_TEXT),
    "Mapping": shows("Mapping[str, int]", {"a": 1}, {"a": 1}),
    "OrderedDict": shows("typing.OrderedDict[str, int]", {"a": 1}, "OrderedDict", show="type(x).__name__"),
    "defaultdict": shows("DefaultDict[str, int]", {"a": 1}, ["defaultdict", {"a": 1}], show=WITH_TYPE),
    "List of floats": shows("List[float]", [1, 2.5], "[1.0, 2.5]", show=AS_TEXT),
    "Sequence": shows("Sequence[str]", ["a"], ["a"]),
    "Iterable": shows("Iterable", [1], [1]),
    "tuple": shows("tuple", [1, 2], "(1, 2)", show=AS_TEXT),
    "Tuple of two": shows("Tuple[int, str]", [1, "a"], "(1, 'a')", show=AS_TEXT),
    "Tuple of many": shows("Tuple[Color, ...]", ["red"], "(<Color.RED: 'red'>,)", show=AS_TEXT),
    "empty tuple": shows("Tuple[()]", [], "()", show=AS_TEXT),
    "set": shows("Set[int]", [1, 1, 2], [1, 2], show="sorted(x)"),
    "frozenset": shows("FrozenSet[str]", ["a"], "frozenset({'a'})", show=AS_TEXT),
    "deque": shows("Deque[int]", [1], "deque([1])", show=AS_TEXT),
    "Optional of null": shows("Optional[int]", None, None),
    "Optional of value": shows("Optional[int]", 1, 1),
    "X | None": shows("dict | None", {"a": 1}, {"a": 1}),
    "Union keeps text": shows("Union[int, str]", "1", "1"),
    "Union keeps int": shows("Union[float, int]", 1, "1", show=AS_TEXT),
    "Union keeps float": shows("Union[int, float]", 1.0, "1.0", show=AS_TEXT),
    "Union of models takes the one that fits best": shows(
        "Union[Model, Needs]", {"name": "a"}, "Needs(name='a')", show=AS_TEXT
    ),
    "models told apart by a field": shows(
        "Annotated[Union[Cat, Dog], pydantic.Field(discriminator='kind')]", {"kind": "dog"}, "dog", show="x.kind"
    ),
    "Fraction": shows("Fraction", "1/3", "Fraction(1, 3)", show=AS_TEXT),
    "field whose default is None": shows("Blank", {"x": None}, "Blank(x=None)", show=AS_TEXT),
    "field of a NamedTuple whose default is None": shows("Bare", {"y": None}, "Bare(y=None)", show=AS_TEXT),
    "Union of date and text": shows("Union[date, str]", "2024-01-31", "datetime.date(2024, 1, 31)", show=AS_TEXT),
    "Union falls to text": shows("Union[date, str]", "tomorrow", "tomorrow"),
    "Union of classes": shows("Union[Point, Movie]", {"title": "a", "year": 1}, {"title": "a", "year": 1}),
    "Literal": shows("Literal['a', 2]", 2, 2),
    "Enum by value": shows("Color", "blue", "<Color.BLUE: 'blue'>", show=AS_TEXT),
    "Enum by name": shows("Color", "BLUE", "<Color.BLUE: 'blue'>", show=AS_TEXT),
    "Enum that looks for itself": shows("Loose", " Left ", "<Loose.LEFT: 'left'>", show=AS_TEXT),
    "flags together": shows("Rights", 3, 3, show="x.value"),
    "IntEnum": shows("Level", 2, "<Level.HIGH: 2>", show=AS_TEXT),
    "datetime": shows("datetime", "2024-01-31T12:00:00Z", "2024-01-31T12:00:00+00:00"),
    "date": shows("date", "2024-01-31", "datetime.date(2024, 1, 31)", show=AS_TEXT),
    "time": shows("time", "12:30:00", "datetime.time(12, 30)", show=AS_TEXT),
    "timedelta": shows("timedelta", 90, "datetime.timedelta(seconds=90)", show=AS_TEXT),
    "Decimal of text": shows("Decimal", "0.10", "Decimal('0.10')", show=AS_TEXT),
    "Decimal of number": shows("Decimal", 0.1, "Decimal('0.1')", show=AS_TEXT),
    "UUID": shows("UUID", "0190d5b2-8c1e-7a3f-9d4b-2f6e8a1c5d70", "0190d5b2-8c1e-7a3f-9d4b-2f6e8a1c5d70"),
    "Path": shows("pathlib.Path", "a/b", "PosixPath('a/b')", show=AS_TEXT),
    "IP address": shows("ipaddress.IPv4Address", "10.0.0.1", "IPv4Address('10.0.0.1')", show=AS_TEXT),
    "TypedDict": shows("Movie", {"title": "a", "year": 1.0, "more": 1}, {"title": "a", "year": 1, "more": 1}),
    "NamedTuple of object": shows("Pair", {"left": 1}, "Pair(left=1, right=0)", show=AS_TEXT),
    "NamedTuple of list": shows("Pair", [1, 2], "Pair(left=1, right=2)", show=AS_TEXT),
    "dataclass": shows(
        "Path",
        {"points": [{"x": 1}], "color": "blue"},
        "Path(points=[Point(x=1.0, y=0)], color=<Color.BLUE: 'blue'>, note=None)",
        show=AS_TEXT,
    ),
    "list of dataclasses": shows("list[Point]", [{"x": 1, "y": 2}], "[Point(x=1.0, y=2.0)]", show=AS_TEXT),
    "pydantic 2": shows("Model", {"inner": {"values": [1]}}, [1], show="x.inner.values"),
    "pydantic 2 of a list": shows("Root", [1, 2], [1, 2], show="x.root"),
    "list of pydantic 2": shows("List[Inner]", [{"values": [1]}], "[Inner(values=[1])]", show=AS_TEXT),
    "Optional pydantic 2": shows("Optional[Inner]", {"values": []}, "Inner(values=[])", show=AS_TEXT),
    "pydantic 1": shows("Old", {"count": 2}, "Old(name='x', count=2)", show=AS_TEXT),
    "dataclass of pydantic": shows("Both", {"size": 2}, "Both(size=2)", show=AS_TEXT),
    "Annotated with a bound": shows("Annotated[int, pydantic.Field(gt=0)]", 1, 1),
    "Annotated with words": shows("Annotated[int, 'an id']", 1, 1),
    "type of pydantic": shows("pydantic.SecretStr", "s3cret", "**********", show="str(x)"),
    "in quotes": shows("'List[Point]'", [{"x": 1}], "[Point(x=1.0, y=0)]", show=AS_TEXT),
    "quotes inside": shows("List['Point']", [{"x": 1}], "[Point(x=1.0, y=0)]", show=AS_TEXT),
    "no annotation": Case("def run(x):\n    return x", {"x": "1"}, "1"),
    "postponed annotations": Case(
        f"from __future__ import annotations\n{IMPORTS}def run(x: Optional[Path], y: bool, z: dict | None):\n"
        "    return [repr(x), y, z]",
        {"x": {"points": []}, "y": False, "z": None},
        ["Path(points=[], color=<Color.RED: 'red'>, note=None)", False, None],
    ),
    "default None takes null": Case("def run(x: dict = None):\n    return [x]", {"x": None}, [None]),
    "Optional without default": Case(f"{IMPORTS}def run(x: Optional[int]):\n    return [x]", {}, [None]),
    "default stays": Case("def run(x: int = 5):\n    return x", {}, 5),
    "default where no params were sent": Case(
        f"{IMPORTS}def run(data: Point, params: Optional[Needs] = None):\n    return [data.x, params]",
        {"data": {"x": 1}, "params": {}},
        [1.0, None],
    ),
    "missing pydantic with defaults": Case(
        f"{IMPORTS}def run(x: Model, y: Old):\n    return [x.rate, y.name]", {}, [0.5, "x"]
    ),
    "missing dataclass with defaults": Case(
        f"{IMPORTS}@dataclass\nclass Options:\n    size: int = 3\ndef run(x: Options):\n    return x.size", {}, 3
    ),
    "dataclass field Optional without default": Case(
        f"{IMPORTS}@dataclass\nclass A:\n    x: Optional[int]\ndef run(a: A):\n    return repr(a)",
        {"a": {}},
        "A(x=None)",
    ),
    "dataclass that knows itself": Case(
        f"{IMPORTS}@dataclass\nclass Tree:\n    children: 'List[Tree]'\ndef run(a: Tree):\n    return repr(a)",
        {"a": {"children": [{"children": []}]}},
        "Tree(children=[Tree(children=[])])",
    ),
    "dataclass of another module": Case(
        "from src.libs.shapes import Square\ndef run(x: Square):\n    return repr(x)",
        {"x": {"size": {"value": 1}}},
        "Square(size=Size(value=1))",
        files={
            "src/libs/__init__.py": "",
            "src/libs/shapes.py": "from __future__ import annotations\nfrom dataclasses import dataclass\n"
            "@dataclass\nclass Size:\n    value: int\n@dataclass\nclass Square:\n    size: Size\n",
        },
    ),
    "TypedDict that need not have all": Case(
        "from __future__ import annotations\nfrom typing import TypedDict, NotRequired\n"
        "class M(TypedDict):\n    a: int\n    b: NotRequired[str]\ndef run(x: M):\n    return x",
        {"x": {"a": 1}},
        {"a": 1},
    ),
    # Odd signatures
    "positional-only after a default": Case("def run(a=1, b=2, /):\n    return [a, b]", {"b": 5}, [1, 5]),
    "keyword-only": Case("def run(*, x: int, y: int = 2):\n    return [x, y]", {"x": 1}, [1, 2]),
    "positional rest": Case(
        "def run(x, *rest: int, y=1):\n    return [x, list(rest), y]", {"x": 1, "z": 2}, [1, [], 1]
    ),
    "further keys": Case("def run(x, **more: float):\n    return [x, more]", {"x": 1, "y": 2}, [1, {"y": 2.0}]),
    "no parameters": Case("def run():\n    return 'ok'", {"data": {}, "params": {}}, "ok"),
    "async": Case("async def run(x: int):\n    return x", {"x": 1}, 1),
    "returns an awaitable": Case(
        "import asyncio\nasync def later(x):\n    await asyncio.sleep(0)\n    return x\n"
        "class Later:\n    def __init__(self, x): self.x = x\n"
        "    def __await__(self): return later(self.x).__await__()\n"
        "def run(x: int):\n    return Later(x)",
        {"x": 1},
        1,
    ),
    "callable object": Case(
        "class Run:\n    def __call__(self, x: 'Sized'):\n        return x.size\n"
        "import dataclasses\n@dataclasses.dataclass\nclass Sized:\n    size: int\nrun = Run()",
        {"x": {"size": 2}},
        2,
    ),
    "async callable object": Case(
        "class Run:\n    async def __call__(self, x):\n        return x\nrun = Run()", {"x": 1}, 1
    ),
    "partial": Case(
        f"{IMPORTS}def f(a, x: 'Set[int]', y=1):\n    return [a, sorted(x), y]\nrun = functools.partial(f, 9, y=2)",
        {"x": [1]},
        [9, [1], 2],
    ),
    "decorated": Case(
        f"{IMPORTS}def logged(f):\n    @functools.wraps(f)\n    def inner(*args, **kwargs):\n"
        "        return f(*args, **kwargs)\n    return inner\n@logged\ndef run(x: 'Color'):\n    return repr(x)",
        {"x": "red"},
        "<Color.RED: 'red'>",
    ),
    "class method": Case(
        "class A:\n    name = 'a'\n    @classmethod\n    def go(cls, x: int): return [cls.name, x]\nrun = A.go",
        {"x": 1},
        ["a", 1],
    ),
    "static method": Case(
        "class A:\n    @staticmethod\n    def go(x: int):\n        return x\nrun = A.go", {"x": 1}, 1
    ),
    "bound method": Case("class A:\n    def go(self, x: int):\n        return x\nrun = A().go", {"x": 1.0}, 1),
    "lambda": Case("run = lambda x: x", {"x": 1}, 1),
    "imported": Case("from src.work import run", {"x": 1}, 1, files={"src/work.py": "def run(x: int):\n    return x"}),
    "python -m src": Case(
        "def main(): pass",
        {"data": {"a": 1}},
        {"a": 1, "argv": "__main__.py"},
        files={
            "src/__main__.py": "import json, os, sys\nfrom .program import main\n"
            "data = json.load(open(os.environ['INPUT_DIRECTORY'] + '/data.json'))\n"
            "data['argv'] = os.path.basename(sys.argv[0])\n"
            "json.dump(data, open(os.environ['OUTPUT_DIRECTORY'] + '/output.json', 'w'))\n"
        },
    ),
    # Annotations that say nothing here
    "unknown name": Case("def run(x: 'Unknown'):\n    return x", {"x": [1]}, [1]),
    "for checkers only": Case(
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import B\n"
        "def run(x: B | None = None):\n    return x",
        {"x": [1]},
        [1],
    ),
    "class of one's own": Case("class Mine: pass\ndef run(x: Mine):\n    return x", {"x": [1]}, [1]),
    "no type at all": Case("def run(x: 5):\n    return x", {"x": [1]}, [1]),
}


def refuses(annotation: str, sent: object, *words: str) -> Case:
    """``x`` annotated so, something that does not fit, and the lines that say so."""
    program = f"{IMPORTS}def run(x: {annotation}):\n    print('ran')\n"
    return Case(program, {"x": sent}, list(words))


BAD: dict[str, Case] = {
    "text for int": refuses("int", "1", '/x must be an integer, and is the text "1"'),
    "bool for int": refuses("int", True, "/x must be an integer, and is true"),
    "fraction for int": refuses("int", 3.5, "/x must be an integer, and is 3.5"),
    "infinite for int": refuses("int", b"1e400", "/x must be an integer, and is inf"),
    "null for int": refuses("int", None, "/x must be an integer, and is null"),
    "number for text": refuses("str", 5, "/x must be a text, and is 5"),
    "text for bool": refuses("bool", "true", '/x must be true or false, and is the text "true"'),
    "number for bool": refuses("bool", 0, "/x must be true or false, and is 0"),
    "text for float": refuses("float", "1.5", '/x must be a number, and is the text "1.5"'),
    "too large for float": refuses("float", 10**400, "/x must be a number, and is 1000"),
    "list for dict": refuses("dict", [1], "/x must be an object, and is a list of 1"),
    "object for list": refuses("List[int]", {}, "/x must be a list, and is an object"),
    "every item": refuses("List[int]", ["a", 2, 3.5], "/x/0 must be an integer", "/x/2 must be an integer"),
    "deep": refuses("Dict[str, List[bool]]", {"a/b": [True, 1]}, "/x/a~1b/1 must be true or false, and is 1"),
    "keys": refuses("Dict[int, str]", {"one": "a"}, '/x/one must be an integer, and is the text "one"'),
    "tuple of another length": refuses("Tuple[int, int]", [1], "/x must be a list of 2, and is a list of 1"),
    "set of lists": refuses("Set[Any]", [[1]], "/x must be a list of texts and numbers"),
    "Optional": refuses("Optional[int]", "a", '/x must be an integer, and is the text "a"'),
    "Union": refuses("Union[int, bool]", "a", '/x must be an integer or true or false, and is the text "a"'),
    "Union of two classes": refuses("Union[Point, str]", {"y": 1}, "/x/x is missing"),
    "Literal": refuses("Literal['a', 'b', 1]", True, '/x must be the text "a", the text "b" or 1, and is true'),
    "Enum": refuses("Color", "green", '/x must be the text "red" or the text "blue", and is the text "green"'),
    "Enum that trips over it": refuses("Loose", 5, '/x must be the text "left", and is 5'),
    "IntEnum": refuses("Level", True, "/x must be 1 or 2, and is true"),
    "datetime": refuses("datetime", "tomorrow", "/x must be a date and time such as 2024-01-31T12:00:00Z"),
    "datetime of number": refuses("datetime", 1700000000, "/x must be a date and time"),
    "date": refuses("date", "2024-02-30", "/x must be a date such as 2024-01-31"),
    "date with time": refuses("date", "2024-01-31T12:00:00", "/x must be a date such as"),
    "time": refuses("time", "25:00", "/x must be a time"),
    "timedelta": refuses("timedelta", "1 day", "/x must be a number of seconds"),
    "Decimal": refuses("Decimal", "a lot", "/x must be a number, or a text such as"),
    "UUID": refuses("UUID", "1234", "/x must be a UUID"),
    "Path": refuses("pathlib.Path", 1, "/x must be a text with a path, and is 1"),
    "TypedDict": refuses("Movie", {"year": "1999"}, "/x/title is missing", "/x/year must be an integer"),
    "NamedTuple": refuses("Pair", [1, 2, 3], "/x must be a list of 2, and is a list of 3"),
    "dataclass": refuses(
        "Path",
        {"points": [{"y": "1"}, 5], "color": "green"},
        "/x/points/0/x is missing",
        "/x/points/0/y must be a number",
        "/x/points/1 must be an object, and is 5",
        "/x/color must be",
    ),
    "dataclass that refuses": Case(
        f"{IMPORTS}@dataclass\nclass Even:\n    n: int\n    def __post_init__(self):\n"
        "        if self.n % 2: raise ValueError('n must be even')\ndef run(x: Even):\n    print('ran')",
        {"x": {"n": 3}},
        ["/x is refused: n must be even"],
    ),
    "pydantic 2": refuses(
        "Model", {"inner": {"values": ["a"]}, "rate": 0}, "/x/inner/values/0 is refused", "/x/rate is refused"
    ),
    "pydantic 2 misses": refuses("Needs", {}, "/x/name is missing"),
    "none of two models": refuses(
        "Union[Needs, Inner]", {"x": 1}, "/x/Needs/name is missing", "/x/Inner/values is missing"
    ),
    "no model has such a field": refuses(
        "Annotated[Union[Cat, Dog], pydantic.Field(discriminator='kind')]",
        {"kind": "cow"},
        "expected tags: 'cat', 'dog'",
    ),
    "Fraction": refuses("Fraction", "a third", '/x must be a number, or a text such as "1/3"'),
    "pydantic 2 of text": refuses("Needs", "a", "/x is refused: "),
    "list of pydantic 2": refuses("List[Inner]", [{"values": 1}], "/x/0/values is refused"),
    "pydantic 1": refuses("Old", {"count": "many"}, "/x/count is refused"),
    "pydantic's dataclass": refuses("Both", {"size": "a"}, "/x/size is refused"),
    "Annotated": refuses("Annotated[int, pydantic.Field(gt=0)]", 0, "/x is refused: Input should be greater than 0"),
    "missing pydantic": Case(f"{IMPORTS}def run(x: Needs):\n    print('ran')", {}, ["/x: it is missing"]),
    "long text is cut": refuses("int", "a" * 1000, "a" * 40 + "…"),
    "all of it at once": Case(
        "def run(a: int, b: str, c, d: bool = True):\n    print('ran')",
        {"a": "1", "b": 2, "d": "no", "other": 1},
        [
            '/a must be an integer, and is the text "1"',
            "/b must be a text, and is 2",
            "/d must be true or false",
            "/c: it is missing",
            "The input has `a`, `b`, `d`, `other`.",
        ],
    ),
    "very many": Case(
        f"{IMPORTS}def run(x: List[int]):\n    print('ran')", {"x": ["a"] * 1000}, ["/x/49 must be", "and 950 more"]
    ),
    "further keys": Case("def run(**more: int):\n    print('ran')", {"y": "a"}, ["/y must be an integer"]),
    "secret": Case(
        "from planqk.commons.secret import SecretValue\ndef run(api_token: SecretValue):\n    print('ran')",
        {"api_token": "sent in the open"},
        ['/api_token is a secret, and it is missing. Send it as `$secrets`: {"api_token": "…"}'],
    ),
    "data pool": Case(
        "from qhub.commons.datapool import DataPool\ndef run(training_data: DataPool):\n    print('ran')",
        {},
        ["/training_data is a data pool, and none is mounted"],
    ),
}


@pytest.fixture(scope="module")
def answers(call_all: Callable[..., dict[str, Answer]]) -> dict[str, Answer]:
    """All of them, run once."""
    good = {f"good {name}": case for name, case in GOOD.items()}
    return call_all(good | {f"bad {name}": case for name, case in BAD.items()}, shapes=SHAPES)


@pytest.mark.parametrize("name", GOOD)
def test_what_fits_is_converted(answers, name: str) -> None:
    answer = answers[f"good {name}"]
    assert answer.code == 0, answer.report.get("detail") or answer.err
    assert answer.result == GOOD[name].expected if "output.json" in answer.files else GOOD[name].expected is None


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_named_before_user_code_runs(answers, name: str) -> None:
    answer = answers[f"bad {name}"]
    for words in BAD[name].expected:
        assert words in answer.detail
    assert answer.detail.count("\n") < 60
    assert answer.err.strip() == answer.report["detail"].strip()


def test_there_are_at_least_forty_kinds_of_each() -> None:
    assert len(BAD) >= 40
    assert len(GOOD) >= 40


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown name", "The annotation `Unknown` of /x cannot be resolved (NameError"),
        ("for checkers only", "The annotation `B | None` of /x cannot be resolved"),
        ("class of one's own", "/x is annotated as Mine, which JSON cannot be made into"),
        ("positional rest", "The input has `z`, which run() does not take: ignored."),
    ],
)
def test_what_is_passed_over_is_noted_in_the_log(answers, name: str, words: str) -> None:
    assert words in answers[f"good {name}"].err


def test_nothing_is_said_where_nothing_is_odd(answers) -> None:
    odd = {"unknown name", "for checkers only", "class of one's own", "positional rest", "no type at all"}
    assert {name for name in GOOD if answers[f"good {name}"].err} == odd
