"""Who may do what with jobs."""

from jobs.models import Job
from portal.accounts import rules
from portal.accounts.models import User


def can_view(user: User, job: Job) -> bool:
    """Members of the account that ran the job. Its provider is not among them."""
    return rules.can_view(user, job.account_id)


def can_cancel(user: User, job: Job) -> bool:
    """Who may start jobs may end them."""
    return rules.can_maintain(user, job.account_id)


def can_delete(user: User, job: Job) -> bool:
    """And remove what they left."""
    return rules.can_maintain(user, job.account_id)
