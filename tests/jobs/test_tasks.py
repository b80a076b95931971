"""What the tick does where the database does not answer."""

import logging

import pytest
from django.db import OperationalError, connection

from jobs import tasks


@pytest.mark.django_db
def test_a_tick_outlives_a_database_that_is_away(caplog):
    def away(execute, sql, params, many, context):
        raise OperationalError("the database restarts")

    with caplog.at_level(logging.WARNING), connection.execute_wrapper(away):
        tasks.tick()
    assert "waits for the database: the database restarts" in caplog.text


def test_after_a_pause_the_watch_is_new_to_it(monkeypatch, settings):
    times = iter((0.0, 2.0, 10.0, 40.0, 42.0, 55.0))
    monkeypatch.setattr(tasks.time, "monotonic", lambda: next(times))
    settings.LEASE_SECONDS = 30
    steadiness = tasks.Steadiness()
    assert [steadiness.beat() for _ in range(5)] == [2.0, 10.0, 0.0, 2.0, 15.0]
