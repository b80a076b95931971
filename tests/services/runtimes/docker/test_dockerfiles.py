"""Which images a Dockerfile may begin with and copy from: never one that the engine has for somebody else."""

from pathlib import Path

import pytest

from services.runtimes import image_names
from services.runtimes.base import UserError
from services.runtimes.docker import dockerfiles

THEIRS = "5abea63437c3"  # the beginning of the id of an image that another account's service has

GROWING = "".join(f"ARG {name}={'$' + chr(ord(name) + 1)}{'$F' * 300}\n" for name in "ABCDE") + "ARG F=1\nFROM $A"

TAKEN = {
    # what: (the Dockerfile, the images that it begins with)
    "a name": ("FROM python:3.11-slim\nCMD x", ["python:3.11-slim"]),
    "a registry and a digest": (
        f"FROM r.example:5000/a/b@sha256:{'0' * 64}",
        [f"r.example:5000/a/b@sha256:{'0' * 64}"],
    ),
    "small letters and spaces": ("\n  from   Registry.example/x\n", ["Registry.example/x"]),
    "a name that is no id for its tag": ("FROM cafe:1", ["cafe:1"]),
    "stages": (
        "FROM python:3 AS Builder\nFROM builder\nCOPY --from=builder /x /x\nCOPY --from=0 /x /y\nFROM node:20",
        ["python:3", "node:20"],
    ),
    "a stage that is called like an id": ("FROM python:3 AS a\nFROM python:3\nCOPY --from=a /x /x", ["python:3"]),
    "a version by ARG": (
        'ARG VERSION="3.11"\nFROM --platform=$P python:${VERSION}-slim\nARG VERSION',
        ["python:3.11-slim"],
    ),
    "an ARG with a default of its own": ("FROM python:${V:-3}${W:+x}", ["python:3"]),
    "an ARG of an ARG": ("ARG A=3\nARG B=python:$A\nFROM $B", ["python:3"]),
    "the image called docker": ("FROM docker:24-cli", ["docker:24-cli"]),
    "nothing": ("FROM scratch\nCOPY x /", []),
    "a shell that says from": ('FROM python:3\nRUN tool --from=cafe && \\\n  echo "\\\nfrom here', ["python:3"]),
    "a base over two lines": ("FROM \\\n# why\n\n  python:3\n", ["python:3"]),
}

REFUSED = {
    # what: (the Dockerfile, what the message says)
    "an id": (f"FROM {THEIRS}", "may be the id of somebody else's image"),
    "one letter of an id": ("FROM 5", "may be the id"),
    "an id with its kind": (f"FROM sha256:{THEIRS}", "no image of a registry"),
    "an id over two lines": (f"FROM \\\n # c\n {THEIRS}", "may be the id"),
    "an id behind a mark of the order of bytes": (f"\ufeffFROM {THEIRS}", "may be the id"),
    "an id by ARG": (f"ARG X={THEIRS}\nFROM $X", "may be the id"),
    "an id as a default": (f"FROM ${{X:-{THEIRS}}}", "may be the id"),
    "an ARG that says two things": (f"ARG X=python:3\nFROM $X\nARG X={THEIRS}\nFROM $X", "Write the name of the image"),
    "an ARG that nobody sets": ("FROM $X", "Write the name of the image out"),
    "an ARG that grows": (GROWING, "Write the name of the image out"),
    "what only some engines expand": ("ARG X=python:3\nFROM ${X#python:3}cafe", "Write the name"),
    "an image of another service": ("FROM mercato-7d672ff4:abc", "this platform made"),
    "the same, in full": ("FROM localhost/mercato-7d672ff4:abc", "this platform made"),
    "a copy from an id": (f"FROM python:3\nCOPY --chown=1 --from={THEIRS} / /", "may be the id"),
    "a copy in quotes": (f"FROM python:3\nCOPY --fr\"om\"='{THEIRS[:3]}'{THEIRS[3:]} / /", "may be the id"),
    "a copy from a variable": ("FROM python:3\nENV X=cafe\nCOPY --from=$X / /", "Write the name of the image out"),
    "a copy from no stage": ("FROM python:3\nCOPY --from=1 / /", "may be the id"),
    "a copy for others": (f"FROM python:3\nONBUILD COPY --from={THEIRS} / /", "may be the id"),
    "a mount": (f"FROM python:3\nRUN --mount=type=bind,from={THEIRS},target=/x cat /x", "may be the id"),
    "a place of the host": ("FROM oci-archive:/var/lib/x.tar", "as `docker pull` takes it"),
    "the storage of the host": (f"FROM containers-storage:{THEIRS}", "no image of a registry"),
    "behind another end of a line": (f"FROM python:3\nRUN echo \\\u2028#\nFROM {THEIRS}", "may be the id"),
    "behind a backslash that is not the last": (f"FROM python:3\nRUN echo \\\x0b\nFROM {THEIRS}", "may be the id"),
    "behind another sign for going on": (f"# a\n# escape=`\nFROM python:3\nRUN `\nFROM {THEIRS}", "Remove the line"),
    "a stage that only stands in a text": ("FROM python:3\nRUN <<E\nFROM x AS abea\nE\nFROM abea", "may be the id"),
    "a number that a text makes a stage": ("FROM python:3\nRUN <<E\nFROM x\nE\nCOPY --from=1 / /", "may be the id"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAKEN)
def test_what_it_begins_with_is_known(what: str, tmp_path: Path) -> None:
    text, bases = TAKEN[what]
    (tmp_path / "Dockerfile").write_text(text)
    assert dockerfiles.check(tmp_path / "Dockerfile") == bases


@pytest.mark.parametrize("what", REFUSED)
def test_what_may_be_somebody_elses_is_refused(what: str, tmp_path: Path) -> None:
    text, words = REFUSED[what]
    (tmp_path / "Dockerfile").write_text(text)
    with pytest.raises(UserError) as refused:
        dockerfiles.check(tmp_path / "Dockerfile")
    assert words in str(refused.value)
    assert len(str(refused.value)) < 600


ADDED = {
    # what: (the Dockerfile, whether it is taken)
    "files": ('FROM x\nADD --chown=1 a.tar b /x/\nADD ["c d", "/x"]', True),
    "a file by ARG": ("FROM x\nARG NAME=app.jar\nADD build/$NAME $HOME/", True),
    "a file by ENV": ("FROM x\nENV NAME app.jar\nADD ${NAME} /", True),
    "an address": ("FROM x\nADD http://127.0.0.1:8000/ /x", False),
    "an address among files": ("FROM x\nADD a HTTPS://x.example/b /x/", False),
    "an address in a list": ('FROM x\nADD ["http://x.example/b", "/x"]', False),
    "a repository": ("FROM x\nADD git@x.example:a/b.git /x", False),
    "an address by ARG": ("FROM x\nARG U=http://x.example/x\nADD \\\n # no\n $U /x", False),
    "an address in pieces": ("FROM x\nENV A=http: B=//127.0.0.1/\nADD $A$B /x", False),
    "what a base image may set": ("FROM x\nADD $U /x", False),
    "an address for others": ("FROM x\nONBUILD ADD http://x.example/b /x", False),
}


@pytest.mark.parametrize("what", ADDED)
@pytest.mark.parametrize(
    ("network", "words"), [("none", "builds have no network"), ("engine", "engine itself would fetch it")]
)
def test_an_engine_fetches_nothing_for_a_build(what: str, network: str, words: str, settings, tmp_path: Path) -> None:
    settings.BUILD_NETWORK = network
    text, is_taken = ADDED[what]
    (tmp_path / "Dockerfile").write_text(text)
    if is_taken:
        assert dockerfiles.check(tmp_path / "Dockerfile") == ["x"]
    else:
        with pytest.raises(UserError, match=words):
            dockerfiles.check(tmp_path / "Dockerfile")


def test_what_a_base_image_does_in_builds_is_looked_at() -> None:
    dockerfiles.check_triggers(["COPY . /app", "RUN make", "COPY --from=golang:1.22 /usr/local/go /go"])
    with pytest.raises(UserError, match="may be the id"):
        dockerfiles.check_triggers(["COPY . /app", f"COPY --from={THEIRS} / /x"])


def test_instructions_are_read_as_the_engine_reads_them() -> None:
    text = "# c\r\nFROM x\r\nADD a \\ \t\n# not this\n\n  b /c\n\nRUN x\x0b\\"
    assert list(dockerfiles.instructions(text)) == ["FROM x", "ADD a    b /c", "RUN x\x0b "]


@pytest.mark.parametrize("image", [f"sha256:{THEIRS}", f"sha256:{'0' * 64}", "containers-storage:x", "oci:x"])
def test_an_id_is_no_image_of_a_registry(image: str) -> None:
    assert "no image of a registry" in image_names.problem_with(image)
