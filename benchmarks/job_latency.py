"""What a trivial job costs from POST to SUCCEEDED, against a bare `python -c` spawn in the same run.

`python -m benchmarks.job_latency [--smoke]`
"""

import argparse
import sqlite3
import statistics
import subprocess
import time
from uuid import UUID

from benchmarks.instance import Client, import_program, instance, job_id, milliseconds, percentile

TRIVIAL = "def run(data, params):\n    return 1\n"
POLL_SECONDS = 0.001


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="two jobs, to see that it works")
    times = 2 if parser.parse_args().smoke else 60
    with instance() as (stack, client):
        service = import_program(stack, "trivial", TRIVIAL)
        database = sqlite3.connect(f"file:{stack.home}/mercato.sqlite3?mode=ro", uri=True)
        _job(client, database, service)  # the first one warms what only the first pays
        spawn = milliseconds(lambda: subprocess.run(["/usr/bin/python3", "-c", "print(1)"], capture_output=True), times)
        taken = [_job(client, database, service) for _ in range(times)]
    bare, whole = statistics.median(spawn), statistics.median(taken)
    print(f"python -c spawn            {bare:7.1f} ms p50")
    print(f"POST → SUCCEEDED           {whole:7.1f} ms p50  {percentile(taken, 95):7.1f} ms p95")
    print(f"more than the spawn        {whole - bare:7.1f} ms p50  (goal on an idle machine: ≤ 60)")
    print(f"ratio                      {whole / bare:7.1f}")


def _job(client: Client, database: sqlite3.Connection, service: str) -> float:
    """Run one job; milliseconds from the POST until the row says so."""
    client.get(f"/jobs/new/?service={service}")
    began = time.perf_counter()
    address = client.post(f"/jobs/new/?service={service}", data="{}", params="{}")
    key = UUID(job_id(address)).hex
    while (status := database.execute("select status from jobs_job where id = ?", (key,)).fetchone()[0]) not in (
        "SUCCEEDED",
        "FAILED",
    ):
        time.sleep(POLL_SECONDS)
    if status == "FAILED":
        raise SystemExit("The trivial job failed; its page says why.")
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
