"""Dockerfiles, well-meant and hostile: what comes of each, and in which words."""

import io
import time

import pytest

from services.runtimes.base import PlatformError, UserError
from services.runtimes.docker import building, engine, images
from tests.engine import BASE
from tests.waiting import wait_for

NOT_BUILT = {
    # what: (Dockerfile after FROM, what the message says)
    "a step fails": ("RUN echo no >&2; exit 3", ["RUN echo no", "non-zero code: 3"]),
    "a file is missing": ("COPY nothing.txt /", ["COPY nothing.txt", "nothing.txt"]),
    "a file beyond the project": ("COPY ../../../etc/passwd /", ["COPY ../../../etc/passwd"]),
    "no such instruction": ("RUNN x", ["RUNN"]),
    "needs BuildKit": ("RUN --mount=type=cache,target=/x echo", ["without BuildKit"]),
    "nothing to run": ("CMD []\nENTRYPOINT []", ["neither CMD nor ENTRYPOINT"]),
    "ADD from elsewhere": ("ADD http://example.org/x /x\nCMD x", ["builds have no network", "COPY"]),
    "ADD hidden from elsewhere": ("ARG U=http://x.example/x\nADD \\\n # no\n $U /x\nCMD x", ["no network"]),
    "a volume of the system": ("VOLUME /x /proc/sys\nCMD x", ["/proc/sys", "Remove that VOLUME line"]),
    "many volumes": (f"VOLUME {' '.join(f'/v{n}' for n in range(30))}\nCMD x", ["more than 20 volumes"]),
}


@pytest.mark.parametrize("what", NOT_BUILT)
def test_what_cannot_be_built_says_which_step_and_why(bench, what):
    text, says = NOT_BUILT[what]
    with pytest.raises(UserError) as refused:
        bench.build(text)
    assert [words for words in says if words not in str(refused.value)] == []


def test_a_project_is_built_and_its_log_told(bench):
    environment = bench.build("COPY a.txt /\nRUN echo building now; cat /a.txt\nCMD x", {"a.txt": "said by a file"})
    assert environment.startswith("sha256:")
    assert "Step 1/4" in bench.log
    assert "building now\nsaid by a file" in bench.log
    assert bench.runtime.is_prepared(environment)
    spec = bench.spec(f"FROM {BASE}\nRUN echo another\nCMD x")
    assert [bench.prepare(spec).reused for _ in range(2)] == [False, True]


def test_without_a_dockerfile(bench):
    spec = bench.spec("x")
    (spec.source / "Dockerfile").unlink()
    with pytest.raises(UserError, match="missing at the top"):
        bench.prepare(spec)


def test_a_base_image_that_nobody_has(bench):
    with pytest.raises(UserError, match=r"nobody\.invalid/nothing"):
        bench.prepare(bench.spec("FROM nobody.invalid/nothing:1\nCMD x"))


def test_builds_have_no_network_where_the_operator_gives_them_none(bench):
    probe = "import os; print('interfaces:', sorted(os.listdir('/sys/class/net')))"
    bench.build(f'RUN ["python", "-c", "{probe}"]\nCMD x')
    assert "interfaces: ['lo']" in bench.log


def test_an_endless_build_ends_at_its_time_limit(bench, engine):
    began = time.monotonic()
    with pytest.raises(UserError, match=r"took longer than 2 s.* in Step 2/3 : RUN sleep 999"):
        bench.build("RUN sleep 999\nCMD x", limits={"wall_seconds": 2})
    assert time.monotonic() - began < 20
    wait_for(lambda: not engine.containers(), what="the end of what the step ran in")


def test_a_build_that_is_told_to_stop_stops(bench):
    asked = iter(["", "", "stopped", "stopped"])
    with pytest.raises(PlatformError, match="stopped"):
        bench.build("RUN sleep 999\nCMD x", stopped=lambda: next(asked, "stopped"))


def test_a_huge_image_is_refused_while_it_grows(bench, settings, monkeypatch):
    settings.CONTAINER_IMAGE_MAX_BYTES = 100 << 20
    monkeypatch.setattr(building, "MEASURE_SECONDS", 0.1)
    with pytest.raises(UserError, match=r"larger than .* in Step 2/3 : RUN"):
        bench.build("RUN head -c 200000000 /dev/zero >/big; sleep 30\nCMD x")


def test_a_build_that_forks_without_end_is_bounded(bench):
    forks = "import os\nwhile os.fork() or 1: pass"
    with pytest.raises(UserError, match="RUN python"):
        bench.build(
            "COPY f.py /\nRUN python /f.py\nCMD x", {"f.py": forks}, limits={"processes": 32, "wall_seconds": 20}
        )


def test_what_dockerignore_names_stays_away(bench):
    bench.build("COPY . /app\nRUN ls /app\nCMD x", {".dockerignore": "# no\nsecret*\n", "secret.txt": "s", "a": "a"})
    assert "secret.txt" not in bench.log


def test_an_image_is_taken_by_its_name(bench):
    prepared = bench.prepare(bench.spec("unused", image="python:3.11-slim"))  # the engine has it under that name
    assert bench.runtime.is_prepared(prepared.environment)


@pytest.mark.parametrize("image", ["no such:thing", "sha256:" + "0" * 64, "mercato-abc:1", "../x", "A/B", "x" * 600])
def test_what_is_no_reference_is_refused(bench, image):
    with pytest.raises(UserError, match=r"image|belong"):
        bench.prepare(bench.spec("unused", image=image))


def test_an_image_that_is_nowhere(bench):
    with pytest.raises(UserError, match="could not be pulled"):
        bench.prepare(bench.spec("unused", image="nobody.invalid/team/nothing:1"))


def test_another_host_makes_the_image_again(bench):
    spec = bench.spec(f"FROM {BASE}\nRUN cat /proc/uptime >/made\nCMD x")
    environment = bench.prepare(spec).environment
    images._untag(images.reference(environment))
    assert not bench.runtime.is_prepared(environment)
    bench.runtime.restore(environment, spec, bench.slot, bench.hear)
    assert bench.runtime.is_prepared(environment)


def test_images_that_no_version_needs_are_removed(bench, settings, monkeypatch):
    kept = bench.build("RUN echo kept >/x\nCMD x")
    newer = bench.build("RUN echo newer >/x\nCMD x")
    gone = bench.build("RUN echo gone >/x\nCMD x")
    with pytest.raises(UserError):
        bench.build("RUN echo half >/x\nRUN exit 1")
    bench.runtime.tidy(keep={kept, newer})
    assert bench.runtime.is_prepared(gone)  # its version may be about to be written down
    monkeypatch.setattr(images, "GRACE_SECONDS", -1.0)
    monkeypatch.setattr(images, "STAGE_SECONDS", -1.0)
    bench.runtime.tidy(keep={kept, newer})
    assert [bench.runtime.is_prepared(key) for key in (kept, newer, gone)] == [True, True, False]
    left = [image.get("RepoTags") or [] for image in engine.client().images(name=images.repository())]
    assert images.STAGE not in str(left)
    settings.CONTAINER_IMAGES_KEPT = 1
    bench.runtime.tidy(keep={kept, newer})
    assert [bench.runtime.is_prepared(key) for key in (kept, newer)] == [False, True]


def test_an_image_of_another_service_cannot_be_read(bench, engine):
    theirs = bench.build("COPY secret.txt /app/\nCMD x", {"secret.txt": "their code"}).removeprefix("sha256:")
    hostile = io.BytesIO(f"FROM {BASE}\nONBUILD COPY --from={theirs[:12]} /app/secret.txt /x\nCMD x".encode())
    for told in engine.client.build(fileobj=hostile, tag="hostile-base:1", rm=True, decode=True):
        assert "error" not in told, told
    for text in (
        f"FROM {theirs[:12]}\nRUN cat /app/secret.txt",
        f"FROM {BASE}\nCOPY --from={theirs[:12]} /app/secret.txt /x\nRUN cat /x\nCMD x",
        "FROM hostile-base:1\nRUN cat /x\nCMD x",
    ):
        with pytest.raises(UserError, match="id of somebody else's image"):
            bench.prepare(bench.spec(text))
        assert "their code" not in bench.log
    with pytest.raises(UserError, match="no image of a registry"):
        bench.prepare(bench.spec("unused", image=f"sha256:{theirs[:12]}"))
