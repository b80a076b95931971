"""`planqk.commons`, `qhub.commons` and what they need, for code that imports them without listing them.

They lie in a folder that is appended to sys.path when something is imported that nothing else has, so the user's own
packages always win, and a job that imports none of it pays for one object. Where the host has no such folder, or its
packages do not fit the user's, their classes SecretValue and DataPool are stood in for.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as mypy reads it; typing itself costs 7 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

ROOTS = ("planqk", "qhub")
STAND_INS = {"secret": "SecretValue", "datapool": "DataPool"}


class Finder:
    """The last of sys.meta_path: it is asked for what no other finder has.

    ``environment`` is the folder of the host's; empty for none.
    """

    def __init__(self, environment: str) -> None:
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        self.folder = os.path.join(environment, "lib", version, "site-packages") if environment else ""
        self.names: frozenset[str] | None = None
        self.is_older_pydantic = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module below the folder, or of one that is stood in for."""
        root, _, rest = name.partition(".")
        finder = sys.modules["_frozen_importlib_external"].PathFinder
        spec: ModuleSpec | None = None
        if self._has(root) and not (self.is_older_pydantic and root in ROOTS):
            if not self.is_older_pydantic and self.folder not in sys.path:
                sys.path.append(self.folder)
            below = os.path.join(self.folder, *name.split(".")[:-1])
            spec = finder.find_spec(name, None if path is None else [*path, below])
            spec = spec or finder.find_spec(name, [below])
        if spec is None and root in ROOTS:
            spec = self._stand_in(name, rest)
        return spec

    def _has(self, root: str) -> bool:
        if self.names is None:
            try:
                entries = os.listdir(self.folder) if self.folder else []
            except OSError:
                entries = []
            self.names = frozenset(entry.partition(".")[0] for entry in entries)
            # The packages are made for pydantic 2. A user who pins 1 has it, and nothing may come between.
            finder = sys.modules["_frozen_importlib_external"].PathFinder
            has_own = finder.find_spec("pydantic") is not None
            self.is_older_pydantic = has_own and finder.find_spec("pydantic_core") is None
        return root in self.names

    def _stand_in(self, name: str, rest: str) -> ModuleSpec | None:
        if rest not in ("", "commons", *(f"commons.{each}" for each in STAND_INS)):
            return None
        spec: ModuleSpec = sys.modules["_frozen_importlib"].ModuleSpec(
            name, self, is_package=rest in ("", "commons"), origin="mercato"
        )
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The usual module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Give a module that is stood in for its class."""
        from . import stand_ins  # noqa: PLC0415 (hardly ever)

        wanted = STAND_INS.get(module.__name__.rpartition(".")[2])
        if wanted is not None:
            base = getattr(stand_ins, wanted)
            setattr(module, wanted, type(wanted, (base,), {"__module__": module.__name__, "__doc__": base.__doc__}))
