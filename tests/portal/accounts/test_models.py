import threading

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from portal.accounts.models import Account, Membership, User, role_in
from tests.factories import AccountFactory, MembershipFactory, ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_a_new_user_owns_a_personal_account_named_after_them():
    user = User.objects.create_user("ada@example.com", name="Ada")
    account = user.personal_account
    assert (account.kind, account.slug, account.name) == (Account.Kind.PERSONAL, "ada", "Ada")
    assert role_in(user, account.pk) == Membership.Role.OWNER


def test_without_a_name_the_account_shows_no_whole_address():
    user = User.objects.create_user("ada@example.com")
    assert str(user) == "ada@example.com"
    assert user.personal_account.name == "ada"


def test_saving_again_makes_no_second_account():
    user = UserFactory()
    user.name = "Other"
    user.save()
    assert Account.objects.of(user).count() == 1


@pytest.mark.parametrize(
    ("email", "slug"), [("ada.b+c@example.com", "adabc"), ("+@example.com", "account"), ("é@example.com", "e")]
)
def test_the_slug_comes_from_the_address(email: str, slug: str):
    assert User.objects.create_user(email).personal_account.slug == slug


def test_a_slug_that_is_taken_gets_an_ending():
    first, second, third = (User.objects.create_user(f"ada@{host}.example") for host in ("a", "b", "c"))
    assert first.personal_account.slug == "ada"
    assert second.personal_account.slug.startswith("ada-")
    assert second.personal_account.slug != third.personal_account.slug


@pytest.mark.django_db(transaction=True)
def test_of_two_who_sign_up_at_once_with_one_slug_both_get_an_account():
    both_ready = threading.Barrier(2)

    def sign_up(host: str) -> None:
        both_ready.wait()
        User.objects.create_user(f"ada@{host}.example")
        connection.close()

    threads = [threading.Thread(target=sign_up, args=(host,)) for host in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Account.objects.filter(slug__startswith="ada", memberships__role="owner").count() == 2


def test_addresses_are_kept_and_found_in_lower_case():
    user = User.objects.create_user("Ada@Example.COM", "correct horse battery staple")
    assert user.email == "ada@example.com"
    assert User.objects.get_by_natural_key("ADA@example.com") == user
    assert authenticate(None, email="ADA@example.com", password="correct horse battery staple") == user


def test_two_users_cannot_share_an_address_in_different_case():
    UserFactory(email="ada@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        UserFactory(email="ADA@example.com")


def test_the_database_itself_refuses_upper_case():
    user = UserFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=user.pk).update(email="ADA@example.com")


def test_a_user_without_an_address_is_refused():
    with pytest.raises(ValueError, match="needs an email address"):
        User.objects.create_user("")


def test_renaming_a_person_renames_their_own_account_only():
    user = UserFactory(name="Ada")
    organization = MembershipFactory(user=user).account
    user.rename("Ada Lovelace")
    assert [account.name for account in Account.objects.of(user)] == ["Ada Lovelace", organization.name]


def test_the_personal_account_comes_first_also_beside_that_of_another_person(provider, teammate):
    UserFactory.reset_sequence()
    provider.rename("Aaron")
    names = [account.name for account in Account.objects.of(teammate)]
    teammate.load_memberships()
    assert names == ["Teammate", "Aaron"]
    assert [membership.account.name for membership in teammate.memberships.all()] == names


def test_a_stranger_has_no_role(provider_account, teammate, stranger):
    assert role_in(teammate, provider_account.pk) == Membership.Role.VIEWER
    assert role_in(stranger, provider_account.pk) is None


def test_one_membership_a_user_and_account(provider, provider_account):
    with pytest.raises(IntegrityError), transaction.atomic():
        MembershipFactory(user=provider, account=provider_account)


def test_a_personal_account_needs_its_person():
    with pytest.raises(IntegrityError), transaction.atomic():
        AccountFactory(kind=Account.Kind.PERSONAL)


def test_deleting_a_person_takes_the_empty_account_along(provider, provider_account):
    provider.delete()
    assert not Account.objects.filter(pk=provider_account.pk).exists()


def test_a_person_whose_account_owns_something_cannot_be_deleted(provider, provider_account):
    ServiceFactory(account=provider_account)
    with pytest.raises(IntegrityError), transaction.atomic():
        provider.delete()


def test_the_first_operator_comes_from_the_command_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery staple")
    call_command("createsuperuser", "--noinput", "--email", "Root@example.com", verbosity=0)
    operator = User.objects.get(email="root@example.com")
    assert operator.is_staff
    assert operator.is_superuser
    assert operator.check_password("correct horse battery staple")
    assert operator.emailaddress_set.get().verified
    assert operator.personal_account.slug == "root"
