import pytest
from django.urls import reverse

from portal.accounts import quotas
from tests.factories import JobFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


@pytest.fixture(autouse=True)
def _limits(settings):
    settings.JOBS_RUNNING_MAX, settings.JOBS_QUEUED_MAX = 0, 7
    settings.STORAGE_MAX_BYTES, settings.RETENTION_DAYS = 1000, 30


def test_an_account_has_the_limits_of_the_settings_but_for_its_own(provider_account, consumer_account):
    quotas.set_limits(account=provider_account, running_jobs=2, storage_bytes=0)
    own, general = quotas.limits_of(provider_account.pk), quotas.limits_of(consumer_account.pk)
    assert own == quotas.Limits(running_jobs=2, queued_jobs=7, storage_bytes=None, retention_days=30)
    assert general == quotas.Limits(running_jobs=None, queued_jobs=7, storage_bytes=1000, retention_days=30)


def test_what_is_kept_is_counted(provider_account):
    assert quotas.storage_of(provider_account.pk) == 0
    quotas.charge(provider_account.pk, 10)
    quotas.charge(provider_account.pk, -4)
    quotas.charge(provider_account.pk, 0)
    assert quotas.storage_of(provider_account.pk) == 6


def test_members_see_limits_and_use(client, provider, teammate):
    account = provider.personal_account
    quotas.set_limits(account=account, running_jobs=1)
    quotas.charge(account.pk, 2048)
    JobFactory(account=account)
    client.force_login(provider)
    page = " ".join(client.get(reverse("limits")).content.decode().split())
    for said in ("2 KiB", "30 days", "Jobs that wait", ">7<", ">1<"):
        assert said in page.replace("> ", ">").replace(" <", "<"), said


def test_jobs_that_are_kept_for_ever_are_not_said_to_be_removed(client, provider, settings):
    settings.RETENTION_DAYS = 0
    client.force_login(provider)
    page = client.get(reverse("limits")).content.decode()
    assert "Somebody deletes it" in page
    assert "The job is removed" not in page


def test_nobody_sees_those_of_another_account(client, provider):
    quotas.set_limits(account=provider.personal_account, queued_jobs=4711)
    client.force_login(UserFactory())
    assert "4,711" not in client.get(reverse("limits")).content.decode()


def test_an_operator_sets_limits(admin_client, provider_account):
    address = reverse("admin:accounts_account_change", args=[provider_account.pk])
    page = admin_client.get(address)
    assert page.status_code == 200
    assert "Queued jobs" in page.content.decode()
    forms = {f"{name}-{count}_FORMS": 0 for name in ("memberships", "limits") for count in ("TOTAL", "INITIAL")}
    row = {"limits-TOTAL_FORMS": 1, "limits-0-account": provider_account.pk, "limits-0-queued_jobs": "5"}
    sent = {"slug": provider_account.slug, "name": provider_account.name, **forms, **row}
    assert admin_client.post(address, sent).status_code == 302
    assert quotas.limits_of(provider_account.pk).queued_jobs == 5
