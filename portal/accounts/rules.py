"""Who may do what in an account. Other apps build their own rules from these."""

from uuid import UUID

from portal.accounts.models import ROLES, Membership, User, role_in


def has_role(user: User, account_id: UUID, least: str) -> bool:
    """Whether ``user`` has the role ``least`` in the account, or a larger one."""
    role = role_in(user, account_id)
    return role is not None and ROLES.index(role) >= ROLES.index(least)


def can_view(user: User, account_id: UUID) -> bool:
    """Members see what the account owns."""
    return has_role(user, account_id, Membership.Role.VIEWER)


def can_maintain(user: User, account_id: UUID) -> bool:
    """Maintainers make and change things, and run jobs."""
    return has_role(user, account_id, Membership.Role.MAINTAINER)


def can_own(user: User, account_id: UUID) -> bool:
    """Owners delete things and manage members."""
    return has_role(user, account_id, Membership.Role.OWNER)
