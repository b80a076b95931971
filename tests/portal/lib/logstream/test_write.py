"""A writer loses nothing and doubles nothing, whoever dies: itself, its predecessor or the broker."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as BrokerAway

from portal.lib.logstream import LogEnded, LogRewound, LogWriter
from tests.portal.lib.logstream.conftest import Broker, LogName, content, whole
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[4]

# Writes lines of its spool file to the log, as the supervisor of a job does, from where the log ends.
SUPERVISOR = """
import sys, django
django.setup()
from portal.lib.logstream import LogWriter
spool, log_id, read_bytes = open(sys.argv[1], "rb"), sys.argv[2], int(sys.argv[3])
writer = LogWriter("job", log_id, 1)
spool.seek(writer.offsets()["out"])
while data := spool.read(read_bytes):
    writer.write("out", data)
    print(writer.offsets()["out"], flush=True)
writer.close()
"""


@hypothesis_settings(max_examples=30, deadline=None)
@given(
    st.binary(max_size=300).map(lambda data: data.replace(b"\x07", b"\n")),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
    st.integers(0, 60),
)
def test_a_successor_goes_on_where_the_stream_ends(data: bytes, sizes: list[int], overlap: int) -> None:
    log = ("job", str(uuid4()), 1)
    begin = 0
    while begin < len(data):
        for size in sizes:
            writer = LogWriter(*log)
            assert writer.offsets() == {"out": begin, "err": 0, "system": 0}
            # It offers some again that the log has, as one does whose notes are older than the log.
            offered = max(0, begin - overlap)
            writer.write("out", data[offered : begin + size], offset=offered)
            begin = min(len(data), begin + size)
    assert content(whole(log), "out") == data


def test_lines_are_numbered_across_writers(log: LogName) -> None:
    LogWriter(*log).write("out", b"one\ntwo\nthr")
    LogWriter(*log).write("err", b"four\n")
    LogWriter(*log).write("out", b"ee\nfive\n")
    assert [(entry.channel, entry.line, entry.data) for entry in whole(log)] == [
        ("out", 1, b"one\ntwo\nthr"),
        ("err", 4, b"four\n"),
        ("out", 3, b"ee\n"),
        ("out", 5, b"five\n"),
    ]


def test_a_write_without_offset_goes_on_after_the_last_one(log: LogName) -> None:
    writer = LogWriter(*log)
    for part in (b"a", b"", b"b\n", b"c"):
        writer.write("out", part)
    assert writer.offsets()["out"] == 4
    assert content(whole(log), "out") == b"ab\nc"


def test_two_writers_at_once_lose_and_double_nothing(log: LogName) -> None:
    """A supervisor that should be dead and its successor: both know the byte that they write."""
    old, new = LogWriter(*log), LogWriter(*log)
    old.write("out", b"0123", offset=0)
    new.write("out", b"012345", offset=0)
    old.write("out", b"4567", offset=4)
    new.write("out", b"6789", offset=6)
    assert content(whole(log), "out") == b"0123456789"


def test_what_is_ahead_of_the_log_is_refused(log: LogName) -> None:
    writer = LogWriter(*log)
    with pytest.raises(LogRewound, match="0 bytes of out"):
        writer.write("out", b"later", offset=5)


def test_a_log_that_the_broker_forgot_behind_its_end_can_be_written_again(log: LogName, broker: Broker) -> None:
    writer = LogWriter(*log)
    writer.write("out", b"all\n")
    writer.close(status="SUCCEEDED")
    broker.forget()
    assert writer.offsets()["out"] == 0
    writer.write("out", b"all\n", offset=0)
    writer.close(status="SUCCEEDED")
    assert content(whole(log), "out") == b"all\n"
    assert [(entry.event, entry.data) for entry in whole(log)[1:]] == [
        ("status", b'{"status":"SUCCEEDED"}'),
        ("end", b"{}"),
    ]


def test_a_log_whose_lines_the_broker_forgot_is_not_ended_without_them(log: LogName, broker: Broker) -> None:
    writer = LogWriter(*log)
    writer.write("out", b"all\n")
    broker.forget()
    writer.event("status", status="SUCCEEDED")
    with pytest.raises(LogRewound, match="is no end"):
        writer.close()
    assert writer.offsets()["out"] == 0
    writer.write("out", b"all\n", offset=0)
    writer.close()
    assert content(whole(log), "out") == b"all\n"


def test_an_unknown_channel_is_refused(log: LogName) -> None:
    with pytest.raises(ValueError, match="'stdout' is no channel"):
        LogWriter(*log).write("stdout", b"x")


def test_events_are_told_between_the_lines(log: LogName) -> None:
    writer = LogWriter(*log)
    writer.event("status", status="RUNNING")
    writer.write("out", b"hello\n")
    writer.close()
    assert [(entry.event, entry.data) for entry in whole(log)] == [
        ("status", b'{"status":"RUNNING"}'),
        ("", b"hello\n"),
        ("end", b"{}"),
    ]


def test_after_the_end_comes_nothing(log: LogName) -> None:
    writer = LogWriter(*log)
    writer.write("out", b"all\n")
    writer.close()
    for late in (writer, LogWriter(*log)):
        late.close()
        late.event("status", status="SUCCEEDED")
        late.write("out", b"all\n", offset=0)
        with pytest.raises(LogEnded):
            late.write("out", b"more\n")
    assert [entry.event for entry in whole(log)] == ["", "end"]


def test_a_log_over_its_cap_keeps_head_and_tail_and_says_what_is_missing(log: LogName, settings: Settings) -> None:
    settings.LOG_MAX_BYTES = 64 * 1024
    lines = [b"%06d %s\n" % (number, b"x" * 90) for number in range(1, 5_001)]
    for begin in range(0, len(lines), 50):
        writer = LogWriter(*log)  # a successor has to find out how far the trimming is
        for some in range(begin, begin + 50, 10):
            writer.write("out", b"".join(lines[some : some + 10]))
    writer.close()

    entries = whole(log)
    [gap] = [entry for entry in entries if entry.event == "gap"]
    at = entries.index(gap)
    head, tail = content(entries[:at], "out"), content(entries[at:], "out")
    data = b"".join(lines)
    assert data.startswith(head)
    assert data.endswith(tail)
    assert gap.values() == {"bytes": len(data) - len(head) - len(tail), "lines": 5000 - (head + tail).count(b"\n")}
    assert settings.LOG_MAX_BYTES * 0.8 < len(head) + len(tail) <= settings.LOG_MAX_BYTES
    assert min(len(head), len(tail)) > settings.LOG_MAX_BYTES * 0.4
    assert entries[at + 1].line == head.count(b"\n") + gap.values()["lines"] + 1
    # Whoever goes on behind the gap sees no second one.
    assert [entry.id for entry in whole(log, after=gap.id)] == [entry.id for entry in entries[at + 1 :]]


def test_very_many_small_entries_are_capped_too(log: LogName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.lib.logstream.write.ENTRIES_MAX", 64)
    writer = LogWriter(*log)
    for number in range(300):
        writer.write("out", b"%d\n" % number)
    entries = whole(log)
    assert 48 < len(entries) <= 65
    assert [entry.event for entry in entries].count("gap") == 1
    assert entries[0].data == b"0\n"
    assert entries[-1].data == b"299\n"


def test_what_the_broker_did_not_take_is_offered_again(broker: Broker, log: LogName) -> None:
    writer = LogWriter(*log)
    writer.write("out", b"before\n")
    broker.kill()
    with pytest.raises(BrokerAway):
        writer.write("out", b"during\n")
    with pytest.raises(BrokerAway):
        writer.offsets()
    with pytest.raises(BrokerAway):
        writer.event("status", status="RUNNING")
    broker.start()
    writer.write("out", b"during\n")
    writer.write("out", b"after\n")
    assert writer.offsets()["out"] == len(b"before\nduring\nafter\n")
    writer.close()
    assert content(whole(log), "out") == b"before\nduring\nafter\n"


@pytest.mark.parametrize("by_offset", [True, False])
def test_an_answer_that_got_lost_doubles_nothing(
    log: LogName, monkeypatch: pytest.MonkeyPatch, by_offset: bool
) -> None:
    """The broker took it, and the connection broke before it could say so."""
    writer = LogWriter(*log)
    append = writer._stream.append

    def take_and_break(*given: object) -> bool:
        append(*given)
        monkeypatch.setattr(writer._stream, "append", append)
        raise BrokerAway("Connection reset by peer")

    for attempt in range(2):
        monkeypatch.setattr(writer._stream, "append", take_and_break)
        with pytest.raises(BrokerAway):
            writer.write("out", b"line\n", offset=attempt * 5 if by_offset else None)
        writer.write("out", b"line\n", offset=attempt * 5 if by_offset else None)
        monkeypatch.setattr(writer._stream, "append", take_and_break)
        with pytest.raises(BrokerAway):
            writer.event("status", status="RUNNING")
        writer.event("status", status="RUNNING")
    assert [(entry.event, entry.data) for entry in whole(log)] == [
        ("", b"line\n"),
        ("status", b'{"status":"RUNNING"}'),
    ] * 2


def test_a_broker_that_forgot_gets_it_all_again(broker: Broker, log: LogName) -> None:
    data = b"one\ntwo\nthree\n"
    writer = LogWriter(*log)
    writer.write("out", data[:8])
    broker.forget()
    with pytest.raises(LogRewound):
        writer.write("out", data[8:])
    offset = writer.offsets()["out"]
    assert offset == 0
    writer.write("out", data[offset:])
    assert content(whole(log), "out") == data


def test_a_refusal_for_lack_of_memory_is_a_broker_that_is_away(broker: Broker, log: LogName) -> None:
    import redis  # noqa: PLC0415

    writer = LogWriter(*log)
    writer.write("out", b"before\n")
    with redis.Redis.from_url(broker.url) as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(BrokerAway, match="maxmemory"):
            writer.write("out", b"during\n")
        client.config_set("maxmemory", "0")
    writer.write("out", b"during\n")
    assert content(whole(log), "out") == b"before\nduring\n"


def test_a_writer_killed_in_the_middle_is_continued(broker: Broker, log: LogName, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    data = b"".join(b"line %06d \xf0\x9f\x98\x80\n" % number for number in range(20_000))
    spool.write_bytes(data)
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings", "REDIS_URL": broker.url}
    command = [sys.executable, "-c", SUPERVISOR, str(spool), log[1], "777"]
    for lines in (50, 200, None):
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if lines is None:
                process.communicate()
                assert process.returncode == 0
            else:
                for _ in range(lines):
                    process.stdout.readline()
                process.send_signal(signal.SIGKILL)
    entries = whole(log)
    assert content(entries, "out") == data
    assert [entry.event for entry in entries if entry.event] == ["end"]


def test_a_broker_killed_in_the_middle_keeps_what_it_took(broker: Broker, log: LogName) -> None:
    data = b"".join(b"line %06d\n" % number for number in range(5_000))
    writer = LogWriter(*log)
    offset, kills = 0, 0
    while offset < len(data):
        if offset > (kills + 1) * len(data) // 3:
            kills += 1
            broker.kill()
            with pytest.raises(BrokerAway):
                writer.write("out", data[offset : offset + 700])
            broker.start()
            assert writer.offsets()["out"] == offset  # it was acknowledged, so it is there
        writer.write("out", data[offset : offset + 700])
        offset += len(data[offset : offset + 700])
    assert kills == 2
    assert content(whole(log), "out") == data


def test_threads_may_share_a_writer(log: LogName) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    writer = LogWriter(*log)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: writer.write("out", b"%04d\n" % number), range(400)))
    lines = content(whole(log), "out").splitlines()
    assert sorted(lines) == [b"%04d" % number for number in range(400)]
    wait_for(lambda: writer.offsets()["out"] == 2000, what="all bytes")
