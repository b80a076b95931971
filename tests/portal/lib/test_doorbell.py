"""Ringing, with a broker that takes nothing."""

import logging

import pytest

from portal.lib import doorbell


@pytest.fixture
def full(valkey):
    """The broker has no memory left, and forgets nothing."""
    valkey.config_set("maxmemory", 1)
    yield
    valkey.config_set("maxmemory", 0)


@pytest.mark.django_db(transaction=True)
def test_a_ring_that_a_full_broker_refuses_fails_nobody(full, caplog):
    with caplog.at_level(logging.WARNING):
        doorbell.ring("jobs.look")
    assert "jobs.look is rung again by the next tick" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_hangs_holds_up_one_and_not_each(valkey, monkeypatch, caplog):
    monkeypatch.setattr(doorbell, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(doorbell, "_left_alone_until", 0.0)
    valkey.config_set("maxmemory", 1)
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                doorbell.ring("jobs.look")
    finally:
        valkey.config_set("maxmemory", 0)
    assert len(caplog.records) == 1
