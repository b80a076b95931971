"""Waiting for a build at the command line, where perhaps no worker runs."""

import time

import redis
from django.conf import settings
from django.core.management import CommandError

from portal.accounts.actors import Actor
from services import builds
from services.models import Build, BuildStatus, ServiceVersion

LOOKS_EVERY_SECONDS = 0.1
CLAIMED_WITHIN_SECONDS = 3  # by a worker, if one runs


def wait_for_build(version: ServiceVersion, *, by: Actor) -> Build:
    """The last build of ``version``, once it has ended. One that has failed before is tried once more.

    Where no worker takes it, this process builds it.
    """
    build = version.builds.latest("id")
    if build.is_live or build.status == BuildStatus.FAILED:
        _require_broker(version)
    if build.status == BuildStatus.FAILED:
        build = builds.request_build(version=version, by=by)
    looks_itself_at = time.monotonic() + CLAIMED_WITHIN_SECONDS
    while build.is_live:
        if build.status == BuildStatus.QUEUED and time.monotonic() > looks_itself_at:
            builds.look()  # nothing happens while a worker of this host has the slots
        time.sleep(LOOKS_EVERY_SECONDS)
        build.refresh_from_db()
    version.refresh_from_db()
    return build


def _require_broker(version: ServiceVersion) -> None:
    """Without the broker a build has no log, so none is made; it is not lost either."""
    try:
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        raise CommandError(
            f"{version} is saved and waits for its build, but the broker does not answer ({error}). "
            "Start the instance (make up, or Redis and a worker): it builds what waits."
        ) from error
