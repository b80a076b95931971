"""`manage.py restore FILE`: makes this instance what a backup says."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import BaseCommand

from portal.management import backups


class Command(BaseCommand):
    help = "Restores what `backup` wrote. The instance must be stopped, and must hold no data unless --force is given."
    requires_system_checks = ()  # they may ask a database that is not there yet

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="a file that `backup` wrote")
        parser.add_argument("--force", action="store_true", help="put what this instance holds aside")

    def handle(self, *args: Any, file: Path, force: bool, **options: Any) -> None:
        try:
            manifest = backups.restore(file.resolve(), force=force)
        except backups.BackupError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Restored the state of {manifest['made_at']}: database and {manifest['files']} files.")
        self.stdout.write("The next `make up` brings the database up to date. Jobs that ran then will end as lost.")
