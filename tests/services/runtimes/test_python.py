"""What only the Python runtime does: the world that run() finds, and what its failures are called."""

import errno
import json

import pytest

from services.runtimes import environments, sandbox
from services.runtimes.base import PlatformError
from services.runtimes.python import PythonRuntime
from services.runtimes.sandbox import Command, mounts
from services.runtimes.slots import Slot
from tests.services.runtimes.conftest import LIMITS, finish


def test_the_world_of_run(run) -> None:
    program = """
import os, sys
from src.libs.inner import VALUE
import src.libs
def run(data, params):
    return {
        "variables": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "value": VALUE,
        "project file": open("src/table.csv").read(), "python": sys.executable,
        "isolated": sys.flags.isolated, "mounts": sorted(os.listdir("/var/runtime")),
    }
"""
    files = {"src/libs/__init__.py": "", "src/libs/inner.py": "VALUE = 7", "src/table.csv": "a,b"}
    found = run(program, files=files, variables={"MINE": "x", "LOG_LEVEL": "DEBUG"}).result
    assert found["variables"] | {"MINE": "x", "LOG_LEVEL": "DEBUG"} == found["variables"]
    assert set(found["variables"]) == {
        "PATH", "LANG", "HOME", "TMPDIR", "USER", "LOGNAME", "VIRTUAL_ENV", "PYTHONUNBUFFERED", "INPUT_DIRECTORY",
        "OUTPUT_DIRECTORY", "DATAPOOL_DIRECTORY", "LOG_LEVEL", "MPLCONFIGDIR", "OMP_NUM_THREADS", "MINE", "PWD",
        "BASE64_ENCODED", "DATA_VALUE", "PARAMS_VALUE",
    }  # fmt: skip
    assert found["variables"]["OMP_NUM_THREADS"] == "2"
    assert found["cwd"] == found["path"][0] == "/opt/service"
    assert found["path"][-2].startswith("/opt/environment/lib/")
    assert found["path"][-1] == "/opt/mercato/importable"
    assert "/opt/mercato" not in found["path"]
    assert found["value"] == 7
    assert found["project file"] == "a,b"
    assert found["python"] == "/opt/environment/bin/python"
    assert found["isolated"] == 1
    assert found["mounts"] == ["datapool", "input", "output"]


OLDER = """
import base64, json, os
PLACES = ["data.json", "params.json", "data/data.json", "params/params.json"]
def run():
    found = [json.load(open("/var/input/" + place)) for place in PLACES]
    if os.environ["BASE64_ENCODED"] == "true":
        values = [json.loads(base64.b64decode(os.environ[name])) for name in ("DATA_VALUE", "PARAMS_VALUE")]
        assert values == found[:2] == found[2:]
    try:
        open("/var/input/new", "w")
    except OSError as error:
        refused = error.errno
    return [os.environ["BASE64_ENCODED"], "DATA_VALUE" in os.environ, found[2]["n"], len(found[3]), refused]
"""


def test_input_lies_where_older_templates_look_for_it(run) -> None:
    assert run(OLDER, data={"n": 1}, params=[1]).result == ["true", True, 1, 1, errno.EROFS]
    large = "x" * 80_000  # more than 96 KiB in base64
    assert run(OLDER, data={"n": 1}, params=[large]).result == ["false", False, 1, 1, errno.EROFS]


def test_a_project_that_starts_itself(run) -> None:
    main = """
import json, os
from .libs.work import add
data = json.load(open("/var/input/data/data.json"))
print("starting")
with open("/var/runtime/output/output.json", "w") as file:
    json.dump({"sum": add(data["values"])}, file)
"""
    files = {"src/__main__.py": main, "src/libs/__init__.py": "", "src/libs/work.py": "add = sum"}
    ran = run("x = 1", data={"values": [1, 2]}, files=files)
    assert (ran.outcome.reason, ran.out, ran.result) == ("", "starting\n", {"sum": 3})
    broken = run("x = 1", files={"src/__main__.py": "def start():\n    raise KeyError('k')\nstart()"})
    assert "KeyError: 'k' at src/__main__.py:2 in start" in broken.outcome.detail
    assert "runpy" not in broken.err
    assert "mercato" not in broken.err


def test_an_error_response_is_a_failure_with_its_own_words(run) -> None:
    program = """
class ErrorResponse:
    def __init__(self, code, detail):
        self.code, self.detail = code, detail
def run(data):
    return ErrorResponse("4711", "No values.")
"""
    ran = run(program)
    assert (ran.outcome.reason, ran.outcome.detail) == ("error", "The service answered with an error: 4711: No values.")
    assert ran.outcome.error
    assert (ran.outcome.error.type, ran.outcome.error.message, ran.outcome.error.frames) == ("4711", "No values.", [])
    assert ran.files == {}


def test_input_that_does_not_fit_is_named_place_by_place(run) -> None:
    program = """
from typing import List, TypedDict
class Data(TypedDict):
    values: List[float]
def run(data: Data, params: dict, top: int = 3):
    print("ran")
"""
    ran = run(program, data={"values": [1, "2", None]}, params=[])
    assert ran.outcome.reason == "invalid_input"
    assert ran.outcome.detail == (
        "The input does not fit run() in 3 places. Correct it and start the job again.\n"
        '/data/values/1 must be a number, and is the text "2"\n'
        "/data/values/2 must be a number, and is null\n"
        "/params must be an object, and is a list of 0"
    )
    assert ran.out == ""


def test_temporary_files_and_processes_of_its_own(run) -> None:
    program = """
import concurrent.futures, multiprocessing, subprocess, sys, tempfile
def square(x):
    return x * x
def run():
    with tempfile.TemporaryDirectory() as folder:
        open(folder + "/x", "w").write("1")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        threads = list(pool.map(square, range(5)))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        processes = pool.map(square, range(5))
    version = subprocess.check_output([sys.executable, "-c", "import sys; print(sys.version_info[0])"], text=True)
    return [threads, processes, version.strip()]
"""
    ran = run(program)
    assert ran.outcome.reason == "", ran.err
    assert ran.result == [[0, 1, 4, 9, 16], [0, 1, 4, 9, 16], "3"]


def test_the_first_line_arrives_before_the_end(start) -> None:
    execution = start("import time\ndef run():\n    print('early', end='')\n    time.sleep(600)")
    while not execution.read("out", 0):
        execution.wait(10)
        assert not execution.ended()
    assert execution.read("out", 0) == b"early"
    execution.discard()


@pytest.mark.parametrize(
    ("statement", "reason", "words"),
    [
        ("raise MemoryError", "out_of_memory", "256 MiB"),
        ('raise RuntimeError("can\'t start new thread")', "too_many_processes", "64"),
        ("raise OSError(28, 'No space left on device')", "output_too_large", "/tmp"),
        ("raise OSError(2, 'x', '/y')", "error", "FileNotFoundError: [Errno 2] x: '/y' at src/program.py:3 in run"),
        ("raise ValueError('one\\ntwo')", "error", "ValueError: one at src/program.py:3 in run."),
        ("raise ValueError", "error", "The code raised ValueError at src/program.py:3 in run."),
        ("os._exit(3)", "error", "exit code 3"),
        ("os.kill(os.getpid(), 6)", "error", "SIGABRT"),
        ("sys.exit('bye')", "error", "SystemExit: bye"),
        ("return print", "invalid_result", "result is of type builtin_function_or_method"),
    ],
)
def test_failures_have_names_and_words(run, statement: str, reason: str, words: str) -> None:
    ran = run(f"import os, sys\ndef run():\n    {statement}")
    assert ran.outcome.reason == reason
    assert words in ran.outcome.detail


@pytest.mark.parametrize("statement", ["sys.exit()", "sys.exit(0)", "os._exit(0)"])
def test_leaving_with_0_is_a_success_without_a_result(run, statement: str) -> None:
    ran = run(f"import os, sys\ndef run():\n    {statement}")
    assert (ran.outcome.reason, ran.files) == ("", {})


def test_a_project_without_run(run) -> None:
    ran = run("x = 1")
    assert ran.outcome.reason == "error"
    assert "has no function run()" in ran.outcome.detail


def test_an_error_keeps_the_callers_text_apart_from_the_log(run) -> None:
    ran = run("def run(data):\n    raise ValueError('é\\u0000\\ud800 ' + 'x' * 100_000)")
    assert ran.outcome.error
    assert ran.outcome.error.message.startswith("é�? x") or ran.outcome.error.message.startswith("é��")
    assert len(ran.outcome.error.message) <= 8000
    json.dumps(ran.outcome.error.__dict__, ensure_ascii=False).encode()


def test_a_segfault_shows_where_it_was(run) -> None:
    ran = run("import ctypes\ndef run():\n    ctypes.string_at(0)")
    assert "SIGSEGV" in ran.outcome.detail
    assert 'File "/opt/service/src/program.py", line 3 in run' in ran.err


def test_what_another_runtime_runs_is_not_ours(slot: Slot) -> None:
    command = Command(argv=["/bin/sleep", "60"], limits=LIMITS)
    sandbox.start(slot=slot, command=command, label={"runtime": "docker", "job_id": "x", "attempt": "1"})
    assert PythonRuntime().attach(slot) is None


def test_a_result_that_went_with_a_restart_of_the_host_is_no_success(start) -> None:
    if not sandbox.host().has_tmpfs:
        pytest.skip("output folders of this host are on disk")
    execution = start("def run():\n    return 1")
    finish(execution)
    mounts.unmount(execution.output)  # what a boot does to it
    outcome = execution.outcome()
    assert outcome.reason == "lost"
    assert "restarted" in outcome.detail
    execution.discard()


def test_it_needs_its_environment(spec, slot: Slot) -> None:
    runtime = PythonRuntime()
    wanted = spec("def run(): pass")
    assert runtime.is_prepared(wanted.environment)
    assert environments.MOUNTED_AT == "/opt/environment"
    with pytest.raises(PlatformError, match="restored"):
        runtime.start(type(wanted)(**wanted.__dict__ | {"environment": "gone"}), slot)
