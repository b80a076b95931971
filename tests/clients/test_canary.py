"""Nothing secret in a dump: secrets are searched for where an operator, a backup or a thief would find them."""

import base64
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import redis

from tests.clients.conftest import Access
from tests.live_stack import LiveStack
from tests.waiting import wait_for

# A dump of a key is compressed: values are read as what they are.
READ: dict[str, Callable[[redis.Redis, bytes], object]] = {
    "string": lambda client, key: client.get(key),
    "hash": lambda client, key: client.hgetall(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1),
    "stream": lambda client, key: client.xrange(key),
    "none": lambda client, key: None,  # it went away meanwhile
}


def test_no_secret_lies_about(live_stack: LiveStack, access: Access):
    canary = f"canary-{secrets.token_hex(24)}"
    token = _token(access)
    with httpx.Client(base_url=access.endpoint, headers={"Authorization": f"Bearer {token}"}) as client:
        started = client.post("/", json={"data": {"do": "hold"}, "$secrets": {"apiKey": canary}})
        assert started.status_code == 201, started.text
        place = f"/{started.json()['id']}"
        wait_for(lambda: "holding" in client.get(f"{place}/log").text, what="the code to have its secret", seconds=60)
        kept = (canary, access.variable)
        while_it_runs = [found for one in kept for found in (*_traces(live_stack, one), *_command_lines(one))]
        assert f"the provider's own: {'*' * len(access.variable)}" in client.get(f"{place}/log").text
        client.put(f"{place}/cancel")
        wait_for(lambda: client.get(place).json()["status"] == "CANCELLED", what="the end", seconds=30)
        assert while_it_runs == []
        assert client.get(f"{place}/log").status_code == 200
    for one in kept:
        assert list(_traces(live_stack, one)) == []
        assert list(_files(live_stack.home, one)) == []
    assert list(_traces(live_stack, token)) == []
    assert list(_traces(live_stack, access.secret)) == []


def _token(access: Access) -> str:
    answer = httpx.post(
        access.token_endpoint, data={"grant_type": "client_credentials"}, auth=(access.key, access.secret)
    )
    return str(answer.json()["access_token"])


def _forms(secret: str) -> list[bytes]:
    """How ``secret`` may be written: as it is, in hexadecimal, and in base64 at each of three alignments."""
    text = secret.encode()
    shifted = [base64.b64encode(b"\0" * shift + text)[4:-4] for shift in range(3)]
    return [text, text.hex().encode(), *shifted]


def _traces(stack: LiveStack, secret: str) -> Iterator[str]:
    """Where ``secret`` is in the database, its journal, the broker with its journal, or a log of the instance."""
    for pattern in ("mercato.sqlite3*", "valkey/**/*", "**/*.log", "mail/*"):
        for file in stack.home.glob(pattern):
            yield from _found_in(file, secret)
    with redis.Redis(unix_socket_path=str(stack.run_dir / "valkey.sock")) as client:
        for key in client.scan_iter("*"):
            content = repr((key, READ[client.type(key).decode()](client, key))).encode()
            if any(form in content for form in _forms(secret)):
                yield f"the key {key!r} of the broker"


def _files(folder: Path, secret: str) -> Iterator[str]:
    for file in folder.rglob("*"):
        yield from _found_in(file, secret)


def _found_in(file: Path, secret: str) -> Iterator[str]:
    try:
        content = file.read_bytes() if file.is_file() and not file.is_symlink() else b""
    except OSError:  # it went away meanwhile
        return
    if any(form in content for form in _forms(secret)):
        yield str(file)


def _command_lines(secret: str) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if secret.encode() in process.read_bytes():
                yield str(process)
        except OSError:
            continue
