import signal
import subprocess
import sys
from pathlib import Path

from portal.lib import lifeline
from tests import children
from tests.waiting import wait_for

PARENT = """
import subprocess, sys, time
from portal.lib import lifeline
child = subprocess.Popen(["/bin/sleep", "600"], preexec_fn=lifeline.end_with_parent)
print(child.pid, flush=True)
time.sleep(600)
"""
MEMBER = """
import ctypes
from portal.lib import lifeline
lifeline.end_with_parent_in_group()
number = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(number))  # PR_GET_PDEATHSIG
print(number.value)
"""


def test_a_child_ends_when_its_parent_is_killed():
    parent = children.start([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not _lives(child), what="the child to end")


def test_only_a_child_of_up_ties_itself():
    for environment, expected in (({lifeline.VARIABLE: "1"}, signal.SIGKILL), ({}, 0)):
        done = subprocess.run([sys.executable, "-c", MEMBER], env=environment, capture_output=True, check=True)
        assert int(done.stdout) == expected


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # a zombie waits for somebody to ask how it ended
