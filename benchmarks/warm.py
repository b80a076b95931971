"""From the claim of a job to the first line of its code: cold, warm, and a bare fork with the same imports in one run.

`python -m benchmarks.warm [--smoke]`
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from benchmarks.instance import Client, import_program, instance, job_id, percentile
from tests.live_stack import LiveStack

GOAL_MILLISECONDS = 30
PROGRAM = "import time\n{imports}\ndef run(data, params):\n    return {{'began': time.time()}}\n"
PACKAGES = {"stdlib": "", "numpy + pydantic": "numpy\npydantic\n"}
# The same without any of us: an interpreter that has the imports, and forks.
BARE = """
import os, time
{imports}
for _ in range({times}):
    reader, writer = os.pipe()
    began = time.time()
    process = os.fork()
    if process == 0:
        os.write(writer, repr(time.time()).encode())
        os._exit(0)
    print((float(os.read(reader, 64)) - began) * 1000)
    os.waitpid(process, 0)
"""
POLL_SECONDS = 0.001


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="two jobs of the standard library each")
    is_smoke = parser.parse_args().smoke
    times = 2 if is_smoke else 40
    with instance() as (stack, client):
        for name, requirements in list(PACKAGES.items())[: 1 if is_smoke else None]:
            imports = "\n".join(f"import {package}" for package in requirements.split())
            code = PROGRAM.format(imports=imports)
            figures = {}
            for way in ("cold", "warm"):
                flags = ["--warm-start"] if way == "warm" else []
                service = import_program(stack, f"{way}{len(requirements)}", code, *flags, requirements=requirements)
                _job(stack, client, service)  # the first one pays for what waits afterwards
                figures[way] = [_job(stack, client, service) for _ in range(times)]
            figures["fork"] = _bare(_python(stack, requirements), imports, times)
            _print(name, figures)
    print(f"goal on an idle machine: numpy + pydantic warm ≤ {GOAL_MILLISECONDS} ms p50")


def _print(name: str, figures: dict[str, list[float]]) -> None:
    middle = {way: statistics.median(taken) for way, taken in figures.items()}
    for way, taken in figures.items():
        print(f"{name:18} {way:5} {middle[way]:7.1f} ms p50  {percentile(taken, 95):7.1f} ms p95", flush=True)
    print(
        f"{name:18} warm is {middle['warm'] - middle['fork']:.1f} ms more than a bare fork, "
        f"cold {middle['cold'] / middle['warm']:.1f} times warm"
    )


def _job(stack: LiveStack, client: Client, service: str) -> float:
    """Run one job; milliseconds from its claim to the first line of run()."""
    page = client.post(f"/jobs/new/?service={service}", data="{}", params="{}")
    key = UUID(job_id(page))
    database = sqlite3.connect(f"file:{stack.home}/mercato.sqlite3?mode=ro", uri=True)
    ask = "select status, claimed_at from jobs_job where id = ?"
    while (row := database.execute(ask, (key.hex,)).fetchone())[0] not in ("SUCCEEDED", "FAILED"):
        time.sleep(POLL_SECONDS)
    database.close()
    if row[0] == "FAILED":
        raise SystemExit("The job failed; its page says why.")
    began = json.loads(client.get(f"/jobs/{key}/files/output.json"))["began"]
    return (began - datetime.fromisoformat(row[1]).replace(tzinfo=UTC).timestamp()) * 1000


def _python(stack: LiveStack, requirements: str) -> Path:
    """The interpreter of the environment that was made for ``requirements``."""
    wanted = requirements.split()[:1]
    for folder in sorted((stack.home / "jobs" / "environments").iterdir()):
        found = [path for path in folder.glob("lib/python*/site-packages/*") if path.name in wanted]
        if (folder / "bin" / "python").exists() and len(found) == len(wanted):
            return folder / "bin" / "python"
    raise SystemExit(f"There is no environment with {requirements}.")


def _bare(python: Path, imports: str, times: int) -> list[float]:
    code = BARE.format(imports=imports, times=times)
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


if __name__ == "__main__":
    main()
