"""Drivers that run versions. They know no model and no other app: data goes in, events come out.

`get(name)` imports a driver on first use. Adding one: a module here that passes the contract suite in
tests/services/runtimes/, and a line in REGISTRY.
"""

from functools import cache
from importlib import import_module

from services.runtimes.base import Runtime

REGISTRY = {"python": "services.runtimes.python:PythonRuntime"}


@cache
def get(name: str) -> Runtime:
    """The driver called ``name``. Raises KeyError for one that is not registered."""
    module, _, cls = REGISTRY[name].partition(":")
    driver: Runtime = getattr(import_module(module), cls)()
    return driver
