"""Every component in its states, for those who build pages. Only where the demo is on."""

import re
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from services import contracts
from services.contracts import Contract

SWATCHES = (
    *("paper", "surface", "sunken", "hover", "line", "line-strong", "ink", "ink-soft", "ink-faint"),
    *("accent", "accent-strong", "accent-tint", "stripe", "running", "running-tint", "succeeded", "succeeded-tint"),
    *("failed", "failed-tint", "waiting", "waiting-tint"),
)
SCHEMA = {  # a control of each kind
    "type": "object",
    "description": "Every kind of control",
    "required": ["name", "shape", "start", "weights"],
    "properties": {
        "name": {"type": "string", "description": "A text", "minLength": 2, "maxLength": 40},
        "shots": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100_000,
            "default": 1024,
            "description": "A whole number",
        },
        "shape": {"enum": ["ring", "star"], "description": "One of a few"},
        "backend": {"enum": ["local", "near", "far", "anywhere"], "default": "local"},
        "verbose": {"type": "boolean", "description": "Yes or no", "default": False},
        "seed": {"type": ["integer", "null"], "description": "May be null"},
        "day": {"type": "string", "format": "date"},
        "mail": {"type": "string", "format": "email"},
        "text": {"type": "string", "maxLength": 2000, "description": "A long text"},
        "passes": {"type": "array", "uniqueItems": True, "items": {"enum": ["layout", "routing", "timing"]}},
        "weights": {
            "type": "array",
            "items": {"type": "number", "minimum": 0},
            "description": "Numbers",
            "minItems": 1,
        },
        "labels": {"type": "array", "items": {"type": "string"}, "description": "Texts"},
        "start": {
            "type": "object",
            "required": ["x", "y"],
            "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
        },
        "options": {"type": "object", "additionalProperties": {"type": "number"}, "description": "Names and values"},
        "stop": {
            "description": "One of several forms",
            "oneOf": [
                {"title": "After rounds", "type": "object", "required": ["rounds"], "additionalProperties": False}
                | {"properties": {"rounds": {"type": "integer", "default": 10}}},
                {"title": "Never", "const": "never"},
            ],
        },
        "more": {"description": "Anything"},
    },
}
SCHEMA_VALUE = """{
  "name": "Ring",
  "shape": "ring",
  "seed": null,
  "weights": [0.5, 1.50, 12345678901234567890],
  "labels": ["a", "b"],
  "start": {"x": 1, "y": 2},
  "options": {"alpha": 1},
  "stop": {"rounds": 3},
  "unknown": {"kept": true}
}"""
STATUSES = ("QUEUED", "STARTING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")
JSON = """{
  "pi": 3.14159265358979, "samples": 1000000, "exact": 12345678901234567890, "converged": true, "seed": null,
  "rounds": [{"round": 1, "estimate": 3.1408}, {"round": 2, "estimate": 3.1421}, {"round": 3, "estimate": 3.1415}],
  "note": "Long texts are cut. %s", "empty": {}
}""" % ("The rest opens on demand. " * 20)


class SampleForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(help_text="Shown in lists and on its own page.")
    summary = forms.CharField(required=False, widget=forms.Textarea)
    runtime = forms.ChoiceField(choices=[("python", "Python"), ("container", "Container")])
    memory = forms.IntegerField(help_text="MiB, at most 8192.", initial=1024, max_value=8192)
    network = forms.ChoiceField(
        choices=[("none", "Closed"), ("open", "Open")], widget=forms.RadioSelect, initial="none"
    )
    keep = forms.BooleanField(label="Keep the results for a year", required=False, help_text="Else for 30 days.")
    source = forms.FileField(label="Source", help_text="A zip of the project's content, at most 50 MiB.")
    settings = forms.CharField(label="Settings as JSON", widget=forms.Textarea, initial=SCHEMA_VALUE)
    document = forms.CharField(label="Data", widget=forms.Textarea, initial='{\n  "values": [100, 50, 0.5]\n}')


@login_required
@require_GET
def styleguide(request: HttpRequest) -> HttpResponse:
    """All of it on one page; `?toast` sends a message of each kind."""
    if not settings.DEMO:
        raise Http404("The styleguide is shown where the demo is on.")
    if "toast" in request.GET:
        for level in ("info", "success", "warning", "error"):
            getattr(messages, level)(request, f"This is how a message of the kind {level} reads.")
    return render(request, "portal/styleguide.html", samples())


def samples() -> dict[str, Any]:
    """What the components show."""
    now = timezone.now()
    return {
        "swatches": SWATCHES,
        "icons": icons(),
        "statuses": STATUSES,
        "form": SampleForm(),
        "invalid_form": SampleForm({"memory": 9000, "document": "{", "runtime": "wasm"}),
        "control": contracts.control_of(Contract(document={}), SCHEMA),
        "violations": [{"pointer": "/weights/0", "message": "must be at least 1."}],
        "json": JSON,
        "moments": [now - timedelta(seconds=seconds) for seconds in (4, 72, 5400, 260_000, 9_000_000)],
        "since": now - timedelta(seconds=75),
        "rows": [(status, now - timedelta(minutes=place * 7)) for place, status in enumerate(STATUSES, 1)],
        "far": {"fraction": 0.42, "message": "42 of 100 cities", "since": now - timedelta(seconds=95), "at": now},
        "done": steps("SUCCEEDED", now),
        "live": steps("RUNNING", now),
        "curl": "curl -X POST https://mercato.example/gateway/acme/sum/1.0.0/ \\\n"
        "  -H 'Authorization: Bearer mct_…' \\\n  -d '{\"data\": {\"values\": [100, 50]}}'",
    }


def icons() -> list[str]:
    """The names in the sprite."""
    return re.findall(r'<symbol id="([a-z_-]+)"', (settings.BASE_DIR / "static" / "icons.svg").read_text())


def steps(status: str, now: Any) -> list[dict[str, Any]]:
    """The timeline of a job that is RUNNING or has SUCCEEDED."""
    ended_at = None if status == "RUNNING" else now - timedelta(seconds=2)
    waiting_at, starting_at, started_at = (now - timedelta(seconds=seconds) for seconds in (19, 16, 15))
    end = ("Succeeded", "SUCCEEDED") if ended_at else ("Result", "QUEUED")
    return [
        {"label": "Waiting", "status": "QUEUED", "at": waiting_at, "ended_at": starting_at},
        {"label": "Starting", "status": "STARTING", "at": starting_at, "ended_at": started_at},
        {"label": "Running", "status": "RUNNING", "at": started_at, "ended_at": ended_at},
        {"label": end[0], "status": end[1], "at": ended_at, "is_point": True},
    ]
