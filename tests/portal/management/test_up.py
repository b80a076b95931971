"""`manage.py up` from outside: real processes, real signals."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request

import pytest

from tests.live_stack import LiveStack, free_port
from tests.waiting import wait_for

CHILDREN = ("valkey", "web", "work", "system")


@pytest.fixture(scope="module")
def _stack():
    stack = LiveStack(from_nothing=True)
    yield stack
    stack.remove()


@pytest.fixture
def stack(_stack):
    """An instance without the demo that runs, made from nothing, which tests may hurt or end."""
    if _stack.up is None or _stack.up.poll() is not None:
        _stack.start("--no-demo")
    return _stack


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


def test_a_broker_whose_folder_was_removed_starts_with_an_empty_one(stack):
    before = stack.pid("valkey")
    shutil.rmtree(stack.home / "valkey")
    stack.kill("valkey")
    wait_for(lambda: (stack.home / "valkey" / "appendonlydir").exists(), what="the folder")
    wait_for(lambda: _pid_or_none(stack, "valkey") not in (None, before), what="the broker")
    assert (stack.home / "valkey").stat().st_mode & 0o077 == 0
    wait_for(stack.answers, what="the web server")


def test_what_dies_at_once_is_started_less_and_less_often(tmp_path):
    # A Valkey that cannot start: its append-only file is damaged in the middle.
    stack = LiveStack()
    stack.prepare_home()
    folder = stack.home / "valkey" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("this is no manifest\n")
    stack.launch("--no-demo")
    wait_for(lambda: "it starts again in 0.8 s" in stack.log, what="the third attempt")
    assert "valkey.log" in stack.log
    assert stack.log.index("again in 0.2 s") < stack.log.index("again in 0.4 s") < stack.log.index("again in 0.8 s")
    stack.remove()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_everything(stack, number):
    assert stack.stop(number) == 0
    assert not stack.processes()
    assert not list(stack.run_dir.glob("*.pid"))


PROGRAM = """
import time

def run():
    for number in range(60):
        print("line", number)
        time.sleep(0.2)
    return "done"
"""
START_JOB = """
import json
from django.conf import settings
from django.test import Client
from jobs import submission
from jobs.inputs import Sent
from portal.accounts.actors import Actor
from portal.accounts.models import User
from services.models import Service
user = User.objects.get(email="slow@example.com")
version = Service.objects.get(slug="slow").runnable_version()
job = submission.submit(version=version, sent=Sent(), account=user.personal_account, by=Actor(user=user))
browser = Client()
browser.force_login(user)
cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
print(json.dumps({"job": f"/jobs/{job.pk}/", "cookie": cookie}))
"""


def test_a_running_job_and_its_live_log_hold_up_no_stop_and_go_on_after_it(stack, tmp_path):
    project = tmp_path / "slow"
    (project / "src").mkdir(parents=True)
    (project / "src" / "program.py").write_text(PROGRAM)
    (project / "requirements.txt").touch()
    person = "from portal.accounts.models import User; User.objects.create_user('slow@example.com')"
    stack.manage("shell", "--verbosity=0", "--command", person)
    stack.manage("import_service", str(project))
    job = json.loads(stack.manage("shell", "--verbosity=0", "--command", START_JOB))

    with open_stream(stack, job) as stream:
        seen = stream.readline()
        while b"line 3" not in seen:
            seen = stream.readline()
        assert stack.stop() == 0
        assert not stack.processes()
        stream.read()  # it ends, and does not hang

    stack.start("--no-demo")
    with open_stream(stack, job) as stream:  # ends when the job does
        events = stream.read().decode()
    printed = "".join(
        json.loads(data)["d"] for data in re.findall(r"event: chunk\ndata: (.*)", events) if '"out"' in data
    )
    assert printed == "".join(f"line {number}\n" for number in range(60))
    assert '"SUCCEEDED"' in events


def open_stream(stack, job):
    """The live log of a job, as the page reads it."""
    address = urllib.request.Request(f"{stack.url}{job['job']}log/stream", headers={"Cookie": job["cookie"]})
    return urllib.request.urlopen(address, timeout=60)


def test_when_up_is_killed_nothing_is_left_of_it_and_it_starts_again(stack):
    for name in CHILDREN:
        wait_for(lambda name=name: _pid_or_none(stack, name), what=name)
    os.kill(stack.up.pid, signal.SIGKILL)
    stack.up.wait()
    wait_for(lambda: not stack.processes(), what="every process of it to be gone")
    stack.start("--no-demo")
    assert stack.get("/healthz")[0] == 200


def _up():
    return LiveStack.command("up")


def _pid_or_none(stack, name):
    try:
        return stack.pid(name)
    except FileNotFoundError:
        return None
