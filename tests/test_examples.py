"""The examples: what the demo is made of, and the first code that many read."""

import csv
import io
import json
import math
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from jobs import submission
from jobs.inputs import Sent
from jobs.models import FINAL, Job
from portal.accounts.actors import Actor
from portal.lib import logstream
from portal.management.building import wait_for_build
from services import contracts, importing, sources
from tests.factories import UserFactory
from tests.waiting import wait_for

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("folder", sorted(EXAMPLES.glob("*/")), ids=lambda folder: folder.name)
def test_each_is_a_source_without_a_warning(folder):
    with sources.from_folder(folder) as packed:
        source = sources.check(ContentFile(packed.read()), "example.zip")
    assert source.warnings == []
    assert not source.openapi or contracts.parse(source.openapi).warnings == []
    assert source.readme.startswith("# ")


@pytest.mark.parametrize(
    ("data", "params", "result"),
    [
        ({"values": [100, 50, 200, 70, 0.69]}, {}, 420.69),
        ({"values": [100, 50, 200, 70, 0.69]}, {"round_off": True}, 421),
        ({"values": [1, 2.1]}, {"round_up": True}, 4),
        ({"values": [1, 2, 3]}, {"round_up": True}, 6),
        ({"values": [0.1] * 10}, {}, 1.0),
        ({"values": []}, {}, 0),
    ],
)
def test_sum_adds_up(data, params, result):
    assert json.loads(call("sum", data, params).stdout) == {"sum": result}


@pytest.mark.parametrize(
    ("data", "says"), [({}, "needs a list of numbers"), ({"values": ["1"]}, "'1' in data.values is not a number")]
)
def test_sum_says_what_is_wrong(data, says):
    assert says in call("sum", data, {}).stderr


def call(example: str, data: dict, params: dict) -> subprocess.CompletedProcess[str]:
    """run() of an example on the standard library alone."""
    code = f"import json; from src.program import run; print(json.dumps(run({data!r}, {params!r})))"
    command = [sys.executable, "-B", "-S", "-c", code]
    return subprocess.run(command, cwd=EXAMPLES / example, capture_output=True, text=True, check=False)


@pytest.fixture
def run_example(live_worker):
    """Builds an example and runs it as a job."""
    by = Actor(user=UserFactory())
    account = by.user.personal_account

    def run(name: str, params: dict) -> Job:
        version = importing.import_project(path=EXAMPLES / name, account=account, by=by).version
        build = wait_for_build(version, by=by)
        assert build.status == "SUCCEEDED", build.detail
        job = submission.submit(version=version, sent=Sent(params=json.dumps(params)), account=account, by=by)
        ended = Job.objects.filter(pk=job.pk, status__in=FINAL)
        return wait_for(ended.first, what="the end of the job")

    return run


def content(job: Job, name: str) -> bytes:
    with default_storage.open(job.files.get(name=name).key) as file:
        return file.read()


def test_monte_carlo_pi_prints_its_progress_and_draws(run_example):
    job = run_example("monte-carlo-pi", {"samples": 200_000, "batches": 5, "seed": 1})
    log = b"".join(logstream.text(*job.log_name())).decode()
    assert job.status == "SUCCEEDED", log
    assert log.count("points  pi = 3.1") == 5
    result = json.loads(content(job, "output.json"))
    assert result["error"] == pytest.approx(abs(result["pi"] - math.pi))
    assert result["error"] < 0.02
    rows = list(csv.reader(io.StringIO(content(job, "convergence.csv").decode())))
    assert [row[0] for row in rows] == ["points", "40000", "80000", "120000", "160000", "200000"]
    assert size_of_png(content(job, "pi.png")) == (872, 448)


@pytest.mark.usefixtures("engine")
def test_the_container_measures_its_input(run_example):
    job = run_example("container", {})
    log = b"".join(logstream.text(*job.log_name())).decode()
    assert job.status == "SUCCEEDED", log
    assert "measuring 2 characters" in log
    assert json.loads(content(job, "output.json")) == {"words": 0, "characters": 2}


def size_of_png(png: bytes) -> tuple[int, int]:
    """Width and height of a picture whose checksums and lines are right."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)
    return width, height
