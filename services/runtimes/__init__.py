"""Drivers that run versions. They know no model and no other app: data goes in, events come out.

`get(name)` imports a driver on first use. Adding one: a module here that passes the contract suite in
tests/services/runtimes/, and a line in REGISTRY.
"""

from functools import cache
from importlib import import_module

from django.conf import settings

from services.runtimes import sandbox
from services.runtimes.base import Runtime

REGISTRY = {
    "python": "services.runtimes.python:PythonRuntime",
    "docker": "services.runtimes.docker:DockerRuntime",
}

OPTIONAL = ("docker",)  # what a host may lack; the work for these waits for another host


@cache
def get(name: str) -> Runtime:
    """The driver called ``name``. Raises KeyError for one that is not registered."""
    module, _, cls = REGISTRY[name].partition(":")
    driver: Runtime = getattr(import_module(module), cls)()
    return driver


def interpreters() -> list[str]:
    """The versions of Python that this host has for jobs, such as 3.11: the default first. Empty if it runs none."""
    return list(dict.fromkeys(interpreter.number for interpreter in sandbox.host().interpreters))


def missing() -> list[str]:
    """The drivers that this host may lack, and lacks now."""
    return [name for name in OPTIONAL if get(name).unavailable()]


def lack(name: str, environment: str) -> str:
    """What this host would need for jobs in ``environment`` and does not have, in words; empty if it has all."""
    if name not in REGISTRY or get(name).unavailable():
        return ""
    return get(name).lack(environment)


def refusal(name: str) -> str:
    """Why no version can be made for the driver ``name``, in words; empty if one can, here or on another host."""
    if name not in OPTIONAL or settings.CONTAINERS == "elsewhere":
        return ""
    return get(name).unavailable()
