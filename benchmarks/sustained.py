"""Trivial jobs a second while many wait, cold and warm, at 1, 4 and 16 slots; and what an environment takes to build.

`python -m benchmarks.sustained [--smoke]`. Beside each figure is its bare counterpart in the same run: Python started
as often, an interpreter forked as often, uv installing the same wheels.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.instance import instance
from tests.live_stack import LiveStack
from tests.packages import PackageIndex, package_index

TRIVIAL = "def run(data, params):\n    return 1\n"
PYTHON = "/usr/bin/python3"
WHEELS, MODULES = 12, 60  # of each wheel: a module of a hundred functions
FUNCTIONS = "".join(f"def f{number}(a, b):\n    return a + b * {number}\n" for number in range(100))
WAIT_SECONDS = 600
POLL_SECONDS = 0.05
FORKS = """
import os, sys, time
began = time.perf_counter()
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os.write(2, b"1")
        os._exit(0)
    os.waitpid(child, 0)
print(time.perf_counter() - began)
"""
SUBMIT = """
from jobs import submission
from jobs.inputs import Sent
from portal.accounts.actors import Actor
from services.models import Service
service = Service.objects.select_related("account", "created_by").get(slug="{slug}")
version, by = service.versions.latest("id"), Actor(user=service.account.memberships.first().user)
for _ in range({count}):
    submission.submit(version=version, sent=Sent(), account=service.account, by=by)
"""
ENDED = """
select count(*), sum(status = 'SUCCEEDED'), min(julianday(claimed_at)), max(julianday(ended_at)) from jobs_job
join services_serviceversion v on v.id = version_id join services_service s on s.id = v.service_id
where s.slug = ? and jobs_job.id > ? and ended_at is not null
"""
NEWEST = "select coalesce(max(id), '') from jobs_job"
BUILT = """
select b.status, b.reused, (julianday(b.ended_at) - julianday(b.started_at)) * 86400 from services_build b
join services_serviceversion v on v.id = version_id join services_service s on s.id = v.service_id where s.slug = ?
"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few jobs in two slots, to see that it works")
    is_smoke = parser.parse_args().smoke
    count, wheels, modules = (3, 2, 1) if is_smoke else (300, WHEELS, MODULES)
    counts = (2,) if is_smoke else (1, 4, 16)
    with package_index() as index:
        beside = f"{index.url} {os.environ.get('UV_INDEX', '')}".strip()
        for slots in counts:
            with instance(JOB_SLOTS=str(slots), UV_INDEX=beside) as (stack, _):
                _jobs(stack, slots, count, ahead=0 if is_smoke else 2 * slots)
                if slots == counts[-1]:
                    _environments(stack, index, wheels=wheels, modules=modules)


def _jobs(stack: LiveStack, slots: int, count: int, *, ahead: int) -> None:
    for kind, goal in (("cold", 30), ("warm", 60)):
        _import(stack, kind, {"src/program.py": TRIVIAL}, "--warm-start" if kind == "warm" else "--no-warm-start")
        if ahead:
            _sustained(stack, kind, ahead)  # who comes first makes what the others find
        rate = _sustained(stack, kind, count)
        bare = _spawns(slots, count) if kind == "cold" else _forks(count)
        print(
            f"{slots:2d} slots {kind}   {rate:7.1f} jobs/s   bare {bare:7.1f}/s   ratio {rate / bare:5.2f}"
            f"   {1000 / rate:6.1f} ms a job   (goal on 2 idle cores: ≥ {goal})",
            flush=True,
        )


def _sustained(stack: LiveStack, slug: str, count: int) -> float:
    """Jobs a second from the first claim to the last end."""
    database = sqlite3.connect(f"file:{stack.home}/mercato.sqlite3?mode=ro", uri=True)
    newest = database.execute(NEWEST).fetchone()[0]
    stack.manage("shell", "--verbosity=0", "--command", SUBMIT.format(slug=slug, count=count))
    deadline = time.monotonic() + WAIT_SECONDS
    while (row := database.execute(ENDED, (slug, newest)).fetchone())[0] < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"Only {row[0]} of {count} jobs ended within {WAIT_SECONDS} s:\n{stack.log}")
        time.sleep(POLL_SECONDS)
    _, succeeded, first, last = row
    if succeeded != count:
        raise SystemExit(f"{count - succeeded} of {count} trivial jobs failed; their pages say why.")
    return count / ((last - first) * 86_400)


def _spawns(slots: int, count: int) -> float:
    """Interpreters that start and end a second, as many at once as there are slots."""
    began = time.perf_counter()
    with ThreadPoolExecutor(slots) as pool:
        argv = [PYTHON, "-I", "-c", "print(1)"]
        list(pool.map(lambda _: subprocess.run(argv, capture_output=True, check=True), range(count)))
    return count / (time.perf_counter() - began)


def _forks(count: int) -> float:
    """Forks of an interpreter a second, one after the other."""
    done = subprocess.run([PYTHON, "-I", "-c", FORKS, str(count)], capture_output=True, text=True, check=True)
    return count / float(done.stdout)


def _environments(stack: LiveStack, index: PackageIndex, *, wheels: int, modules: int) -> None:
    names = [f"bench_{number}" for number in range(wheels)]
    for name in names:
        index.add_wheel(name, files={f"{name}/m{number}.py": FUNCTIONS for number in range(modules)})
    for kind, bare in zip(("cold", "cached"), _bare_installs(index, names), strict=True):
        files = {"src/program.py": f"{TRIVIAL}# {kind}\n", "requirements.txt": "\n".join(names)}
        _import(stack, f"environment-{kind}", files)
        seconds = _built(stack, f"environment-{kind}", reused=kind == "cached")
        print(
            f"environment {kind:<6} {seconds * 1000:7.0f} ms   bare {bare * 1000:7.0f} ms"
            f"   ratio {seconds / bare:5.2f}",
            flush=True,
        )


def _built(stack: LiveStack, slug: str, *, reused: bool) -> float:
    database = sqlite3.connect(f"file:{stack.home}/mercato.sqlite3?mode=ro", uri=True)
    status, was_reused, seconds = database.execute(BUILT, (slug,)).fetchone()
    if status != "SUCCEEDED" or bool(was_reused) is not reused:
        raise SystemExit(f"The build of {slug} is {status} and {'reused' if was_reused else 'made'} its environment.")
    return float(seconds)


def _bare_installs(index: PackageIndex, names: list[str]) -> tuple[float, float]:
    """Seconds that uv alone takes: to fetch, install and compile; and once more from what it has fetched."""
    uv = Path(sys.executable).parent / "uv"
    with _folder() as folder:
        environment = os.environ | {"UV_CACHE_DIR": str(folder / "cache"), "UV_DEFAULT_INDEX": index.url}
        taken = []
        for number in range(2):
            place = folder / f"venv{number}"
            began = time.perf_counter()
            subprocess.run([uv, "venv", "--quiet", "--python", PYTHON, place], check=True, env=environment)
            command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", place / "bin/python", *names]
            subprocess.run(command, check=True, env=environment)
            taken.append(time.perf_counter() - began)
        return taken[0], taken[1]


def _import(stack: LiveStack, slug: str, files: dict[str, str], *flags: str) -> None:
    """Load a project as a service of the demo account, and wait for its build."""
    with _folder() as folder:
        for name, text in {"requirements.txt": "", **files}.items():
            (folder / slug / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / slug / name).write_text(text)
        account = stack.bootstrap["account"]
        json.loads(stack.manage("import_service", str(folder / slug), "--account", account, "--json", *flags))


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mercato-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
