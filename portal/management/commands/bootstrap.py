"""`manage.py bootstrap`: creates the demo, or finds it, and says how to sign in."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management import CommandError
from django.core.management.base import BaseCommand

from portal.accounts.actors import Actor
from portal.management import calling, demo
from portal.management.building import wait_for_build
from services.models import BuildStatus


class Command(BaseCommand):
    help = "Creates or finds the demo: two people, services to try, and an application that may call one."
    requires_system_checks = ()  # `up` runs it at each start, and checks are slow

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the demo for scripts")
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the builds of the services")

    def handle(self, *args: Any, **options: Any) -> None:
        found = demo.find_or_create()
        failures = [] if options["no_wait"] else self._failed_builds(found)
        demo.offer(found)
        facts = found.as_json()
        if options["json"]:
            self.stdout.write(json.dumps(facts, indent=2))
        else:
            self.stdout.write(f"Open {facts['url']} and sign in:")
            for key in demo.PEOPLE:
                self.stdout.write(f"  {facts[key]['email']}  {facts[key]['password']}")
            self.stdout.write(f"A service to begin with: {facts['service']['page']}")
            if facts["service_endpoint"]:
                self.stdout.write("Call it:")
                for line in calling.lines(facts):
                    self.stdout.write(f"  {line}")
        if failures:
            raise CommandError("\n".join(failures))

    def _failed_builds(self, found: demo.Demo) -> list[str]:
        """What failed, once every build has ended."""
        by = Actor(user=found.people["user"])
        ended = [
            wait_for_build(imported.version, by=by) for imported in found.services if not imported.version.is_runnable
        ]
        return [f"The {build} failed: {build.detail}" for build in ended if build.status == BuildStatus.FAILED]
