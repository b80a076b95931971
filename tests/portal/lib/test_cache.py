"""The cache, with its real Valkey and without."""

import logging

import pytest
from django.conf import settings as site
from django.core.cache import caches

from portal.lib import cache as module
from portal.lib.cache import SteadyRedisCache

NOWHERE = "unix:///nowhere/valkey.sock"


@pytest.fixture(autouse=True)
def _nothing_known_of_servers():
    yield
    module._away_until.clear()


def cache_of(url):
    return SteadyRedisCache(url, {"KEY_PREFIX": "test-cache"})


@pytest.mark.parametrize("url", [site.REDIS_URL, NOWHERE], ids=["there", "away"])
def test_it_keeps_and_forgets(url):
    cache = cache_of(url)
    assert cache.get("a", "nothing") == "nothing"
    cache.set("a", 1, timeout=60)
    assert cache.add("a", 2) is False
    assert cache.add("b", 2, timeout=60) is True
    assert cache.incr("a") == 2
    assert cache.touch("a", 60)
    assert cache.get_many(["a", "b", "c"]) == {"a": 2, "b": 2}
    cache.set_many({"c": 3}, timeout=60)
    assert "c" in cache
    cache.delete("a")
    cache.delete_many(["b", "c"])
    assert cache.get("a") is None
    cache.set("d", 4)
    cache.delete("d")


def test_what_is_away_is_told_once_and_left_alone(caplog, monkeypatch):
    cache = cache_of(NOWHERE)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            cache.get("a")
    assert len(caplog.records) == 1
    monkeypatch.setattr(module, "AWAY_SECONDS", 0)
    module._away_until.clear()
    cache.set("kept", "here")
    monkeypatch.setattr(cache, "_servers", [site.REDIS_URL])
    cache.__dict__.pop("_cache", None)
    assert cache.get("kept") is None, "it answers again: all processes have one cache"
    assert module._away_until[NOWHERE] == 0


@pytest.mark.django_db
def test_people_log_in_while_redis_is_away(client, provider, settings):
    settings.CACHES = {"default": {"BACKEND": "portal.lib.cache.SteadyRedisCache", "LOCATION": NOWHERE}}
    caches["default"] = caches.create_connection("default")
    try:
        page = client.get("/accounts/login/")
        assert page.status_code == 200
        sent = {"login": provider.email, "password": "wrong"}
        assert "do not belong together" in client.post("/accounts/login/", sent).content.decode()
        answer = client.post("/accounts/login/", sent | {"password": "correct horse battery staple"})
        assert (answer.status_code, answer["Location"]) == (302, "/dashboard/")
        assert client.get("/dashboard/").status_code == 200
    finally:
        del caches["default"]
