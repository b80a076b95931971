import os
import subprocess
import sys
from pathlib import Path

import pytest

from portal.lib import lifeline
from tests import children
from tests.waiting import wait_for

PARENT = """
import os, subprocess, time
from functools import partial
from portal.lib import lifeline
child = subprocess.Popen(["/bin/sleep", "600"], preexec_fn=partial(lifeline.end_with_parent, os.getpid()))
print(child.pid, flush=True)
time.sleep(600)
"""
# A member of a group: a child of the test, which forks a child of its own as a web server or a beat does.
MEMBER = """
import os, sys, time
from portal.lib import lifeline
if os.fork():
    time.sleep(float(sys.argv[1]))
    os._exit(0)
time.sleep(float(sys.argv[2]))
lifeline.end_with_parent_in_group()
print(os.getpid(), flush=True)
time.sleep(600)
"""


def test_a_child_ends_when_its_parent_is_killed():
    parent = children.start([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not lives(child), what="the child to end")


def test_a_grandchild_ends_with_the_member_of_the_group():
    member = children.start([sys.executable, "-c", MEMBER, "600", "0"], stdout=subprocess.PIPE)
    grandchild = int(member.stdout.readline())
    assert lives(grandchild)
    member.kill()
    member.wait()
    member.stdout.close()
    wait_for(lambda: not lives(grandchild), what="the grandchild to end")


def test_a_grandchild_that_comes_too_late_ends_at_once():
    member = children.start([sys.executable, "-c", MEMBER, "0", "0.5"], stdout=subprocess.PIPE)
    assert member.stdout.read() == b""  # its output is closed, and it said nothing
    member.stdout.close()
    member.wait()


@pytest.mark.parametrize("parent", [1, 2**22 + 1])
def test_a_child_whose_parent_is_another_already_ends_at_once(parent):
    code = f"from portal.lib import lifeline; lifeline.end_with_parent({parent}); print('lives')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


def test_outside_of_a_group_nothing_is_tied():
    code = "from portal.lib import lifeline; lifeline.end_with_parent_in_group(); print('lives')"
    environment = {name: value for name, value in os.environ.items() if name != lifeline.VARIABLE}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # a zombie waits for somebody to ask how it ended
