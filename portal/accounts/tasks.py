"""What beat asks of identity."""

from celery import shared_task

from portal.accounts import issuing, sessions


@shared_task(name="accounts.tidy")
def tidy() -> None:
    """Once a day."""
    sessions.forget_expired()
    issuing.forget_expired()
