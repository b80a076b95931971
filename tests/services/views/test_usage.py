"""The tab Usage: counts, durations and error classes, and nothing of a consumer."""

import pytest
from django.urls import reverse
from django.utils import timezone

from portal.lib.ids import new_id
from services import metering

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(service, version, consumer_account):
    for outcome, reason in (("SUCCEEDED", ""), ("SUCCEEDED", ""), ("FAILED", "out_of_memory")):
        metering.record(
            job_id=new_id(),
            service_id=service.pk,
            version_id=version.pk,
            account_id=consumer_account.pk,
            subscription_id=None,
            outcome=outcome,
            reason=reason,
            wall_seconds=2.5,
            cpu_seconds=1.0,
            ended_at=timezone.now(),
        )
    return reverse("services:usage", args=[service.pk])


def test_it_shows_counts_durations_and_error_classes(client, teammate, page, django_assert_max_num_queries):
    client.force_login(teammate)
    with django_assert_max_num_queries(18):
        shown = client.get(page).content.decode()
    for text in ("out_of_memory", "2.5 s", "Succeeded 2", "Failed 1", "chart__bar--failed"):
        assert text in shown
    assert "Consumer<" not in shown
    assert "consumer@" not in shown


def test_the_period_is_chosen(client, provider, page):
    client.force_login(provider)
    assert client.get(page, {"days": "7"}).context["days"] == 7
    for odd in ("", "8", "x", "-1"):
        assert client.get(page, {"days": odd}).context["days"] == 30


def test_without_an_execution_it_says_so(client, provider, service, version):
    client.force_login(provider)
    assert b"Nothing ran in this time" in client.get(reverse("services:usage", args=[service.pk])).content


def test_others_find_nothing(client, page, stranger, consumer):
    for user in (stranger, consumer):
        client.force_login(user)
        assert client.get(page).status_code == 404
    client.logout()
    assert client.get(page).url.startswith(reverse("account_login"))
