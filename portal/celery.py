"""The Celery app. Tasks are found in each app's tasks.py; queues and rings are explained in portal.lib.doorbell."""

import os
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import beat_embedded_init

from portal.lib import lifeline

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
# Celery advises against root; only root can give each job a user of its own, and nothing here unpickles messages.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("mercato")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@beat_embedded_init.connect
def _end_with_worker(**_: Any) -> None:
    # The beat of `worker --beat` is a process that the worker forks; a second one would ring twice as often.
    lifeline.end_with_parent_in_group()
