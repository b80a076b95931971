"""News about jobs for the layers above. Nothing below jobs listens."""

from django.dispatch import Signal

job_finished = Signal()
"""A job reached its final state. Sent once a job, after the commit, with ``job`` (jobs.models.Job) as argument.

Receivers run in the worker that settled the job, so they only ring tasks. An error in one is logged and stops nothing.
"""
