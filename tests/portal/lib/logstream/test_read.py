"""Readers get every entry once, whenever they come and whatever happens meanwhile."""

import threading
from collections.abc import Callable, Iterator
from queue import Queue

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as BrokerAway

from portal.lib import logstream
from portal.lib.logstream import Entry, LogWriter, archive, read
from portal.lib.logstream.stream import closing
from tests.portal.lib.logstream.conftest import Broker, LogName, content, whole
from tests.waiting import wait_for


@pytest.fixture
def follow() -> Iterator[Callable[..., "Queue[Entry | None]"]]:
    """Follow a log in a thread; gives the queue of what it reads, whose last item is the string ``over``."""
    threads = []

    def begin(log: LogName, after: str = "") -> "Queue[Entry | None]":
        queue: Queue[Entry | None] = Queue()

        def run() -> None:
            for entry in read(*log, after=after, block_seconds=0.2):
                queue.put(entry)
            queue.put("over")  # type: ignore[arg-type]

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return queue

    yield begin
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()


def everything(queue: "Queue[Entry | None]") -> list[Entry]:
    """All entries up to the end of the reader."""
    entries = []
    while (item := queue.get(timeout=30)) != "over":
        if item is not None:
            entries.append(item)
    return entries


def test_a_follower_gets_what_comes_and_ends_with_the_log(log: LogName, follow: Callable[..., Queue]) -> None:
    queue = follow(log)
    writer = LogWriter(*log)
    for number in range(50):
        writer.write("out", b"%d\n" % number)
    writer.close()
    assert [entry.id for entry in everything(queue)] == [entry.id for entry in whole(log)]


def test_a_late_follower_gets_what_came_before(log: LogName, follow: Callable[..., Queue]) -> None:
    writer = LogWriter(*log)
    writer.write("out", b"early\n")
    queue = follow(log)
    assert queue.get(timeout=30).data == b"early\n"
    writer.write("err", b"late\n")
    writer.close()
    assert [entry.data for entry in everything(queue)] == [b"late\n", b"{}"]


def test_a_follower_of_a_silent_log_hears_that_nothing_came(log: LogName, follow: Callable[..., Queue]) -> None:
    queue = follow(log)
    assert queue.get(timeout=30) is None
    LogWriter(*log).close()
    assert [entry.event for entry in everything(queue)] == ["end"]


def test_every_id_is_a_place_to_go_on_from(log: LogName, expire: Callable[[LogName], None]) -> None:
    writer = LogWriter(*log)
    for number in range(5):
        writer.write("out", b"%d\n" % number)
        writer.event("status", status=str(number))
    writer.close()
    entries = whole(log)

    def check() -> None:
        for count, entry in enumerate(entries, 1):
            assert whole(log, after=entry.id) == entries[count:]
            # Whoever has it all ends, and does not wait for more.
            assert list(read(*log, after=entry.id, block_seconds=60)) == entries[count:]

    check()
    archive(*log)
    check()
    expire(log)
    check()


@hypothesis_settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["out", "err"]), st.binary(min_size=1, max_size=40)), max_size=12), st.data())
def test_reading_in_parts_is_reading_at_once(written: list[tuple[str, bytes]], data: st.DataObject) -> None:
    from uuid import uuid4  # noqa: PLC0415

    log = ("job", str(uuid4()), 1)
    writer = LogWriter(*log)
    for channel, chunk in written:
        writer.write(channel, chunk)
    entries = whole(log)
    got: list[Entry] = []
    while len(got) < len(entries):
        for entry in read(*log, after=got[-1].id if got else ""):
            assert entry is not None
            got.append(entry)
            if data.draw(st.booleans()):
                break
    assert got == entries
    for name in ("out", "err"):
        assert content(entries, name) == b"".join(chunk for channel, chunk in written if channel == name)


def test_a_log_that_nobody_began_is_empty(log: LogName) -> None:
    assert whole(log) == []
    assert not logstream.exists(*log)
    assert list(logstream.text(*log)) == []


def test_a_follower_survives_the_broker(broker: Broker, log: LogName, follow: Callable[..., Queue]) -> None:
    writer = LogWriter(*log)
    writer.write("out", b"before\n")
    queue = follow(log)
    assert queue.get(timeout=30).data == b"before\n"
    broker.kill()
    assert queue.get(timeout=30) is None
    broker.start()
    writer = LogWriter(*log)
    writer.write("out", b"after\n")
    writer.close()
    assert [entry.data for entry in everything(queue)] == [b"after\n", b"{}"]


def test_an_archived_log_is_read_without_a_broker(broker: Broker, log: LogName) -> None:
    writer = LogWriter(*log)
    writer.write("out", b"kept\n")
    writer.close()
    entries = whole(log)
    archive(*log)
    broker.kill()
    assert whole(log) == entries
    assert [entry for entry in read(*log, block_seconds=5) if entry] == entries
    with pytest.raises(BrokerAway):
        whole(("job", "another", 1))


def test_a_follower_drains_the_stream_and_goes_on_in_the_archive(
    log: LogName, expire: Callable[[LogName], None]
) -> None:
    writer = LogWriter(*log)
    for number in range(200):
        writer.write("out", b"%d\n" % number)
    writer.close()
    entries = whole(log)
    reader = read(*log, block_seconds=1)
    begin = [next(reader) for _ in range(3)]
    archive(*log)
    expire(log)
    assert begin + [entry for entry in reader if entry] == entries


def test_readers_end_when_the_process_ends(broker: Broker, log: LogName) -> None:
    done = []

    def run() -> None:
        done.append([entry for entry in read(*log, block_seconds=10) if entry])

    readers = [threading.Thread(target=run) for _ in range(5)]
    LogWriter(*log).write("out", b"begun\n")
    for reader in readers:
        reader.start()
    import redis  # noqa: PLC0415

    with redis.Redis.from_url(broker.url) as client:
        wait_for(lambda: client.info("clients")["blocked_clients"] == 5, what="readers that wait")
    try:
        logstream.close_readers()
        for reader in readers:
            reader.join(timeout=5)
        assert [[entry.data for entry in entries] for entries in done] == [[b"begun\n"]] * 5
    finally:
        closing.clear()


def test_text_has_all_channels_and_says_where_something_is_missing(log: LogName, settings: Settings) -> None:
    settings.LOG_MAX_BYTES = 2_000
    writer = LogWriter(*log)
    writer.write("system", b"Starting\n")
    writer.event("status", status="RUNNING")
    writer.write("err", b"no newline")
    for number in range(100):
        writer.write("out", b"%03d %s\n" % (number, b"." * 60))
    writer.close()
    lines = b"".join(logstream.text(*log)).decode().splitlines()
    assert lines[:2] == ["Starting", "no newline000 " + "." * 60]
    assert lines[-1].startswith("099 ")
    [note] = [line for line in lines if line.startswith("[")]
    assert note.endswith("lines, were left out here]")


def test_an_entry_is_found_by_its_id(log: LogName, expire: Callable[[LogName], None]) -> None:
    writer = LogWriter(*log)
    for number in range(5):
        writer.write("out", b"%d\n" % number)
    writer.close()
    entries = whole(log)
    assert [logstream.entry_at(*log, entry.id) for entry in entries] == entries
    archive(*log)
    expire(log)
    assert [logstream.entry_at(*log, entry.id) for entry in entries] == entries
    assert logstream.entry_at(*log, "1-1") is None
    assert logstream.entry_at(*log, "") is None
