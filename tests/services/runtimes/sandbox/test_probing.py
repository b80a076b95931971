"""Hosts that forbid what a sandbox needs, and one without root: real ones, made by a process around ours."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtimes import home, sandbox
from services.runtimes.sandbox import seccomp

ROOT = Path(__file__).resolve().parents[4]

FORBIDDEN = """
import ctypes, sys
program = open(sys.argv[1], "rb").read()
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0) == 0, ctypes.get_errno()
exec(sys.stdin.read())
"""
REPORT_HOST = """
import django, json
django.setup()
from services.runtimes import sandbox, slots
from services.runtimes.base import Limits, PlatformError
host = sandbox.host()
slot = slots.acquire("job")
ending = None
printed = []
if not host.problem:
    limits = Limits(cpu_millis=1000, memory_bytes=1 << 28, wall_seconds=20, processes=40, output_bytes=1 << 20,
                    output_files=9)
    command = sandbox.Command(
        argv=["/bin/sh", "-c", 'echo $INPUT_DIRECTORY; cat $INPUT_DIRECTORY/data.json; echo x >$OUTPUT_DIRECTORY/y; '
              'pwd; setsid sleep 50 & exit 4'],
        variables={"INPUT_DIRECTORY": sandbox.INPUT, "OUTPUT_DIRECTORY": sandbox.OUTPUT},
        inputs={"data.json": b"[7]"}, output=True, limits=limits,
    )
    ending = sandbox.run(slot=slot, command=command, log=lambda _, data: printed.append(data))
else:
    try:
        sandbox.start(slot=slot, command=sandbox.Command(argv=["/bin/true"], limits=None))
    except PlatformError as error:
        printed.append(str(error).encode())
print(json.dumps({
    "problem": host.problem, "tier": host.tier, "printed": b"".join(printed).decode(),
    "reason": ending and ending.reason, "exit_code": ending and ending.exit_code, "uid": slot.uid,
}))
"""


def report_host(*around: str, text: str = REPORT_HOST, **environment: str) -> dict[str, object]:
    """What a host is found to be from within ``around``."""
    folder = home.jobs_home().parent / f"jobs-{secrets.token_hex(4)}"
    asked = subprocess.run(
        [*around, *([sys.executable, "-"] if not around or around[0] != sys.executable else [])],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings", "JOBS_HOME": str(folder), **environment},
        check=False,
    )
    shutil.rmtree(folder, ignore_errors=True)
    assert asked.returncode == 0, asked.stderr
    answer: dict[str, object] = json.loads(asked.stdout.splitlines()[-1])
    return answer


@pytest.fixture
def forbidden(tmp_path: Path) -> list[str]:
    """Around a Python text: a process whose kernel refuses namespaces and mounts, like a container engine's."""
    (tmp_path / "filter").write_bytes(seccomp.program())
    return [sys.executable, "-c", FORBIDDEN, str(tmp_path / "filter")]


def test_a_host_that_forbids_namespaces_says_so_and_how_to_mend_it(forbidden: list[str]) -> None:
    found = report_host(*forbidden)
    assert "forbids" in str(found["problem"])
    assert "seccomp=unconfined" in str(found["problem"])
    assert "bubblewrap says" in str(found["problem"])
    assert found["printed"] == found["problem"]


def test_the_operator_may_run_without_a_sandbox(forbidden: list[str]) -> None:
    found = report_host(*forbidden, ALLOW_UNSAFE_RUNTIME="1")
    assert (found["problem"], found["tier"]) == ("", "unsafe")
    assert (found["reason"], found["exit_code"]) == ("error", 4)
    printed = str(found["printed"])
    assert "[7]" in printed
    assert "/var/runtime" not in printed
    assert not [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"sleep\x0050" in _bytes(path) and path.parent.stat().st_uid == found["uid"]
    ]


def test_a_safe_host_stays_safe_where_unsafe_is_allowed() -> None:
    assert report_host(ALLOW_UNSAFE_RUNTIME="1")["tier"] == sandbox.host().tier


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)")
def test_without_root_there_is_one_user_and_the_rlimit_tier() -> None:
    found = report_host("unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-")
    assert (found["problem"], found["uid"]) == ("", 1000)
    assert found["tier"] in ("rlimit", "v2")
    assert (found["reason"], found["exit_code"]) == ("error", 4)
    assert "/var/runtime/input" in str(found["printed"])


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)")
def test_a_host_without_user_namespaces_names_the_sysctl() -> None:
    text = "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n" + REPORT_HOST
    around = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps", sys.executable, "-"]
    found = report_host(*around, text=text)
    assert "user.max_user_namespaces" in str(found["problem"])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
