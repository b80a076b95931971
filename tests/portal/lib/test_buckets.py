"""Rate limits, against the real Valkey and without it."""

import socket
import threading
import time
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import RequestFactory

from portal.lib import buckets
from portal.lib.buckets import Bucket, client_address, take


@pytest.fixture(params=["with Valkey", "without"])
def anywhere(request, settings, tmp_path):
    """Either way of counting."""
    if request.param == "without":
        settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock?db=0"


def fresh(per_minute: int, cost: int = 1) -> Bucket:
    return Bucket(f"test:{uuid4()}", per_minute, cost)


@pytest.mark.usefixtures("anywhere")
def test_a_bucket_gives_what_it_holds_and_says_how_long_to_wait():
    bucket = fresh(3)
    assert [take(bucket) for _ in range(3)] == [0, 0, 0]
    assert 15 < take(bucket) <= 20  # one in 20 s


@pytest.mark.usefixtures("anywhere")
def test_a_bucket_fills_up_again():
    bucket = fresh(600)
    while not (wait := take(bucket)):
        pass
    assert 0 < wait <= 0.1
    time.sleep(wait)
    assert take(bucket) == 0


@pytest.mark.usefixtures("anywhere")
def test_it_takes_from_all_or_from_none():
    full, empty = fresh(2), fresh(1)
    assert take(empty) == 0
    assert take(full, empty) > 0
    assert [take(full), take(full)] == [0, 0]


@pytest.mark.usefixtures("anywhere")
def test_a_look_takes_nothing_and_sees_an_empty_bucket():
    bucket = fresh(1)
    look = Bucket(bucket.name, bucket.per_minute, cost=0)
    assert [take(look), take(look), take(bucket)] == [0, 0, 0]
    assert take(look) > 0


def test_zero_means_no_limit(settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock?db=0"
    assert all(take(fresh(0)) == 0 for _ in range(1000))


def test_processes_share_their_buckets_and_full_ones_leave_nothing_behind(valkey):
    bucket = fresh(2)
    assert take(bucket) == 0
    another = buckets._Store(settings.REDIS_URL)
    assert another.take([bucket]) == 0
    assert take(bucket) > 0
    assert 0 < valkey.pttl(f"bucket:{bucket.name}") <= 60_000


def test_threads_together_get_no_more_than_one_would():
    bucket, given = fresh(20), []

    def ask() -> None:
        given.extend(take(bucket) == 0 for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(given) in (20, 21)  # a third of a second gives no more than one back


def test_a_server_that_hangs_costs_a_moment_once(settings, tmp_path):
    path = tmp_path / "hangs.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        settings.REDIS_URL = f"unix://{path}?db=0"
        bucket = fresh(2)
        began = time.monotonic()
        assert [take(bucket), take(bucket)] == [0, 0]
        assert take(bucket) > 0
        assert time.monotonic() - began < 2


def test_what_a_process_counts_alone_is_bounded(monkeypatch):
    monkeypatch.setattr(buckets, "LOCAL_BUCKETS_MAX", 10)
    local = buckets._Local()
    kept = fresh(1)
    for _ in range(50):
        local.take([fresh(5)])
    local.take([kept])
    assert len(local._kept) == 10
    assert local.take([kept]) > 0


@pytest.mark.parametrize(
    ("proxies", "forwarded", "remote", "address"),
    [
        (0, "", "192.0.2.1", "192.0.2.1"),
        (0, "203.0.113.9", "192.0.2.1", "192.0.2.1"),  # nobody may choose their own address
        (1, "203.0.113.9", "192.0.2.1", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "192.0.2.1", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9, 10.0.0.1", "192.0.2.1", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1", "192.0.2.1"),  # passed a proxy by
        (1, "", "192.0.2.1", "unknown"),
        (1, "203.0.113.9:4711", "192.0.2.1", "203.0.113.9"),
        (1, "[2001:db8:1:2:3::4]:4711", "192.0.2.1", "2001:db8:1:2::/64"),
        (0, "", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        (0, "", "::ffff:192.0.2.1", "192.0.2.1"),
        (0, "", "", "unknown"),
        (1, "nonsense\0", "192.0.2.1", "unknown"),
    ],
)
def test_the_address_of_a_client(settings, proxies, forwarded, remote, address):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == address
