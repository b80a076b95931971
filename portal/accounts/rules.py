"""Who may do what in an account. Other apps build their own rules from these."""

from uuid import UUID

from django.core.exceptions import PermissionDenied

from portal.accounts.models import ROLES, Account, Application, Membership, User, role_in


def has_role(user: User, account_id: UUID, least: str) -> bool:
    """Whether ``user`` has the role ``least`` in the account, or a larger one."""
    role = role_in(user, account_id)
    return role is not None and ROLES.index(role) >= ROLES.index(least)


def refused(need: str, account: Account) -> PermissionDenied:
    """What a member reads who may look, but not do this. ``need`` is a clause: "Running jobs needs the role …"."""
    return PermissionDenied(f"{need} in {account}. Ask an owner of that account for it.")


def can_view(user: User, account_id: UUID) -> bool:
    """Members see what the account owns."""
    return has_role(user, account_id, Membership.Role.VIEWER)


def can_maintain(user: User, account_id: UUID) -> bool:
    """Maintainers make and change things, and run jobs."""
    return has_role(user, account_id, Membership.Role.MAINTAINER)


def can_own(user: User, account_id: UUID) -> bool:
    """Owners delete things and manage members."""
    return has_role(user, account_id, Membership.Role.OWNER)


def can_create_application(user: User, account: Account) -> bool:
    """Maintainers make applications."""
    return can_maintain(user, account.pk)


def can_view_application(user: User, application: Application) -> bool:
    """Every member of the account sees it; nobody sees a secret again."""
    return application.deleted_at is None and can_view(user, application.account_id)


def can_change_application(user: User, application: Application) -> bool:
    """Maintainers rename it, add and revoke secrets, subscribe and unsubscribe it."""
    return application.deleted_at is None and can_maintain(user, application.account_id)


def can_delete_application(user: User, application: Application) -> bool:
    """Owners delete it."""
    return application.deleted_at is None and can_own(user, application.account_id)
