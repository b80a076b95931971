"""What a claim costs while 10,000 jobs wait, of one account, of a hundred, or of as many as there are jobs.

`python -m benchmarks.queue [--smoke]`; on the database of DATABASE_URL, else on a SQLite of its own.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.instance import milliseconds, percentile

GOAL_MILLISECONDS = 5
HOST = "benchmark"
numbers = count()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few jobs, to see that it works")
    is_smoke = parser.parse_args().smoke
    home = Path(tempfile.mkdtemp(prefix="mercato-bench-"))
    os.environ |= {"MERCATO_HOME": str(home), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    try:
        _measure(jobs=200 if is_smoke else 10_000, times=5 if is_smoke else 200)
    finally:
        shutil.rmtree(home)


def _measure(*, jobs: int, times: int) -> None:
    import django  # noqa: PLC0415 (it reads the settings that `main` makes)

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    from jobs.models import Job  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    bare = milliseconds(_write_one_row, times)
    print(f"{connection.vendor}: one UPDATE by key       {statistics.median(bare):6.2f} ms p50")
    for accounts in (1, 100, jobs):
        Job.objects.all().delete()
        _fill(jobs=jobs, accounts=accounts)
        for busy in (0, 2):
            _claim(busy)  # what runs already when the measuring begins
            used = [_claim_and_give_back() for _ in range(times)]
            taken, cpu = [each[0] for each in used], statistics.median(each[1] for each in used)
            print(
                f"{jobs:6} jobs of {accounts:6} accounts, {busy} running: claim {statistics.median(taken):6.2f} ms p50 "
                f"{percentile(taken, 95):6.2f} ms p95, of it CPU of this process {cpu:5.2f} ms, without the write "
                f"{statistics.median(taken) - statistics.median(bare):6.2f} ms",
                flush=True,
            )
    print(f"goal on an idle machine: ≤ {GOAL_MILLISECONDS} ms a claim")


def _fill(*, jobs: int, accounts: int) -> None:
    from django.db import connection  # noqa: PLC0415

    from jobs.models import Job  # noqa: PLC0415
    from portal.accounts.models import Account  # noqa: PLC0415
    from services.models import Service, ServiceVersion  # noqa: PLC0415

    owners = Account.objects.bulk_create(
        [Account(kind="organization", slug=f"o{next(numbers)}", name="Benchmark") for _ in range(accounts)]
    )
    service = Service.objects.create(account=owners[0], slug="benchmark", name="Benchmark")
    limits: dict[str, Any] = {"cpu_millis": 1000, "memory_mib": 512, "time_limit_seconds": 60}
    version = ServiceVersion.objects.create(service=service, number="1.0.0", source_size=1, openapi="{}", **limits)
    # One account after the other, as tenants send: the first has the whole front of the queue.
    rows = [Job(account=owners[n * accounts // jobs], version=version) for n in range(jobs)]
    Job.objects.bulk_create(rows, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")  # as the database does by itself, a little later


def _write_one_row() -> None:
    from portal.accounts.models import Account  # noqa: PLC0415

    account, _ = Account.objects.get_or_create(slug="bare", defaults={"kind": "organization", "name": "Bare"})
    Account.objects.filter(pk=account.pk).update(name=f"Bare {next(numbers)}")


def _claim(times: int) -> None:
    from jobs import claiming  # noqa: PLC0415

    for _ in range(times):
        assert claiming.claim_next(HOST)


def _claim_and_give_back() -> tuple[float, float]:
    """Milliseconds of a claim, by the clock and of CPU."""
    from jobs import claiming  # noqa: PLC0415

    began, used = time.perf_counter(), time.process_time()
    job = claiming.claim_next(HOST)
    taken = ((time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000)
    assert job is not None
    type(job).objects.filter(pk=job.pk).update(status="QUEUED", lease_expires_at=None)
    return taken


if __name__ == "__main__":
    main()
