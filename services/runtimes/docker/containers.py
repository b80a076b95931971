"""What the container of a job is told: everything that it sees of the host, and every limit, is named here."""

import math
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from services.runtimes import older_templates, sandbox
from services.runtimes.base import JobSpec, Limits
from services.runtimes.docker import engine
from services.runtimes.docker.engine import Facts
from services.runtimes.sandbox.launch import SPOOL_MAX_BYTES
from services.runtimes.slots import Slot

LABEL = "mercato.instance"  # tells our containers and images from others', and instances apart
PERIOD_MICROSECONDS = 100_000
OPEN_FILES_MAX = 16_384
OOM_SCORE = 500
VOLUMES_MAX = 20
ORPHAN_SECONDS = 60  # a container without a run may be one whose maker is just about to write that down
OLDER = "/var/input"  # where the templates of 2022 and 2024 look for their input
LOG_FILES = 2


def options(spec: JobSpec, *, reference: str, slot: Slot, run: Path, parent: str) -> dict[str, Any]:
    """The body of the request that makes the container of ``spec`` from the image ``reference``.

    ``parent`` is the control group around its own, empty where there is none.
    """
    limits, facts = spec.limits, engine.facts()
    config = engine.client().inspect_image(reference).get("Config") or {}
    scratch = max(limits.memory_bytes // 2, 1 << 20)
    memory = limits.memory_bytes + (limits.output_bytes if sandbox.host().has_tmpfs else 0)
    host = {
        "NetworkMode": "default" if limits.network else "none",
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": limits.processes,
        "CpuPeriod": PERIOD_MICROSECONDS,
        "CpuQuota": max(1000, limits.cpu_millis * PERIOD_MICROSECONDS // 1000),
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "IpcMode": "private",
        "ShmSize": scratch,
        "OomScoreAdj": OOM_SCORE,
        "Ulimits": [
            {"Name": "core", "Soft": 0, "Hard": 0},
            # The group counts exactly; this is the second lock, and Podman would ask for more than a host may give.
            {"Name": "nproc", "Soft": 2 * limits.processes, "Hard": 2 * limits.processes},
            {"Name": "nofile", "Soft": OPEN_FILES_MAX, "Hard": OPEN_FILES_MAX},
        ],
        "Binds": [f"{outside}:{inside}:{mode}" for outside, inside, mode in binds(run)],
        "Tmpfs": _tmpfs(config, scratch),
        "LogConfig": _logging(facts),
        "RestartPolicy": {"Name": "no"},
        "UsernsMode": "host" if facts.has_user_namespaces else "",
        "CgroupParent": parent,
    }
    return {
        "Image": reference,
        "Hostname": "job",
        "User": "" if settings.CONTAINER_ROOT_ALLOWED else f"{slot.uid}:{slot.uid}",
        "Env": [f"{name}={value}" for name, value in variables(spec, config).items()],
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {
            LABEL: settings.INSTANCE,
            "mercato.job": str(spec.job_id),
            "mercato.attempt": str(spec.attempt),
            "mercato.slot": slot.name,
            "mercato.run": run.name,
        },
        "OpenStdin": False,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "HostConfig": host,
    }


def binds(run: Path) -> list[tuple[Path, str, str]]:
    """What of the run folder the container sees, and where."""
    return [
        (run / "input", sandbox.INPUT, "ro"),
        (run / "datapool", sandbox.DATAPOOL, "ro"),
        (run / "output", sandbox.OUTPUT, "rw"),
        (run / "older", OLDER, "ro"),
    ]


def variables(spec: JobSpec, config: Mapping[str, Any]) -> dict[str, str]:
    """The variables that a container gets on top of its image's own, secrets among them."""
    own = {entry.partition("=")[0] for entry in config.get("Env") or []}
    defaults = {
        "HOME": sandbox.TMP,  # its user has no other folder to write to
        "TMPDIR": sandbox.TMP,
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",  # else a log comes in one piece, at the end
        "OMP_NUM_THREADS": str(_cpus(spec.limits)),
    }
    return {
        **{name: value for name, value in defaults.items() if name not in own},
        "INPUT_DIRECTORY": sandbox.INPUT,
        "OUTPUT_DIRECTORY": sandbox.OUTPUT,
        "DATAPOOL_DIRECTORY": sandbox.DATAPOOL,
        **older_templates.variables(spec.inputs),
        **spec.variables,
    }


def _cpus(limits: Limits) -> int:
    return max(1, math.ceil(limits.cpu_millis / 1000))


def _tmpfs(config: Mapping[str, Any], scratch: int) -> dict[str, str]:
    """Where it may write: /tmp, and what the image calls a volume, which would else be a folder of the host."""
    wanted = f"rw,exec,nosuid,nodev,size={scratch},mode=1777"
    ours = (sandbox.INPUT, sandbox.OUTPUT, sandbox.DATAPOOL, OLDER)
    places = [path for path in volumes(config)[:VOLUMES_MAX] if path not in ours]
    return dict.fromkeys((sandbox.TMP, "/var/tmp", *places), wanted)  # noqa: S108 (tmpfs of its own)


def volumes(config: Mapping[str, Any]) -> list[str]:
    """What an image calls its volumes."""
    return [posixpath.normpath(f"/{path.strip('/')}") for path in config.get("Volumes") or {}]


def _logging(facts: Facts) -> dict[str, Any]:
    """The engine keeps all of the log until the watcher has it, so that one which comes late finds every byte."""
    size = f"{SPOOL_MAX_BYTES // 1024 // 1024 + 64}m"
    config = {"max-size": size}
    if facts.log_driver == "local":
        config |= {"max-file": str(LOG_FILES), "compress": "false"}
    elif facts.log_driver == "json-file":
        config |= {"max-file": str(LOG_FILES)}
    return {"Type": facts.log_driver, "Config": config}
