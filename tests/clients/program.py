"""The service that the real clients call: it does what `data` asks for."""

import hashlib
import os
import time
from pathlib import Path

OUTPUT = Path("/var/runtime/output")


def run(data, params):
    print("asked for", data.get("do"), flush=True)  # noqa: T201
    return {
        "sum": lambda: {"sum": sum(data["values"]), "rounded": params.get("round_off", False)},
        "list": lambda: [1, 2, 3],
        "files": _files,
        "fail": lambda: 1 / 0,
        "sleep": lambda: time.sleep(600),
        "hold": _hold,
        "tell": _tell,
        "secret": lambda: {"digest": hashlib.sha256(os.environ["SECRET_API_KEY"].encode()).hexdigest()},
    }[data["do"]]()


def _hold():
    assert os.environ["SECRET_API_KEY"]
    print("the provider's own:", os.environ["PROVIDER_TOKEN"], flush=True)  # noqa: T201
    print("holding", flush=True)  # noqa: T201
    time.sleep(600)


def _tell():
    print('{"progress": 0.4, "message": "so far"}', flush=True)  # noqa: T201
    print('PlanQK:Job:InterimResult: {"best": 7013}', flush=True)  # noqa: T201
    time.sleep(600)


def _files():
    (OUTPUT / "sub" / "folder").mkdir(parents=True)
    (OUTPUT / "bytes.bin").write_bytes(bytes(range(256)) * 1000)
    (OUTPUT / "a b.txt").write_text("with a space")
    (OUTPUT / "sub" / "folder" / "ü.txt").write_text("in a folder")
    return {"written": 3}
