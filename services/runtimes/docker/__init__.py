"""Runs containers: images that a Dockerfile project is built to, or that a registry has, one container a job.

The Engine API of Docker or Podman is spoken through the `docker` package. It serves where an engine answers; elsewhere
`unavailable` says why, and nothing else of this package is asked.
"""

import contextlib
import os
import re
import secrets
from pathlib import Path

from django.conf import settings

from services.runtimes import home, older_templates, sandbox
from services.runtimes.base import BuildSpec, JobSpec, Log, PlatformError, Prepared
from services.runtimes.docker import containers, engine, execution, groups, images, watcher
from services.runtimes.docker.execution import ContainerExecution
from services.runtimes.sandbox import launch
from services.runtimes.slots import RUN_PREFIX, Slot

OPEN_MODE = 0o777  # of an output folder where the image's own user may be anybody
START_PROBLEM = re.compile(r'exec: ("[^"]*": [^:]+)|(exec [^:]+: exec format error)')


class DockerRuntime:
    """The driver called `docker`."""

    name = "docker"

    def unavailable(self) -> str:
        return engine.problem()

    def tier(self) -> str:
        found = sandbox.host().tier  # the engine holds limits by control groups, whatever we ourselves may make
        return found if found in ("v1", "v2") else "v2"

    def prepare(self, spec: BuildSpec, slot: Slot, log: Log) -> Prepared:
        return images.prepare(spec, log)

    def is_prepared(self, environment: str) -> bool:
        return images.exists(environment)

    def lack(self, environment: str) -> str:
        return ""

    def restore(self, environment: str, spec: BuildSpec, slot: Slot, log: Log) -> None:
        images.restore(environment, spec, log)

    def start(self, spec: JobSpec, slot: Slot) -> ContainerExecution:
        if not self.is_prepared(spec.environment):
            raise PlatformError(f"This host has no image {spec.environment}; it must be restored first.")
        while (left := execution.attach(slot)) is not None:
            left.discard()
        sandbox.clear(slot)
        run = slot.folder / f"{RUN_PREFIX}{secrets.token_hex(4)}"
        group: dict[str, Path] = {}
        try:
            _make_folders(spec, slot, run)
            extra = spec.limits.output_bytes if sandbox.host().has_tmpfs else 0
            group, parent = groups.create(f"mercato-{slot.name}-{run.name}", spec.limits, extra_bytes=extra)
            return _launch(spec, slot, run, group, parent)
        except engine.Failure as error:
            execution.remove(run, group)
            raise PlatformError(f"The engine made no container: {error}") from error
        except OSError as error:
            execution.remove(run, group)
            raise PlatformError(f"A container could not be prepared in {slot.folder}: {error}") from error

    def attach(self, slot: Slot) -> ContainerExecution | None:
        return execution.attach(slot)

    def tidy(self, *, keep: set[str]) -> None:
        """Remove the images that no environment in ``keep`` is, those beyond a number, and containers without a run."""
        if not self.unavailable():
            images.tidy(keep=keep)


def _make_folders(spec: JobSpec, slot: Slot, run: Path) -> None:
    run.mkdir(mode=0o710)
    if home.is_root():
        os.chown(run, 0, slot.uid)  # the slot's user passes, as the group of it, and nobody else
    for name in ("input", "datapool", "older"):
        (run / name).mkdir()
    launch.write_inputs(slot, run / "input", spec.inputs)
    for inside, target in older_templates.LINKS.items():
        link = run / "older" / Path(inside).relative_to(containers.OLDER)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
    _open(run)
    for name in watcher.SPOOLS.values():
        (run / name).touch(mode=0o600)
    launch.make_output(slot, run / "output", spec.limits)
    if settings.CONTAINER_ROOT_ALLOWED:
        (run / "output").chmod(OPEN_MODE)


def _open(run: Path) -> None:
    """Let everybody read what is in ``run``: inside, the user may be another one, and outside none passes through."""
    for parent, folders, files in os.walk(run):
        for path in (Path(parent) / name for name in (*folders, *files)):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o644)


def _launch(spec: JobSpec, slot: Slot, run: Path, group: dict[str, Path], parent: str) -> ContainerExecution:
    reference = images.reference(spec.environment)
    body = containers.options(spec, reference=reference, slot=slot, run=run, parent=parent)
    record = execution.new_record(spec, slot=slot, run=run, group=group)
    execution.write_record(run, record)
    starting = execution.send_watcher(run, to_wait=True)  # it wakes up while the engine makes the container
    assert starting is not None
    assert starting.stdin is not None
    with contextlib.closing(starting.stdin) as go:
        client = engine.client()
        try:
            client.create_container_from_config(body, record["name"])
            slot.check_lease()
            (run / watcher.STARTING).touch()
            client.start(record["name"])
        except (*engine.Failure, OSError) as error:
            with contextlib.suppress(*engine.Failure):
                client.remove_container(record["name"], force=True, v=True)
            if (words := _users_fault(error)) is None:
                raise
            watcher.write_end(str(run), {"exit_code": None, "start_error": words})
        else:
            go.write(watcher.GO)
    return ContainerExecution(run, record)


def _users_fault(error: Exception) -> str | None:
    """What is wrong with the command of an image, in the engine's words; None where something else is wrong."""
    found = START_PROBLEM.search(str(error))
    return f"{found[1] or found[2]}." if found else None
