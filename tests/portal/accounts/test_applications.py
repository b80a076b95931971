"""Applications and their secrets: what is made, what is refused, what dies at once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from portal.accounts import applications
from portal.accounts.actors import Actor
from portal.accounts.models import Application, ApplicationSecret
from portal.lib import tokens
from tests.factories import ApplicationFactory, ApplicationSecretFactory
from tests.refusals import refusal


@pytest.fixture
def by(consumer):
    return Actor(user=consumer)


@pytest.fixture
def application(consumer_account):
    return ApplicationFactory(account=consumer_account, name="Report")


def test_a_new_application_has_a_key_and_a_secret_of_which_only_the_digest_is_kept(consumer_account, consumer, by):
    application, text = applications.create_application(account=consumer_account, name="  Nightly   report ", by=by)
    secret = application.secrets.get()
    assert application.name == "Nightly report"
    assert application.access_key_id.startswith("mck_")
    assert text.startswith("mcs_")
    assert (secret.digest, secret.ending) == (tokens.digest(text), text[-4:])
    assert (application.created_by, secret.created_by, secret.is_live) == (consumer, consumer, True)
    rows = str([*Application.objects.values(), *ApplicationSecret.objects.values()])
    assert text not in rows


@pytest.mark.parametrize("name", ["", "  ", "a\x07b", "x" * 101, "Report"])
def test_a_name_that_cannot_be_is_refused(consumer_account, application, by, name):
    refused = refusal(applications.create_application, account=consumer_account, name=name, by=by)
    assert list(refused) == ["name"]
    assert Application.objects.count() == 1


def test_two_accounts_may_have_the_same_name(provider_account, application, by):
    applications.create_application(account=provider_account, name="Report", by=by)


def test_a_name_may_be_kept_but_not_taken(consumer_account, application, by):
    assert applications.rename(application=application, name="Report", by=by).name == "Report"
    ApplicationFactory(account=consumer_account, name="Other")
    assert list(refusal(applications.rename, application=application, name="Other", by=by)) == ["name"]
    applications.rename(application=application, name="Weekly", by=by)
    application.refresh_from_db()
    assert application.name == "Weekly"


def test_deleting_frees_the_name_and_is_final(consumer_account, application, by):
    at = applications.delete_application(application=application, by=by).deleted_at
    assert at is not None
    assert applications.delete_application(application=application, by=by).deleted_at == at
    assert not Application.objects.visible_to(consumer_account).exists()
    assert "deleted" in str(refusal(applications.rename, application=application, name="Other", by=by))
    assert "deleted" in str(refusal(applications.add_secret, application=application, by=by))
    applications.create_application(account=consumer_account, name="Report", by=by)


def test_two_secrets_are_live_at_once_and_a_third_waits_for_a_revocation(application, by):
    first, _ = applications.add_secret(application=application, by=by)
    second, text = applications.add_secret(application=application, by=by)
    assert second.digest == tokens.digest(text)
    refused = refusal(applications.add_secret, application=application, by=by)
    assert "2 live secrets" in refused[""]
    assert "Revoke" in refused[""]
    assert application.secrets.count() == 2
    at = applications.revoke_secret(secret=first, by=by).revoked_at
    assert first.state == "revoked"
    applications.add_secret(application=application, by=by)
    assert applications.revoke_secret(secret=first, by=by).revoked_at == at


def test_an_expired_secret_makes_room(application, by):
    ApplicationSecretFactory(application=application)
    expired = ApplicationSecretFactory(application=application, expires_at=timezone.now() - timedelta(seconds=1))
    assert expired.state == "expired"
    assert application.secrets.live().count() == 1
    secret, _ = applications.add_secret(
        application=application, by=by, expires_at=timezone.now() + timedelta(minutes=1)
    )
    assert secret.is_live


def test_a_secret_cannot_expire_before_it_is_made(application, by):
    past = timezone.now() - timedelta(seconds=1)
    assert list(refusal(applications.add_secret, application=application, by=by, expires_at=past)) == ["expires_at"]
    assert not application.secrets.exists()
