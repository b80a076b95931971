"""Who may do what with a service. Deleted services exist for nobody.

`services.views.get_service(request, service_id, can=rules.can_edit)` fetches and authorises: it looks among
the services of every account the user is a member of (so a stranger gets 404), then asks the rule with (user, service)
(so a member whose role is too small gets 403).
"""

from portal.accounts import rules
from portal.accounts.models import Account, User
from services.models import Service


def can_create(user: User, account: Account) -> bool:
    """Maintainers make services."""
    return rules.can_maintain(user, account.pk)


def can_view(user: User, service: Service) -> bool:
    """Every member of the account sees it."""
    return service.deleted_at is None and rules.can_view(user, service.account_id)


def can_edit(user: User, service: Service) -> bool:
    """Maintainers change it, add versions and ask for builds."""
    return service.deleted_at is None and rules.can_maintain(user, service.account_id)


def can_delete(user: User, service: Service) -> bool:
    """Owners delete it."""
    return service.deleted_at is None and rules.can_own(user, service.account_id)


def can_publish(user: User, service: Service) -> bool:
    """Maintainers publish and retire versions, and share the service."""
    return can_edit(user, service)
