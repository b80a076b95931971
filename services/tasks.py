"""What the doorbell rings. Each task calls verbs."""

from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from portal.lib import doorbell
from services import builds


@shared_task(name="services.look")
def look() -> None:
    """There may be a build for a slot of this host."""
    builds.look()


@shared_task(name="services.tick")
def tick() -> None:
    """Every two seconds: have orphaned builds wait again, ring for what waits, finish logs."""
    builds.reap()
    builds.ring_again()
    builds.close_left_open()


@shared_task(name="services.tidy")
def tidy() -> None:
    """Every hour: remove what no version needs any more."""
    builds.tidy()


@worker_ready.connect
def take_up_leftovers(sender: Any, **_: Any) -> None:
    """A worker that starts looks once a slot: builds may wait since before it."""
    if "builds" in sender.app.amqp.queues.consume_from:
        for _slot in range(settings.BUILD_SLOTS):
            doorbell.ring("services.look")


@worker_shutting_down.connect
def let_go(**_: Any) -> None:
    """A planned stop: what is being built waits again."""
    builds.stopping.set()
