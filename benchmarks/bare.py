"""A bare Django view that reads one row by key: what the gateway is measured against. No part of the product.

`python -m benchmarks.bare` serves it at `/<key>` as `up` serves the product: same server, same database. With
BARE_MIDDLEWARE=1 behind the middleware of the product, else behind none.
"""

import os
import sys

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()
if "BARE_MIDDLEWARE" not in os.environ:
    settings.MIDDLEWARE = []
settings.ROOT_URLCONF = "benchmarks.bare"

from jobs.models import Job  # noqa: E402 (needs the apps)


def one_row(request: HttpRequest, key: str) -> JsonResponse:
    """The view."""
    response = JsonResponse(Job.objects.values("id", "status", "created_at", "ended_at").get(pk=key))
    response["Content-Length"] = str(len(response.content))  # as CommonMiddleware does, which may not be there
    return response


urlpatterns = [path("<uuid:key>", one_row)]
application = WSGIHandler()

if __name__ == "__main__":
    from portal.management.processes import web_command

    *command, _ = web_command()
    os.execv(sys.executable, [*command, "benchmarks.bare:application"])
