"""Status poll and token check against a bare Django view, and the list of executions in a large database.

`python -m benchmarks.gateway [--smoke]`
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.instance import running
from benchmarks.load import Load, load, request
from tests.live_stack import LiveStack, free_port

GOAL_SHARE = 0.5
GOAL_LIST = 1.15
CONNECTIONS = (1, 16, 64)

# An application with a token, subscribed to a service; its executions; and others in the same table.
MAKE = """
import json
from datetime import timedelta
from django.utils import timezone
from portal.accounts.models import AccessToken, Application, ApplicationSecret, User
from portal.lib import tokens
from services.models import PricingPlan, Service, ServiceVersion, Subscription
user = User.objects.create_user("gateway@example.com")
account, now = user.personal_account, timezone.now()
service = Service.objects.create(account=account, slug="benchmark", name="Benchmark")
version = ServiceVersion.objects.create(
    service=service, number="1.0.0", source_sha256="0" * 64, source_size=1, cpu_millis=1000, memory_mib=512,
    time_limit_seconds=60, openapi="{}", openapi_origin="default", environment="0" * 64, publication="marketplace",
)
plan = PricingPlan.objects.create(service=service, name="Free")
made = []
for name in ("few", "many"):
    application = Application.objects.create(account=account, name=name, access_key_id=tokens.new_token("mck_"))
    secret = ApplicationSecret.objects.create(application=application, digest=tokens.digest(name), ending="...")
    token = tokens.new_token(tokens.ACCESS_TOKEN)
    AccessToken.objects.create(
        digest=tokens.digest(token), application=application, secret=secret, expires_at=now + timedelta(hours=9)
    )
    subscription = Subscription.objects.create(application=application, service=service, plan=plan, version=version)
    made.append({"token": token, "subscription": str(subscription.pk)})
print(json.dumps({"path": f"/gateway/{account.slug}/benchmark/1.0.0", "applications": made}))
"""
FILL = """
from django.db import connection
from django.utils import timezone
from jobs.models import Job
from services.models import Subscription
subscription = Subscription.objects.select_related("application").get(pk="{subscription}")
now = timezone.now()
for begin in range(0, {count}, 10_000):
    Job.objects.bulk_create(
        Job(
            account_id=subscription.application.account_id, version_id=subscription.version_id, tags=["benchmark"],
            subscription=subscription, status="SUCCEEDED", attempt=1, started_at=now, ended_at=now, log_archived=True,
        )
        for _ in range(min(10_000, {count} - begin))
    )
if connection.vendor == "postgresql":  # which does it by itself, after a while
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
print(Job.objects.filter(subscription=subscription).order_by("-pk").values_list("pk", flat=True)[0])
"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few rows and calls, to see that it works")
    is_smoke = parser.parse_args().smoke
    few, many, count, rounds = (110, 200, 20, 1) if is_smoke else (1_000, 1_000_000, 3_000, 3)
    with running(DEMO="0", JOB_SLOTS="1") as stack:
        made = json.loads(stack.manage("shell", "--no-imports", "-c", MAKE))
        mine, others = made["applications"]
        job = _fill(stack, mine["subscription"], few)
        _polls(stack, made["path"], mine["token"], job, count=count, rounds=rounds)
        lists = {f"{few:,} executions in all": _list(stack.port, made["path"], mine["token"], count // 10)}
        _fill(stack, others["subscription"], many)
        lists[f"{few:,} of {few + many:,}"] = _list(stack.port, made["path"], mine["token"], count // 10)
        lists[f"{many:,} of {few + many:,}"] = _list(stack.port, made["path"], others["token"], count // 10)
    first = next(iter(lists.values()))
    for name, measured in lists.items():
        print(f"list of 100, {name:26} {measured}   × {measured.p50 / first.p50:.2f}")
    print(f"goal: ≤ × {GOAL_LIST}")


def _polls(stack: LiveStack, path: str, token: str, job: str, *, count: int, rounds: int) -> None:
    poll = request("GET", f"{path}/{job}", Authorization=f"Bearer {token}")
    bare = request("GET", f"/{job}")
    with _bare(stack, job) as bare_port, _bare(stack, job, BARE_MIDDLEWARE="1") as behind_port:
        servers = {"bare view": (bare_port, bare), "bare view, our middleware": (behind_port, bare)}
        servers["status poll, token check"] = (stack.port, poll)
        for connections in CONNECTIONS:
            measured: dict[str, list[Load]] = {name: [] for name in servers}
            for _ in range(rounds):  # in turns, so that what else this machine does falls on all
                for name, (port, asked) in servers.items():
                    measured[name].append(load(port, asked, connections=connections, count=count))
            best = {name: max(runs, key=lambda run: run.per_second) for name, runs in measured.items()}
            for name, run in best.items():
                share = run.per_second / best["bare view"].per_second
                print(f"{name:26} {connections:3} connections {run}   {share:4.0%}", flush=True)
    print(f"goal: ≥ {GOAL_SHARE:.0%} of the bare view, and p50 ≤ 1.5 ms at one connection on an idle machine")


def _list(port: int, path: str, token: str, count: int) -> Load:
    asked = request("GET", path, Authorization=f"Bearer {token}")
    load(port, asked, connections=1, count=8)
    return min((load(port, asked, connections=1, count=count) for _ in range(3)), key=lambda run: run.p50)


def _fill(stack: LiveStack, subscription: str, count: int) -> str:
    """Executions of ``subscription``; the id of the newest."""
    return stack.manage("shell", "--no-imports", "-c", FILL.format(subscription=subscription, count=count)).strip()


@contextmanager
def _bare(stack: LiveStack, job: str, **environment: str) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare"]
    server = subprocess.Popen(command, env=stack.environment | {"PORT": str(port)} | environment)
    try:
        _wait_for_answer(f"http://localhost:{port}/{job}")
        yield port
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for_answer(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("The bare view was not served in time.")


if __name__ == "__main__":
    main()
