"""The watch over a container, when those who watch die."""

import contextlib
import time
from pathlib import Path

import pytest

from services.runtimes.docker import execution as executions
from services.runtimes.docker import images, watcher
from tests.engine import end
from tests.services.runtimes.conftest import finish, read, wait_for_output
from tests.waiting import wait_for

COUNT = "n=0; while [ $n -lt {} ]; do echo line $n; n=$((n + 1)); sleep 0.01; done"


def lines(count):
    return "".join(f"line {number}\n" for number in range(count))


def watchers_of(folder):
    """The processes that watch ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def test_no_line_is_lost_or_doubled_when_the_watcher_dies(bench, shell):
    execution = bench.start(shell(COUNT.format(150)))
    for number in (10, 60):
        wait_for_output(execution, b"line %d\n" % number)
        for pid in watchers_of(execution.folder):
            end(pid)
    finish(execution)
    assert read(execution, "out").decode() == lines(150)
    assert execution.outcome().reason == ""


def test_one_watcher_is_enough(bench, shell):
    execution = bench.start(shell("sleep 60"))
    other = bench.runtime.attach(bench.slot)
    assert not execution.ended()
    assert not other.ended()
    assert executions.send_watcher(execution.folder) is None
    wait_for(lambda: len(watchers_of(execution.folder)) == 1, what="one watcher")


def test_the_time_limit_holds_though_worker_and_watcher_died(bench, shell):
    execution = bench.start(shell("echo up; sleep 600"), wall_seconds=2)
    wait_for_output(execution, b"up")
    for pid in watchers_of(execution.folder):
        end(pid)
    successor = bench.runtime.attach(bench.slot)
    finish(successor)
    assert successor.outcome().reason == "timeout"
    assert 2 <= successor.outcome().usage.wall_seconds < 12


def test_a_restart_of_the_engine_costs_no_job_and_no_line(bench, shell, engine):
    execution = bench.start(shell(COUNT.format(200)))
    wait_for_output(execution, b"line 5\n")
    engine.stop()
    engine.start()
    finish(execution)
    assert read(execution, "out").decode() == lines(200)
    assert execution.outcome().reason == ""


def test_a_kill_reaches_it_while_the_engine_is_away(bench, shell, engine):
    execution = bench.start(shell("echo up; sleep 600"))
    wait_for_output(execution, b"up")
    wait_for(lambda: "pid" in executions.read_record(execution.folder), what="the pid")
    pid = executions.read_record(execution.folder)["pid"]
    engine.stop()
    try:
        began = time.monotonic()
        execution._kill_once()
        wait_for(lambda: watcher.started_ticks(pid) == -1, what="its end")
        assert time.monotonic() - began < 5
    finally:
        engine.start()
    finish(execution)
    assert execution.outcome().reason == "lost"


def test_a_start_that_was_cut_off_is_cleared(bench, shell, engine):
    environment = shell("echo never")
    run = bench.slot.folder / "run-cutoff"
    run.mkdir()
    (run / "output").mkdir()
    for name in ("out", "err"):
        (run / name).touch()
    record = executions.new_record(bench.job(environment), slot=bench.slot, run=run, group={})
    executions.write_record(run, record | {"output_is_mount": False})
    engine.client.create_container_from_config(
        {"Image": images.reference(environment), "HostConfig": {"NetworkMode": "none"}}, record["name"]
    )
    found = bench.runtime.attach(bench.slot)
    finish(found)
    outcome = found.outcome()
    assert (outcome.reason, outcome.was_started, read(found, "out")) == ("lost", False, b"")
    assert "could not be started" in outcome.detail
    found.discard()
    assert bench.slot.runs() == []
    # The watcher may be removing it too, and an engine that is busy takes a moment for that.
    wait_for(lambda: not [name for name in engine.containers() if record["name"] in name], what="its removal")


def test_containers_of_dead_instances_are_removed_and_others_are_left(bench, shell, engine, monkeypatch):
    execution = bench.start(shell("sleep 600"))
    body = {"Image": images.reference(shell("sleep 600")), "HostConfig": {"NetworkMode": "none"}}
    labels = engine.client.inspect_container(execution.record["name"])["Config"]["Labels"]
    engine.client.create_container_from_config(body | {"Labels": labels | {"mercato.run": "run-gone"}}, "orphan")
    engine.client.create_container_from_config(
        body | {"Labels": labels | {"mercato.run": "run-gone", "mercato.instance": "another"}}, "foreign"
    )
    monkeypatch.setattr("services.runtimes.docker.containers.ORPHAN_SECONDS", -1)
    bench.runtime.tidy(keep=set())
    assert sorted(engine.containers()) == sorted([f"/{execution.record['name']}", "/foreign"])
    engine.client.remove_container("foreign", force=True)


@pytest.mark.parametrize("moment", ["2026-11-21T15:29:39.353352986Z", "2026-11-21T15:29:39.353353+00:00"])
def test_moments_are_read_as_engines_write_them(moment):
    assert watcher._seconds(moment) == pytest.approx(1795274979.353353)
    assert watcher._seconds("0001-01-01T00:00:00Z") == 0.0
