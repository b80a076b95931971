"""The service whose jobs are struck. What it prints says how often it was begun and ended."""

import os
import time
import uuid
from pathlib import Path


def run(data, params):
    execution = data["nonce"] + uuid.uuid4().hex
    print("begin", execution, flush=True)
    for number in range(data["lines"]):
        print("line", number, data["nonce"], flush=True)
        time.sleep(data["pause"])
    output = Path(os.environ["OUTPUT_DIRECTORY"])
    for number in range(data["files"]):
        (output / f"part-{number}.txt").write_text(f"{data['nonce']} {number}\n" * data["repeat"])
    print("end", execution, flush=True)
    return {"nonce": data["nonce"], "execution": execution, "secret": len(os.environ["SECRET_TOKEN"])}
