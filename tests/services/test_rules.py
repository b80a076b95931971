"""Who may do what with a service."""

import pytest
from django.utils import timezone

from portal.accounts.models import Membership
from services import rules
from tests.factories import MembershipFactory, ServiceFactory, UserFactory


@pytest.fixture
def service(provider_account):
    return ServiceFactory(account=provider_account)


def may(user, service):
    """What ``user`` may do, in one word each."""
    asked = {
        "create": rules.can_create(user, service.account),
        "view": rules.can_view(user, service),
        "edit": rules.can_edit(user, service),
        "publish": rules.can_publish(user, service),
        "delete": rules.can_delete(user, service),
    }
    return {word for word, answer in asked.items() if answer}


def test_an_owner_may_everything(service, provider):
    assert may(provider, service) == {"create", "view", "edit", "publish", "delete"}


def test_a_maintainer_may_all_but_delete(service):
    maintainer = UserFactory()
    MembershipFactory(account=service.account, user=maintainer, role=Membership.Role.MAINTAINER)
    assert may(maintainer, service) == {"create", "view", "edit", "publish"}


def test_a_viewer_may_look(service, teammate):
    assert may(teammate, service) == {"view"}


def test_a_stranger_and_a_consumer_may_nothing(service, stranger, consumer):
    assert may(stranger, service) == may(consumer, service) == set()


def test_a_deleted_service_exists_for_nobody(service, provider):
    service.deleted_at = timezone.now()
    assert may(provider, service) == {"create"}
