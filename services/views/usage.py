"""What happened to a service, as its provider may know it: counts, durations and error classes."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from portal.accounts.requests import AccountRequest
from services import metering
from services.metering import Day, Usage
from services.views import get_service, shell

PERIODS_DAYS = (7, 30, 90)
OUTCOMES = {"SUCCEEDED": "Succeeded", "FAILED": "Failed", "CANCELLED": "Cancelled"}
CHART_HEIGHT = 100
BAR_WIDTH = 10
GAP = 2
BAR_MIN = 2  # one failure among thousands is still seen


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A part of the chart: the executions of one day with one outcome."""

    kind: str
    x: int
    y: float
    height: float


@login_required
@require_GET
def index(request: AccountRequest, service_id: UUID) -> HttpResponse:
    """Executions by day and outcome, why some failed, how long they took."""
    service = get_service(request, service_id)
    days = next((days for days in PERIODS_DAYS if str(days) == request.GET.get("days")), metering.DAYS_DEFAULT)
    usage = metering.usage(service, days)
    context = shell(request, service, "usage") | {
        "usage": usage,
        "days": days,
        "periods": PERIODS_DAYS,
        "bars": _bars(usage),
        "chart_width": days * BAR_WIDTH,
        "most": max(day.total for day in usage.days),
        "outcomes": [(name, label, usage.outcomes.get(name, 0)) for name, label in OUTCOMES.items()],
        "reasons": usage.reasons.items(),
        "active_days": [
            (day.on, [day.outcomes.get(name, 0) for name in OUTCOMES], day.total)
            for day in reversed(usage.days)
            if day.total
        ],
    }
    return render(request, "services/service_usage.html", context)


def _bars(usage: Usage) -> list[Bar]:
    most = max(day.total for day in usage.days) or 1
    return [bar for n, day in enumerate(usage.days) for bar in _bars_of(day, x=n * BAR_WIDTH, most=most)]


def _bars_of(day: Day, *, x: int, most: int) -> list[Bar]:
    bars: list[Bar] = []
    top = float(CHART_HEIGHT)
    for name in OUTCOMES:
        if count := day.outcomes.get(name, 0):
            height = max(count / most * CHART_HEIGHT, BAR_MIN)
            top = max(top - height, 0)
            bars.append(Bar(kind=name.lower(), x=x, y=round(top, 2), height=round(height, 2)))
    return bars
