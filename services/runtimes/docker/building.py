"""Builds and pulls, as the engine does them: its words to the log, our limits on its time, and the step that failed.

The engine works while it is listened to: whoever stops listening ends the build.
"""

import contextlib
import queue
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import docker
import docker.errors
import docker.utils
import docker.utils.build
from django.conf import settings

from portal.lib.sizes import in_words, limit_in_words
from services.runtimes import image_names
from services.runtimes.base import BuildSpec, Log, PlatformError, UserError, say
from services.runtimes.docker import dockerfiles, dockerignore, engine, groups

PERIOD_MICROSECONDS = 100_000
ASK_SECONDS = 0.5
MEASURE_SECONDS = 2.0
STEP = re.compile(r"\AStep (\d+)/(\d+) ?: (.*)", re.DOTALL | re.IGNORECASE)  # Docker, and Podman in capitals
MADE = re.compile(r"\A ?--+> ([0-9a-f]{11,64})\n?\Z")
RUNNING = re.compile(r"\A ---> Running in ([0-9a-f]{12,64})\n?\Z")
# What only the engine can use: ids and names of what it makes and takes away in between.
OF_THE_ENGINE = re.compile(
    r" ?--+> (?:Running in )?[0-9a-f]{11,64}\s*\Z|Removing intermediate container |Successfully (?:built|tagged) "
    r"|COMMIT |[0-9a-f]{64}\s*\Z"
)
NEEDS_BUILDKIT = re.compile(r"requires? BuildKit|Unknown flag|unknown instruction: <<|Unknown type", re.IGNORECASE)
STEP_SHOWN_MAX = 200


@dataclass
class _Progress:
    """Where a build is."""

    step: str = ""  # such as: Step 3/7 : RUN make
    latest: str = ""  # the image that the steps so far made
    container: str = ""  # in which the present step runs
    stages: list[str] = field(default_factory=list)  # the images that earlier stages ended with


def build(spec: BuildSpec, log: Log, *, name: str, keep: Callable[[str, int], None]) -> None:
    """Build the project of ``spec`` to an image called ``name``. Raises UserError, or PlatformError.

    ``keep`` is called with each image that a stage ended with, and its number: it is the cache of the next build.
    """
    for base in dockerfiles.check(spec.source / dockerfiles.NAME):
        _get_base(base, spec, log)
    params: dict[str, Any] = {
        "dockerfile": dockerfiles.NAME,
        "t": name,
        "rm": 1,
        "forcerm": 1,
        "nocache": int(spec.fresh),
        "memory": spec.limits.memory_bytes,
        "memswap": spec.limits.memory_bytes,
        "cpuperiod": PERIOD_MICROSECONDS,
        "cpuquota": max(1000, spec.limits.cpu_millis * PERIOD_MICROSECONDS // 1000),
        "shmsize": 64 << 20,
    }
    if settings.BUILD_NETWORK == "none":
        params["networkmode"] = "none"
    progress = _Progress()
    with _packed(spec.source) as context, _grouped(spec, params):

        def send(client: docker.APIClient) -> Any:
            return client.post(
                client._url("/build"),
                data=context,
                params=params,
                headers={"Content-Type": "application/x-tar"},
                stream=True,
                timeout=None,
            )

        try:
            _follow(send, spec, log, progress, what="build")
        finally:
            for number, stage in enumerate([*progress.stages, progress.latest]):
                if stage:
                    keep(stage, number)


def _get_base(name: str, spec: BuildSpec, log: Log) -> None:
    """Have the image that a Dockerfile begins with here before the build, which runs what it says for builds."""
    found = _triggers(name)
    if found is None or spec.fresh:
        try:
            pull(name, spec, log)
        except UserError:
            if found is None:
                raise
            say(log, f"This host has {name} already, and the build begins with that one.")
        found = _triggers(name)
    dockerfiles.check_triggers(found or ())


def _triggers(image: str) -> list[str] | None:
    """What ``image`` does in builds that begin with it (ONBUILD); None where the engine has no such image."""
    try:
        config = engine.client().inspect_image(image).get("Config") or {}
    except docker.errors.ImageNotFound:
        return None
    except engine.Failure as error:
        raise PlatformError(f"The container engine does not answer: {error}") from error
    return config.get("OnBuild") or []


def pull(image: str, spec: BuildSpec, log: Log) -> None:
    """Get ``image`` from its registry, without any credentials of ours. Raises UserError, or PlatformError."""
    say(log, f"Pulling {image}")

    def send(client: docker.APIClient) -> Any:
        name, _, digest = image_names.with_tag(image).partition("@")
        repository, tag = docker.utils.parse_repository_tag(name) if not digest else (name, digest)
        return client.post(
            client._url("/images/create"),
            params={"fromImage": repository, "tag": tag},
            stream=True,
            timeout=None,
        )

    try:
        _follow(send, spec, log, _Progress(), what="pull")
    except UserError as error:
        raise UserError(f"{image}: {error}") from error


def too_large(size: int) -> str:
    """Words for an image beyond the limit."""
    return (
        f"The image is larger than the {limit_in_words(settings.CONTAINER_IMAGE_MAX_BYTES)} that this instance "
        f"allows: it has {in_words(size)}. Begin with a smaller base image, and clean up in the same RUN "
        "that installs."
    )


@contextlib.contextmanager
def _packed(source: Path) -> Iterator[IO[bytes]]:
    """The project as the engine takes it, without what .dockerignore names."""
    chosen = dockerignore.files(source, needed=dockerfiles.NAME)
    packed = docker.utils.build.create_archive(root=str(source), files=chosen)
    with contextlib.closing(packed):
        yield packed


@contextlib.contextmanager
def _grouped(spec: BuildSpec, params: dict[str, Any]) -> Iterator[None]:
    """A control group around all containers of a build: the engine itself bounds no number of processes there."""
    group, name = groups.create(f"mercato-build-{spec.build_id.hex[-16:]}", spec.limits)
    if name:
        params["cgroupparent"] = name
    try:
        yield
    finally:
        groups.remove(group)


def _follow(
    send: Callable[[docker.APIClient], Any], spec: BuildSpec, log: Log, progress: _Progress, *, what: str
) -> None:
    """Carry what the engine says to the log, until it is done. Raises UserError with the words of a failure."""
    client = docker.APIClient(**engine.options(), version="auto", timeout=engine.ANSWER_SECONDS)
    said: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
    connection: list[socket.socket] = []
    listener = threading.Thread(target=_listen, args=(client, send, said, connection), daemon=True)
    listener.start()
    deadline = time.monotonic() + spec.limits.wall_seconds
    measured_at = time.monotonic()
    try:
        while True:
            try:
                message = said.get(timeout=ASK_SECONDS)
            except queue.Empty:
                message = {}
            if message is None:
                return
            if isinstance(message, Exception):
                raise _failed(message, progress, what)
            if message:
                _carry(message, log, progress, what)
            if reason := spec.stopped():
                raise PlatformError(f"The {what} was ended: {reason}.")
            if time.monotonic() > deadline:
                raise UserError(
                    f"The {what} took longer than {spec.limits.wall_seconds} s, the most that it may, and was ended"
                    f"{_at(progress)}. Do less in it, or begin with an image that has more in it already."
                )
            if time.monotonic() - measured_at > MEASURE_SECONDS:
                _measure(progress)
                measured_at = time.monotonic()
    finally:
        for sock in connection:  # whoever stops listening ends it
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        listener.join(timeout=engine.ANSWER_SECONDS)
        client.close()


def _listen(
    client: docker.APIClient,
    send: Callable[[docker.APIClient], Any],
    said: "queue.SimpleQueue[dict[str, Any] | Exception | None]",
    connection: list[socket.socket],
) -> None:
    """In a thread of its own: a step may be silent for minutes."""
    try:
        response = send(client)
        with contextlib.closing(response):
            client._raise_for_status(response)
            stream = client._get_raw_response_socket(response)
            connection.append(getattr(stream, "_sock", stream))
            for message in client._stream_helper(response, decode=True):
                said.put(message)
    except Exception as error:  # whatever it is, the other side is waiting
        said.put(error)
    else:
        said.put(None)


def _carry(message: dict[str, Any], log: Log, progress: _Progress, what: str) -> None:
    if "error" in message:
        raise _refused(str(message["error"]), progress, what)
    if "stream" in message:
        text = str(message["stream"])
        _note(text, progress)
        if not OF_THE_ENGINE.match(text):
            log("out", text.encode())
    elif "status" in message and not message.get("progressDetail"):
        identity = f"{message['id']}: " if message.get("id") else ""
        log("out", f"{identity}{message['status']}\n".encode())


def _note(text: str, progress: _Progress) -> None:
    if found := STEP.match(text):
        progress.step = text.strip()
        progress.container = ""
        if found[3].strip().upper().startswith("FROM") and progress.latest:
            progress.stages.append(progress.latest)
    elif found := RUNNING.match(text):
        progress.container = found[1]
    elif found := MADE.match(text):
        progress.latest = found[1]


def _measure(progress: _Progress) -> None:
    """End a build whose image is too large already, or for which the disk has no room."""
    with contextlib.suppress(*engine.Failure, KeyError):
        client = engine.client()
        size = int(client.inspect_image(progress.latest)["Size"]) if progress.latest else 0
        if progress.container:
            answer = client.get(client._url("/containers/{0}/json", progress.container), params={"size": 1})
            size += int(client._result(answer, True).get("SizeRw") or 0)
        if size > settings.CONTAINER_IMAGE_MAX_BYTES:
            raise UserError(f"{too_large(size)}{_at(progress)}")
    root = Path(engine.facts().root or "/nonexistent")
    if root.is_dir() and shutil.disk_usage(root).free < settings.DISK_FREE_MIN_MIB << 20:
        raise PlatformError(f"The disk of the container engine ({root}) is full, so a build was ended.")


def _at(progress: _Progress) -> str:
    return f" in {progress.step[:STEP_SHOWN_MAX]}" if progress.step else ""


def _failed(error: Exception, progress: _Progress, what: str) -> Exception:
    """The engine did not take it, or went away in the middle."""
    if isinstance(error, docker.errors.APIError) and error.is_client_error():
        return _refused(str(error.explanation or error), progress, what)
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return _refused(str(error.explanation), progress, what)
    return PlatformError(f"The container engine went away in a {what}: {error!r}")


def _refused(words: str, progress: _Progress, what: str) -> UserError:
    words = words.strip()[:2000]
    if NEEDS_BUILDKIT.search(words):
        words += "\nImages are built here without BuildKit, so RUN --mount, COPY --link and here-documents do not work."
    if what == "pull":
        return UserError(
            f"The image could not be pulled: {words}\n"
            "Check its name and its tag, and that its registry gives it to anybody."
        )
    if progress.step:
        return UserError(f"{progress.step[:STEP_SHOWN_MAX]} failed: {words}")
    return UserError(f"{dockerfiles.NAME} cannot be built: {words}")
