"""`manage.py backup FILE`: all that this instance cannot make again, in one file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import BaseCommand

from portal.management import backups


class Command(BaseCommand):
    help = "Writes database, stored files and keys to FILE, a tar. The instance may run meanwhile."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="a file that does not exist yet")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            manifest = backups.write(file.resolve())
        except backups.BackupError as error:
            raise CommandError(str(error)) from None
        size = file.stat().st_size / 1024**2
        self.stdout.write(f"Wrote {file}: database, {manifest['files']} files, {size:.1f} MiB.")
        self.stdout.write("It holds the secrets of the instance: keep it where only its operators can read it.")
        if missing := {"secret_key", "encryption_key"} - set(manifest["keys"]):
            self.stdout.write(f"Not in it, because the environment gives them: {', '.join(sorted(missing))}.")
