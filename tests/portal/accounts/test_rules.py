import pytest
from pytest_django import DjangoAssertNumQueries

from portal.accounts import rules
from portal.accounts.models import Membership
from tests.factories import AccountFactory, MembershipFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("role", "views", "maintains", "owns"),
    [
        (Membership.Role.VIEWER, True, False, False),
        (Membership.Role.MAINTAINER, True, True, False),
        (Membership.Role.OWNER, True, True, True),
    ],
)
def test_roles_grow(consumer, role: str, views: bool, maintains: bool, owns: bool):
    account = AccountFactory()
    MembershipFactory(account=account, user=consumer, role=role)
    assert rules.can_view(consumer, account.pk) is views
    assert rules.can_maintain(consumer, account.pk) is maintains
    assert rules.can_own(consumer, account.pk) is owns


def test_a_stranger_may_nothing(provider_account, stranger):
    assert not rules.can_view(stranger, provider_account.pk)
    assert not rules.can_maintain(stranger, provider_account.pk)
    assert not rules.can_own(stranger, provider_account.pk)


def test_the_user_of_a_request_is_judged_without_a_query(
    provider, provider_account, django_assert_num_queries: DjangoAssertNumQueries
):
    provider.load_memberships()
    with django_assert_num_queries(0):
        assert rules.can_own(provider, provider_account.pk)
        assert rules.can_view(provider, provider_account.pk)
