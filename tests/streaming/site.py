"""The map, the views and the WSGI application of the site."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template import engines
from django.urls import path
from django.views.static import serve

from portal.lib import lifeline, sse

PAGE = """{% load static %}<!doctype html>
<html lang="en"{% if theme %} data-theme="{{ theme }}"{% endif %}>
    <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Log</title>
        <link rel="stylesheet" href="{% static 'css/main.css' %}" />
        <link rel="icon" href="data:," />
        <script src="{% static 'vendor/htmx.min.js' %}" nonce="{{ request.csp_nonce }}" defer></script>
        <script src="{% static 'js/sizes.js' %}" nonce="{{ request.csp_nonce }}" defer></script>
        <meta name="htmx-config" content='{"allowEval":false,"includeIndicatorStyles":false}' />
    </head>
    <body>
        <main class="shell__main">
            <h1>Log</h1>
            {% include "components/log_viewer.html" with stream_url=stream_url download_url=download_url live=live %}
        </main>
    </body>
</html>"""


def log_page(request: HttpRequest, log_id: str) -> HttpResponse:
    context = {
        "stream_url": f"/stream/{log_id}",
        "download_url": f"/download/{log_id}",
        "live": "ended" not in request.GET,
        "theme": request.GET.get("theme", ""),
    }
    return HttpResponse(engines["django"].from_string(PAGE).render(context, request))


def stream(request: HttpRequest, log_id: str) -> HttpResponseBase:
    return sse.log_response(request, "job", log_id, 1)


def download(request: HttpRequest, log_id: str) -> HttpResponseBase:
    return sse.log_download("job", log_id, 1, filename=f"job-{log_id}.log")


def taken(request: HttpRequest) -> JsonResponse:
    """How many streams are open in this process."""
    return JsonResponse({"taken": sse._slots.taken})


urlpatterns = [
    path("log/<log_id>", log_page),
    path("stream/<log_id>", stream),
    path("download/<log_id>", download),
    path("taken", taken),
    path("static/<path:path>", serve, {"document_root": settings.BASE_DIR / "static"}),
]

if os.environ.get("DJANGO_SETTINGS_MODULE") == "tests.streaming.settings":
    application = get_wsgi_application()
    sse.end_with_process()
    lifeline.end_with_parent_in_group()
