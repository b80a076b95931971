import pytest
from django.core.files.storage import default_storage
from django.urls import reverse

from services import runtimes


@pytest.fixture
def readyz(client, db):
    return lambda: client.get(reverse("readyz"))


def test_healthz_says_that_the_process_lives_and_asks_nobody(client, settings):
    settings.REDIS_URL = "unix:///nowhere.sock"
    response = client.get(reverse("healthz"))
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert "no-cache" in response["Cache-Control"]


def test_readyz_names_every_part(readyz):
    parts = readyz().json()["parts"]
    assert list(parts) == ["database", "broker", "storage", "runtime", "containers", "disk"]
    assert all(parts[name].startswith("ok") for name in ("database", "broker", "storage", "disk"))


def test_readyz_says_how_this_host_runs_jobs(readyz):
    runtime, response = runtimes.get("python"), readyz()
    if reason := runtime.unavailable():
        assert (response.status_code, response.json()["parts"]["runtime"]) == (503, reason)
    else:
        assert (response.status_code, response.json()["status"]) == (200, "ready")
        assert response.json()["parts"]["runtime"] == f"ok: limits by {runtime.tier()}"


def test_readyz_says_why_containers_do_not_run_here_and_is_ready_all_the_same(readyz, settings):
    settings.CONTAINERS = "off"
    response = readyz()
    assert "CONTAINERS=off" in response.json()["parts"]["containers"]
    assert response.json()["parts"]["containers"].startswith("ok: not here")


def test_a_broker_that_does_not_answer_is_named_with_what_to_do(readyz, settings):
    settings.REDIS_URL = "unix:///nowhere.sock"
    response = readyz()
    assert response.status_code == 503
    assert response.json()["status"] == "not ready"
    assert "start Valkey or Redis" in response.json()["parts"]["broker"]


def test_a_broker_that_forgets_when_memory_is_short_is_refused(readyz, valkey):
    valkey.config_set("maxmemory", "100mb")
    valkey.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert "set it to noeviction" in readyz().json()["parts"]["broker"]
    finally:
        valkey.config_set("maxmemory-policy", "noeviction")
        valkey.config_set("maxmemory", "0")


def test_storage_that_cannot_be_written_is_named_without_its_path(readyz, settings, tmp_path):
    (tmp_path / "file").touch()
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "file"},
        }
    }
    response = readyz()
    assert response.status_code == 503
    assert str(tmp_path) not in response.content.decode()
    assert "log of the server" in response.json()["parts"]["storage"]


def test_asking_leaves_nothing_in_storage(readyz):
    readyz()
    assert not default_storage.exists("health") or default_storage.listdir("health") == ([], [])


def test_a_disk_that_is_nearly_full_is_named(readyz, settings):
    settings.DISK_FREE_MIN_MIB = 10**9
    response = readyz()
    assert response.status_code == 503
    assert "of DISK_FREE_MIN_MIB" in response.json()["parts"]["disk"]
