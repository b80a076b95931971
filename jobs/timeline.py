"""The life of a job as the steps of components/timeline.html."""

from typing import Any

from jobs.models import FINAL, Job, Status


def steps(job: Job) -> list[dict[str, Any]]:
    """Waiting, starting, running and the end, each with when it began and when it ended."""
    claimed_at, started_at, ended_at = job.claimed_at, job.started_at, job.ended_at
    return [
        {"label": "Waiting", "status": Status.QUEUED, "at": job.created_at, "ended_at": claimed_at or ended_at},
        {"label": "Starting", "status": Status.STARTING, "at": claimed_at, "ended_at": started_at or ended_at},
        {"label": "Running", "status": Status.RUNNING, "at": started_at, "ended_at": ended_at},
        {
            "label": job.get_status_display() if job.status in FINAL else "Result",
            "status": job.status if job.status in FINAL else Status.QUEUED,
            "at": ended_at,
            "is_point": True,
        },
    ]
