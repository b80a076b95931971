"""Schemas from the source of `run()`, which is read and never run."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import contracts
from services.contracts.docstrings import documented
from services.contracts.signature import read_annotation, read_signature
from tests.services.contracts.conftest import source_of

MODELS = '''
from enum import Enum
from typing import TypedDict

class Mode(str, Enum):
    """How to go."""
    FAST = "fast"
    SLOW = "slow"

class Graph(TypedDict, total=False):
    nodes: list[int]
    """The nodes"""
    edges: list[tuple[int, int]]
'''
PROGRAM = '''
from __future__ import annotations
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Optional, Union
from pydantic import BaseModel, Field
from .libs import models
from .libs.models import Mode as M

Weights = dict[str, float]

class Base(BaseModel):
    seed: int = 7

class Params(Base):
    """What to tune.

    Attributes:
        shots: how often
            to measure
        mode (M): which way: fast or slow
    """
    kind: ClassVar[str] = "x"
    _hidden: int = 0
    mode: M
    shots: int = Field(100, ge=1, lt=10_000)
    names: list[str] = Field(default_factory=list, min_length=1, description="Words")
    inner: Optional["Params"] = None
    choice: Literal["a", "b"] = "a"
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    either: Union[int, str, None] = None
    weights: Weights = {}

@dataclass
class Data:
    graph: models.Graph
    tags: list[str] = field(default_factory=list)

def run(data: Data, params: Params | None = None, top: int = 3, label: str = "x"):
    """Solves it.

    :param data: the problem,
        in short
    :param top: how many
    """
'''


def schemas(program: str, **modules: str) -> dict[str, dict]:
    files = {"src/program.py": program} | modules
    line = next(number for number, text in enumerate(program.splitlines(), start=1) if text.startswith("def run"))
    return read_signature(files, program="src/program.py", line=line).schemas


def test_classes_of_the_file_and_of_its_modules_become_schemas():
    found = schemas(PROGRAM, **{"src/libs/models.py": MODELS, "src/libs/__init__.py": ""})
    assert found["data"] == {
        "type": "object",
        "properties": {
            "graph": {
                "type": "object",
                "properties": {
                    "nodes": {"type": "array", "items": {"type": "integer"}, "description": "The nodes"},
                    "edges": {
                        "type": "array",
                        "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                    },
                },
            },
            "tags": {"type": "array", "items": {"type": "string"}, "default": []},
        },
        "required": ["graph"],
    }
    params = found["params"]
    assert (params["nullable"], params["required"], params["description"]) == (True, ["mode"], "What to tune.")
    assert params["properties"] == {
        "seed": {"type": "integer", "default": 7},
        "mode": {"type": "string", "enum": ["fast", "slow"], "description": "How to go."},
        "shots": {
            "type": "integer",
            "default": 100,
            "minimum": 1,
            "maximum": 10_000,
            "exclusiveMaximum": True,
            "description": "how often to measure",
        },
        "names": {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "minItems": 1,
            "description": "Words",
        },
        "inner": {"type": "object", "nullable": True},
        "choice": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "share": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1, "default": 0.5},
        "either": {"anyOf": [{"type": "integer", "nullable": True}, {"type": "string"}]},
        "weights": {"type": "object", "additionalProperties": {"type": "number"}, "default": {}},
    }


def test_the_generated_description_is_valid_and_begins_with_defaults():
    source = source_of(PROGRAM, **{"src/libs/models.py": MODELS, "src/libs/__init__.py": ""})
    contract = contracts.default(name="Solver", summary="", source=source)
    assert contracts.accept(contracts.dump(contract, "yaml")).document == contract.document
    assert contract.description == "Solves it."
    body = contract.document["components"]["schemas"]
    assert body["InputData"]["description"] == "the problem, in short"
    assert body["RequestBody"]["properties"]["top"] == {"type": "integer", "default": 3, "description": "how many"}
    assert "required" not in body["RequestBody"]
    assert json.loads(contracts.example_input(contract)[1])["shots"] == 100


def test_a_schema_that_is_guessed_from_an_example_says_so():
    guessed = source_of("def run(data: dict, params): pass", **{"input/data.json": '{"n": 1}'})
    known = source_of("def run(data: list[int], params): pass", **{"input/data.json": "[1]"})
    schema = contracts.default(name="A", summary="", source=guessed).document["components"]["schemas"]["InputData"]
    assert schema["x-guessed"] is True
    schema = contracts.default(name="A", summary="", source=known).document["components"]["schemas"]["InputData"]
    assert schema == {
        "type": "array",
        "items": {"type": "integer"},
        "description": schema["description"],
        "example": [1],
    }


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("", {}),
        ("int", {"type": "integer"}),
        ("Any", {}),
        ("typing.List[typing.Dict[str, int]]", {"type": "array", "items": {"type": "object",
         "additionalProperties": {"type": "integer"}}}),
        ("set[str]", {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        ("tuple[int, ...]", {"type": "array", "items": {"type": "integer"}}),
        ("'int | None'", {"type": "integer", "nullable": True}),
        ("int | float", {"type": "number"}),
        ("Literal[1, 'a', None]", {"enum": [1, "a", None], "nullable": True}),
        ("datetime.datetime", {"type": "string", "format": "date-time"}),
        ("np.ndarray", {"type": "array", "items": {}}),
        ("Unknown", {"type": "object"}),
        ("Callable[[int], int]", {"type": "object"}),
        ("1 +", {}),
        ("(" * 500, {}),
        ("list[" * 60 + "int" + "]" * 60, None),
    ],
)  # fmt: skip
def test_annotations(annotation, schema):
    found = read_annotation(annotation)
    assert schema is None or found == schema


HOSTILE = {
    "no Python": "def run(data: int",
    "newer Python": "type A = int\ndef run[T](data: T): ...\ndef run(data: A): ...",
    "itself": "class A(A):\n  a: 'A'\ndef run(data: A): ...",
    "bases in a circle": "class A(B):\n  a: int\nclass B(A):\n  b: int\ndef run(data: A): ...",
    "an alias of itself": "A = A\ndef run(data: A): ...",
    "aliases in a circle": "A = B\nB = A\ndef run(data: A): ...",
    "an import of itself": "from .program import A\ndef run(data: A): ...",
    "far above": "from ......x import A\ndef run(data: A): ...",
    "a chain": "def run(data: " + " | ".join(f"A{n}" for n in range(3000)) + "): ...",
    "a field that fans out": "\n".join(
        f"class A{n}(BaseModel):\n" + "".join(f"  f{m}: A{n + 1}\n" for m in range(20)) for n in range(12)
    )
    + "\ndef run(data: A0): ...",
    "a huge default": "def run(data: list = [" + "1," * 20_000 + "]): ...",
    "infinity": "def run(data: float = 1e999, params: set = {1}, c: complex = 1j): ...",
    "odd fields": "@dataclass()\nclass A:\n  a: int = field()\n  b: int = Field(gt='x', examples=3)\n"
    "  c: Literal[()] = 1\n  d: Optional[()] = 2\n  e: dict[()] = 3\n  f: list[()] = 4\ndef run(data: A): ...",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_whatever_the_source_is_the_description_is_valid_json(what):
    text = HOSTILE[what]
    found = read_signature({"src/program.py": text}, program="src/program.py", line=text.count("\n") + 1)
    assert len(json.dumps(found.schemas, allow_nan=False)) < 1_000_000


@given(st.text(alphabet="dataclsrun():[]|,'\"=@ \n\tAB.0", max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_it(text):
    read_signature({"src/program.py": f"{text}\ndef run(data: A = {text!r}): ..."}, program="src/program.py", line=2)
    read_annotation(text)
    documented(text)


def test_nothing_of_the_source_is_run(tmp_path):
    trace = tmp_path / "ran"
    evil = f"open({str(trace)!r}, 'w')\nclass A(open({str(trace)!r}, 'w')):\n  a: int = open({str(trace)!r}, 'w')\n"
    contracts.default(name="A", summary="", source=source_of(f"{evil}\ndef run(data: A, params=A()): pass"))
    assert not trace.exists()


@pytest.mark.parametrize(
    "text",
    [
        "Does it.\n\n:param a: first\n    and more\n:type a: int\n:param int b: second\n:returns: c",
        "Does it.\n\nArgs:\n    a (int): first\n        and more\n    b: second\n\nReturns:\n    c: third",
        "It.\n\nParameters\n----------\na : int\n    first\n    and more\nb\n    second\n\nReturns\n-------\nc : int",
    ],
)
def test_three_manners_of_docstrings(text):
    assert documented(text) == {"a": "first and more", "b": "second"}
