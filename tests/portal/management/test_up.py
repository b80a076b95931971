"""`manage.py up` from outside: real processes, real signals."""

import os
import signal
import socket
import subprocess

import pytest

from tests.live_stack import LiveStack, free_port
from tests.waiting import wait_for

CHILDREN = ("valkey", "web", "work", "system")


@pytest.fixture(scope="module")
def stack():
    """An instance without the demo, which tests may hurt."""
    stack = LiveStack()
    stack.start("--no-demo")
    yield stack
    stack.remove()


@pytest.fixture
def doomed_stack():
    """An instance that the test ends itself."""
    stack = LiveStack()
    yield stack.start("--no-demo")
    stack.remove()


def test_it_says_where_it_is_and_what_to_try(stack):
    assert f"Mercato is ready: {stack.url}" in stack.log
    assert f"curl {stack.url}/healthz" in stack.log
    assert stack.get("/healthz")[0] == 200


def test_a_second_up_on_the_same_data_folder_is_refused_with_the_reason(stack):
    second = subprocess.run(
        _up(), env=stack.environment | {"PORT": str(free_port())}, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"Another `up` runs on {stack.home}: process {stack.up.pid} at {stack.url}" in second.stderr
    assert stack.get("/healthz")[0] == 200


def test_a_port_in_use_is_named_with_a_way_out(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environment = LiveStack(tmp_path, port=port).environment
        refused = subprocess.run(_up(), env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert f"Port {port} of 127.0.0.1 cannot be used: another program listens there" in refused.stderr
    assert f"make up PORT={port + 1}" in refused.stderr


def test_data_of_an_instance_is_closed_to_other_users_of_the_host(stack):
    assert stack.home.stat().st_mode & 0o077 == 0o011
    assert stack.run_dir.stat().st_mode & 0o077 == 0
    for file in stack.home.glob("mercato.sqlite3*"):
        assert file.stat().st_mode & 0o077 == 0, file


@pytest.mark.parametrize("name", CHILDREN)
def test_what_dies_is_started_again(stack, name):
    before = stack.pid(name)
    stack.kill(name)
    wait_for(lambda: _pid_or_none(stack, name) not in (None, before), what=f"{name} to start again")
    wait_for(stack.answers, what="the web server")
    assert f"{name:<6} | ended by SIGKILL" in stack.log


def test_what_dies_at_once_is_started_less_and_less_often(tmp_path):
    # A Valkey that cannot start: its append-only file is damaged in the middle.
    stack = LiveStack()
    folder = stack.home / "valkey" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("this is no manifest\n")
    stack.launch("--no-demo")
    wait_for(lambda: "it starts again in 0.8 s" in stack.log, what="the third attempt")
    assert "valkey.log" in stack.log
    assert stack.log.index("again in 0.2 s") < stack.log.index("again in 0.4 s") < stack.log.index("again in 0.8 s")
    stack.remove()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_everything(doomed_stack, number):
    assert doomed_stack.stop(number) == 0
    assert not doomed_stack.processes()
    assert not list(doomed_stack.run_dir.glob("*.pid"))


def test_when_up_is_killed_nothing_is_left_of_it(doomed_stack):
    for name in CHILDREN:
        wait_for(lambda name=name: _pid_or_none(doomed_stack, name), what=name)
    os.kill(doomed_stack.up.pid, signal.SIGKILL)
    doomed_stack.up.wait()
    wait_for(lambda: not doomed_stack.processes(), what="every process of it to be gone")


def test_it_starts_again_where_it_was_killed(doomed_stack):
    os.kill(doomed_stack.up.pid, signal.SIGKILL)
    doomed_stack.up.wait()
    wait_for(lambda: not doomed_stack.processes(), what="every process of it to be gone")
    doomed_stack.log_file.unlink()
    doomed_stack.start("--no-demo")
    assert doomed_stack.get("/healthz")[0] == 200


def _up():
    return LiveStack.command("up")


def _pid_or_none(stack, name):
    try:
        return stack.pid(name)
    except FileNotFoundError:
        return None
