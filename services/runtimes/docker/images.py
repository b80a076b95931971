"""Images of versions: built from a Dockerfile or pulled by reference, found again by a tag of ours, cleared away.

The key of an environment is the id of the image where it was first made. Another host may make it anew and get another
id, so that what a host runs is found by a tag that has the key in it.
"""

import contextlib
import fcntl
import json
import re
import time
from pathlib import Path
from typing import Any

import docker.errors
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from services.runtimes import home, image_names
from services.runtimes.base import BuildSpec, Log, PlatformError, Prepared, UserError, say
from services.runtimes.docker import building, containers, engine

KEY = re.compile(r"[\w.-]{1,120}")
GRACE_SECONDS = 3600.0  # an image that was just made belongs to a version whose row may not say so yet
STAGE_SECONDS = 86_400.0  # how long what failed or intermediate builds left serves the next build as a cache
STAGE = "stage-"
SYSTEM = ("proc", "sys", "dev")


def repository() -> str:
    """The name of all images of this instance."""
    return f"mercato-{settings.INSTANCE}"


def reference(environment: str) -> str:
    """What this host calls the image of ``environment``."""
    return f"{repository()}:{_hex(environment)}"


def inspect(name: str) -> dict[str, Any] | None:
    """What the engine knows of the image ``name``; None where it has none. Raises PlatformError."""
    try:
        found: dict[str, Any] = engine.client().inspect_image(name)
    except docker.errors.ImageNotFound:
        return None
    except engine.Failure as error:
        raise PlatformError(f"The container engine does not answer: {error}") from error
    return found


def exists(environment: str) -> bool:
    """Whether this host has the image of ``environment``."""
    return KEY.fullmatch(_hex(environment)) is not None and inspect(reference(environment)) is not None


def touch(environment: str) -> None:
    """Note that it is used now: of many images the longest unused goes first."""
    path = _note(environment)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch()


def prepare(spec: BuildSpec, log: Log) -> Prepared:
    """Build or pull what ``spec`` asks for. Raises UserError, or PlatformError."""
    made = _make(spec, spec.image, log)
    environment = str(made["Id"])
    reused = exists(environment)
    _keep(made, environment)
    if spec.image:
        _save_digest(made, environment)
    return Prepared(environment=environment, reused=reused)


def restore(environment: str, spec: BuildSpec, log: Log) -> None:
    """Make the image of ``environment`` again: pulled by its digest, or built from its source."""
    _note(environment).parent.mkdir(mode=0o700, exist_ok=True)
    with _note(environment).with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds it made
        if not exists(environment):
            _keep(_make(spec, _saved_digest(environment) or spec.image, log), environment)


def tidy(*, keep: set[str]) -> None:
    """Remove images that no version in ``keep`` needs, the longest unused beyond the number allowed, and leftovers."""
    client = engine.client()
    now = time.time()
    used: list[tuple[float, str]] = []
    wanted = {_hex(environment) for environment in keep}
    for image in client.images(name=repository()):
        for name in image.get("RepoTags") or []:
            tag = name.rpartition(":")[2]
            age = now - _touched(tag)
            if tag.startswith(STAGE):
                if now - image["Created"] > STAGE_SECONDS:
                    _untag(name)
            elif tag in wanted:
                used.append((age, name))
            elif age > GRACE_SECONDS:
                _untag(name)
    for _, name in sorted(used)[settings.CONTAINER_IMAGES_KEPT :]:
        _untag(name)
    _remove_containers(now)


def _make(spec: BuildSpec, image: str, log: Log) -> dict[str, Any]:
    if image:
        made = _pull(spec, image, log)
    else:
        name = f"{repository()}:{STAGE}{spec.build_id.hex[-16:]}"

        def keep(stage: str, number: int) -> None:
            with contextlib.suppress(*engine.Failure):
                engine.client().tag(stage, *f"{name}-{number}".split(":"))

        building.build(spec, log, name=name, keep=keep)
        made = inspect(name)
    if made is None:
        raise PlatformError("The engine has no image any more that it had a moment ago.")
    if reason := _refusal(made):
        raise UserError(reason)
    return made


def _pull(spec: BuildSpec, image: str, log: Log) -> dict[str, Any] | None:
    if reason := image_names.problem_with(image):
        raise UserError(reason)
    image = image_names.with_tag(image)
    had = inspect(image)
    try:
        building.pull(image, spec, log)
    except UserError:
        if had is None:
            raise
        say(log, f"This host has {image} already, and runs that one.")
    made = inspect(image)
    if made is not None and had is None:
        _keep(made, str(made["Id"]))
        _untag(image)  # it goes on under our name, so that the clean-up finds it
    return made


def _refusal(image: dict[str, Any]) -> str:
    """Why an image cannot run here; empty if it can."""
    config = image.get("Config") or {}
    size = int(image.get("Size") or 0)
    if not config.get("Cmd") and not config.get("Entrypoint"):
        return (
            "The image does not say what to run: it has neither CMD nor ENTRYPOINT. Add one to the Dockerfile, such as "
            'CMD ["python", "-m", "starter.program"].'
        )
    if size > settings.CONTAINER_IMAGE_MAX_BYTES:
        return building.too_large(size)
    volumes = containers.volumes(config)
    if len(volumes) > containers.VOLUMES_MAX:
        return f"The image declares more than {containers.VOLUMES_MAX} volumes. Remove the VOLUME lines: /tmp is free."
    if system := next((path for path in volumes if path == "/" or path.split("/")[1] in SYSTEM), ""):
        return f"The image declares {system} as a volume, which belongs to the system. Remove that VOLUME line."
    user = str(config.get("User") or "").partition(":")[0]
    if len(user) > 256:
        return "The USER of the image is longer than a name can be. Mend the line USER of the Dockerfile."
    return ""


def _keep(image: dict[str, Any], environment: str) -> None:
    try:
        engine.client().tag(image["Id"], repository(), _hex(environment))
    except engine.Failure as error:
        raise PlatformError(f"The engine could not name an image: {error}") from error
    touch(environment)


def _save_digest(image: dict[str, Any], environment: str) -> None:
    digests = image.get("RepoDigests") or []
    if digests and not default_storage.exists(_digest_key(environment)):
        default_storage.save(_digest_key(environment), ContentFile(json.dumps({"image": digests[0]}).encode()))


def _saved_digest(environment: str) -> str:
    with contextlib.suppress(FileNotFoundError, ValueError), default_storage.open(_digest_key(environment)) as file:
        return str(json.loads(file.read()).get("image", ""))
    return ""


def _digest_key(environment: str) -> str:
    return f"images/{_hex(environment)}.json"


def _hex(environment: str) -> str:
    return environment.removeprefix("sha256:")


def _note(environment: str) -> Path:
    return home.jobs_home() / "images" / _hex(environment)


def _touched(tag: str) -> float:
    try:
        return (home.jobs_home() / "images" / tag).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _untag(name: str) -> None:
    with contextlib.suppress(*engine.Failure):  # one that is in use stays until the next time
        engine.client().remove_image(name)
        (home.jobs_home() / "images" / name.rpartition(":")[2]).unlink(missing_ok=True)


def _remove_containers(now: float) -> None:
    """Remove containers of this instance whose run is gone: their worker died in the middle of a clean-up."""
    client = engine.client()
    for found in client.containers(all=True, filters={"label": f"{containers.LABEL}={settings.INSTANCE}"}):
        labels = found.get("Labels") or {}
        slot, run = labels.get("mercato.slot", ""), labels.get("mercato.run", "")
        is_ours = all(part and "/" not in part and not part.startswith(".") for part in (slot, run))
        if not is_ours or (home.jobs_home() / "slots" / slot / run).exists():
            continue
        if now - found["Created"] > containers.ORPHAN_SECONDS:
            with contextlib.suppress(*engine.Failure):
                client.remove_container(found["Id"], force=True, v=True)
