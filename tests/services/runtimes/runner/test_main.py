"""The runner by itself, as a plain process with a temporary folder: what it makes of input, run() and result."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtimes.runner import calling, inputs, jsons, results

RUNNER = Path(calling.__file__).parent


def test_result_and_log(call) -> None:
    answer = call(
        "def run(data, params):\n    print('working')\n    return {'sum': sum(data['values']), 'p': params}",
        given={"data": {"values": [1, 2]}, "params": {"x": "é"}},
    )
    assert (answer.code, answer.out) == (0, "working\n")
    assert json.loads(answer.files["output.json"]) == {"sum": 3, "p": {"x": "é"}}
    assert answer.report["reason"] == ""
    assert answer.report["memory_peak_bytes"] > 1_000_000


@pytest.mark.parametrize(
    ("signature", "given", "expected"),
    [
        ("data, params", {"data": 1, "params": 2}, [1, 2]),
        ("params, data", {"data": 1, "params": 2}, [1, 2]),
        ("data, params, /", {"data": 1, "params": 2}, [1, 2]),
        ("data, /, *, params", {"data": 1, "params": 2}, [1, 2]),
        ("*, data, params=5", {"data": 1}, [1, 5]),
        ("data, params=5", {"data": 1}, [1, 5]),
        ("data=7, params=5, /", {"params": 2}, [7, 2]),
        ("params, **data", {"params": 2, "x": 1}, [{"x": 1}, 2]),
        ("data, params, *rest", {"data": False, "params": "1"}, [False, "1"]),
        ("data: 'Unknown', params: int = None", {"data": [1], "params": None}, [[1], None]),
    ],
)
def test_parameters_are_filled_by_name(call, signature: str, given: dict[str, object], expected: object) -> None:
    answer = call(f"def run({signature}):\n    return [data, params]", given=given)
    assert answer.code == 0, answer.err
    assert json.loads(answer.files["output.json"]) == expected


def test_run_may_be_any_callable(call) -> None:
    wrapped = """
import functools
def logged(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner
@logged
def run(data, further):
    return [data, further]
"""
    assert json.loads(call(wrapped, given={"data": 1, "further": 2}).files["output.json"]) == [1, 2]
    an_object = "class Run:\n    def __call__(self, data):\n        return data\nrun = Run()"
    assert json.loads(call(an_object, given={"data": 1}).files["output.json"]) == 1
    partial = "import functools\ndef f(a, data):\n    return [a, data]\nrun = functools.partial(f, 9)"
    assert json.loads(call(partial, given={"data": 1}).files["output.json"]) == [9, 1]


def test_every_missing_parameter_is_named_before_user_code_runs(call) -> None:
    answer = call("def run(data, token, size, mode=1):\n    print('ran')", given={"data": 1, "params": 2})
    assert answer.code == 1
    assert answer.report["reason"] == "invalid_input"
    assert "in 2 places" in answer.report["detail"]
    assert "/token: it is missing" in answer.report["detail"]
    assert "/size: it is missing" in answer.report["detail"]
    assert "The input has `data`, `params`." in answer.report["detail"]
    assert "mode" not in answer.report["detail"]
    assert answer.out == ""
    assert "/token" in answer.err


def test_input_that_run_does_not_take_is_ignored_with_a_word(call) -> None:
    answer = call("def run(data):\n    return data", given={"data": 1, "params": {}, "extra": 3})
    assert answer.code == 0
    assert "`extra`" in answer.err
    assert "params" not in answer.err


def test_input_that_is_no_json(call) -> None:
    answer = call("def run(data):\n    return data", given={"data": b'{"a": 1,'})
    assert answer.report["reason"] == "invalid_input"
    assert "`data`" in answer.report["detail"]
    assert "line 1" in answer.report["detail"]
    deep = call("def run(data):\n    return data", given={"data": b"[" * 200_000})
    assert deep.report["reason"] == "invalid_input"
    assert "nested too deeply" in deep.report["detail"]


def test_an_exception_is_reported_with_own_frames_only(call) -> None:
    program = """
import json
from src.libs.inner import inner
def run(data):
    return inner(data)
"""
    files = {"src/libs/__init__.py": "", "src/libs/inner.py": "import json\ndef inner(data):\n    json.loads('{')\n"}
    answer = call(program, given={"data": 1}, files=files)
    assert answer.code == 1
    assert answer.report["reason"] == "error"
    assert answer.report["type"] == "json.decoder.JSONDecodeError"
    assert answer.report["frames"] == ["src/program.py:5 in run", "src/libs/inner.py:3 in inner"]
    assert "ValueError" in answer.report["kinds"]
    assert answer.err.startswith("Traceback (most recent call last):\n")
    assert "runner" not in answer.err
    assert "json/decoder.py" in answer.err


def test_chained_exceptions_are_in_the_log(call) -> None:
    answer = call("def run():\n    try:\n        1/0\n    except Exception as e:\n        raise KeyError('k') from e")
    assert "ZeroDivisionError" in answer.err
    assert answer.report["type"] == "KeyError"


@pytest.mark.parametrize(
    ("program", "kind", "frame"),
    [
        ("def run(:\n    pass", "SyntaxError", "src/program.py:1"),
        ("import no_such_module", "ModuleNotFoundError", "src/program.py:1 in <module>"),
        ("x = 1", "NoProgram", None),
        ("raise RuntimeError('at import')", "RuntimeError", "src/program.py:1 in <module>"),
        (
            "class E(Exception):\n  def __str__(self): raise ValueError\ndef run(): raise E()",
            "E",
            "src/program.py:3 in run",
        ),
        ("def run(): raise KeyboardInterrupt", "KeyboardInterrupt", "src/program.py:1 in run"),
        ("def run(): return run()", "RecursionError", "src/program.py:1 in run"),
    ],
)
def test_whatever_goes_wrong_has_a_name(call, program: str, kind: str, frame: str | None) -> None:
    answer = call(program)
    assert answer.code == 1
    assert answer.report["reason"] == "error"
    assert answer.report["type"].split(".")[-1] == kind
    if frame:
        assert answer.report["frames"][-1] == frame
    assert len(answer.report["frames"]) <= 30
    assert kind in answer.err


@pytest.mark.parametrize(
    ("statement", "code"),
    [("sys.exit()", 0), ("sys.exit(0)", 0), ("sys.exit(7)", 7), ("sys.exit('bye')", 1), ("os._exit(9)", 9)],
)
def test_the_code_may_end_itself(call, statement: str, code: int) -> None:
    answer = call(f"import os, sys\ndef run():\n    {statement}")
    assert answer.code == code
    assert answer.files == {}
    if "bye" in statement:
        assert "bye" in answer.err


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("class A:\n    def __str__(self): raise ValueError\ndef run(): sys.exit(A())", "SystemExit"),
        ("class E(Exception):\n    __module__ = 5\ndef run(): raise E", "E"),
        (
            "class M(type):\n    def __getattribute__(self, name): raise RuntimeError\n"
            "class E(Exception, metaclass=M): pass\ndef run(): raise E",
            "src.program.E",
        ),
        ("def run():\n    import builtins\n    builtins.open = None\n    raise KeyError", None),
    ],
)
def test_classes_that_lie_about_themselves_hide_no_failure(call, program: str, kind: str | None) -> None:
    answer = call(f"import sys\n{program}")
    assert answer.code == 1
    assert answer.report.get("type") == kind
    assert "runner" not in answer.err


def test_a_program_may_clear_its_variables(call) -> None:
    assert call("import os\nos.environ.clear()\ndef run(): return 1").files == {"output.json": b"1"}


def test_a_very_deep_traceback_is_cut_to_its_end(call) -> None:
    program = "import sys\nsys.setrecursionlimit(50_000)\ndef f(n): return g(n)\ndef g(n): return f(n)\ndef run(): f(0)"
    answer = call(program)
    assert answer.report["type"] == "RecursionError"
    assert answer.err.startswith("The innermost 2,000 of ")
    once = call("def f(n): return f(n)\ndef run(): f(0)").report["frames"]
    assert once == ["src/program.py:2 in run", "src/program.py:1 in f"]


def test_none_is_no_result_and_does_not_touch_what_the_code_wrote(call) -> None:
    assert call("def run(): pass").files == {}
    own = "import os\ndef run():\n    open(os.environ['OUTPUT_DIRECTORY'] + '/output.json', 'w').write('[1]')"
    assert call(own).files == {"output.json": b"[1]"}


def test_a_coroutine_is_awaited(call) -> None:
    program = "import asyncio\nasync def run(data):\n    await asyncio.sleep(0)\n    return data"
    assert json.loads(call(program, given={"data": 5}).files["output.json"]) == 5


def test_logging_is_shown_from_the_level_of_the_environment(call) -> None:
    answer = call("import logging\ndef run():\n    logging.getLogger('x').info('hello')\n    logging.debug('quiet')")
    assert "INFO x: hello" in answer.err
    assert "quiet" not in answer.err
    own = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format='%(message)s')
logging.warning('mine')
def run(): pass
"""
    assert call(own).out == "mine\n"


def test_threads_do_not_keep_a_job_alive(call) -> None:
    program = """
import atexit, threading, time
def run():
    threading.Thread(target=time.sleep, args=(3600,)).start()
    atexit.register(print, 'at exit')
    return 1
"""
    answer = call(program)
    assert answer.code == 0
    assert answer.files["output.json"] == b"1"
    assert "threads" in answer.err
    assert answer.out == "at exit\n"


LEFT_BEHIND = {
    "a thread of the event loop": ("asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)", "threads"),
    "a task": ("asyncio.get_running_loop().create_task(tidy())", ""),
    "a task that will not end": ("asyncio.get_running_loop().create_task(stay())", "pending"),
}


@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_nothing_of_an_event_loop_keeps_a_job_alive(call, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    statement, words = LEFT_BEHIND[what]
    program = f"""
import asyncio, time
async def tidy():
    try:
        await asyncio.sleep(3600)
    finally:
        print("tidied")
async def stay():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
async def run():
    left = {statement}
    await asyncio.sleep(0.01)
    return 1
"""
    answer = call(program)
    assert (answer.code, answer.files["output.json"]) == (0, b"1")
    assert words in answer.err
    assert answer.out == ("tidied\n" if "tidy()" in statement else "")


def test_threads_that_are_about_to_end_are_not_spoken_of(call) -> None:
    answer = call("import asyncio\nasync def run():\n    return await asyncio.to_thread(sum, [1, 2])")
    assert (answer.files["output.json"], answer.err) == (b"3", "")


def test_a_fork_that_returns_does_not_settle_the_job(call) -> None:
    program = """
import os, time
def run():
    pid = os.fork()
    if pid == 0:
        return {"who": "child"}
    os.waitpid(pid, 0)
    return {"who": "parent"}
"""
    answer = call(program)
    assert answer.code == 0
    assert json.loads(answer.files["output.json"]) == {"who": "parent"}
    late = program.replace("    os.waitpid(pid, 0)\n", "").replace("return {", "time.sleep(0.3)\n        return {", 1)
    assert json.loads(call(late).files["output.json"]) == {"who": "parent"}


def test_a_failure_is_reported_with_closed_streams_too(call) -> None:
    answer = call("import sys\ndef run():\n    sys.stderr.close()\n    raise ValueError('unheard')")
    assert (answer.code, answer.report["message"]) == (1, "unheard")
    answer = call("import sys\ndef run(token=1, *, needed):\n    pass")
    assert answer.report["reason"] == "invalid_input"


def test_streams_are_flushed_and_closed_ones_are_no_harm(call) -> None:
    answer = call("import sys\ndef run():\n    sys.stdout.write('no newline')\n    sys.stderr.close()")
    assert (answer.code, answer.out) == (0, "no newline")


def test_the_program_sees_nothing_of_the_runner(call) -> None:
    program = """
import os, sys
def run():
    return [sys.argv, "MERCATO_REPORT" in os.environ, os.path.basename(sys.path[0]), sorted(
        name for name in sys.modules if name in ("typing", "json", "re", "enum", "inspect", "logging", "pathlib"))]
"""
    argv, report, first, loaded = json.loads(call(program).files["output.json"])
    assert argv == ["src/program.py"]
    assert report is False
    assert first == "service"
    assert loaded == []  # what the runner imports, every job waits for


def test_results_go_through_the_c_encoder_or_the_module_alike() -> None:
    values = [
        None,
        True,
        1,
        1.5,
        "é\n\ud800x",
        [],
        {},
        {"a": [1, {"b": (1, 2)}], 1: 2, None: 3, 1.5: 0, False: 1},
        10**30,
    ]
    for value in values:
        assert jsons.loads(jsons.dumps(value, ascii_only=True)) == json.loads(json.dumps(value))
        assert jsons.dumps(value) == json.dumps(value, ensure_ascii=False)
    texts = ["1", " [1, 2.5e3, -0] \n", '{"a": {"b": null}}', '"\\ud83d\\ude00"', "NaN", "true"]
    for text in texts:
        assert repr(jsons.loads(text)) == repr(json.loads(text))
    for text in ["", "[1,]", "{", "1 2", "nul", '"\x01"', "[1]]"]:
        with pytest.raises(ValueError, match=r"line 1|Extra|Expecting"):
            jsons.loads(text)


CIRCLE: list[object] = [1]
CIRCLE.append({"back": CIRCLE})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [1, float("nan")]}, "result.a[1] is NaN"),
        ({"a b": {"c": float("-inf")}}, "result['a b'].c is infinite"),
        ({"x": b"1"}, "result.x is of type bytes"),
        ([1, object()], "result[1] is of type object"),
        ({"k": {(1, 2): 3}}, "result.k has a key of type tuple"),
        (CIRCLE, "contains itself"),
        ({"n": 10**5000}, "result.n is an integer of too many digits"),
        (print, "result is of type builtin_function_or_method"),
        (int, "result is of type type"),
    ],
)
def test_a_result_that_is_no_json_names_the_place(value: object, words: str) -> None:
    with pytest.raises(results.InvalidResult) as caught:
        results.encode(value)
    assert words in str(caught.value)


def test_a_result_nested_too_deeply() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(results.InvalidResult, match="nested too deeply"):
        results.encode(value)
    while value:  # piece by piece: freeing it at once would recurse as deeply
        value = value.pop()  # type: ignore[assignment]


def test_half_of_a_surrogate_pair_is_still_a_result() -> None:
    assert json.loads(results.encode({"x": "\ud800é"})) == {"x": "\ud800é"}


def test_invalid_result_of_a_program(call) -> None:
    answer = call("def run():\n    return {'x': b'1'}")
    assert answer.report["reason"] == "invalid_result"
    assert answer.files == {}
    assert "result.x" in answer.err


def test_a_report_that_cannot_be_written_fails_no_job(call, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    boot = "def run():\n    return 1"
    with pytest.raises(IsADirectoryError):
        call(boot)
    assert (tmp_path / "output" / "output.json").read_bytes() == b"1"


def test_inputs_are_json_files_only(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("\ufeff[1]")
    (tmp_path / "notes.txt").write_text("x")
    assert inputs.read(str(tmp_path)) == {"data": [1]}


def test_it_runs_on_python_3_8_and_imports_the_standard_library_only() -> None:
    for path in RUNNER.glob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
                assert names <= {*sys.stdlib_module_names, "annotationlib"}  # of Python 3.14
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert str(node.module).split(".")[0] in {*sys.stdlib_module_names, "__future__"}


@pytest.mark.parametrize("python", [f"python3.{minor}" for minor in range(8, 15)])
def test_other_pythons(call, python: str) -> None:
    found = shutil.which(python)
    if found is None or subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} does not run here")
    answer = call(
        "def run(data, params=1):\n    print(data)\n    return {'x': [data, params, 0.5]}",
        given={"data": {"é": 1}},
        python=python,
    )
    assert (answer.code, answer.out, answer.err) == (0, "{'é': 1}\n", "")
    assert json.loads(answer.files["output.json"]) == {"x": [{"é": 1}, 1, 0.5]}
    failed = call("def run(data):\n    raise OSError(28, 'full')", given={"data": 1}, python=python)
    assert (failed.code, failed.report["errno"]) == (1, 28)
