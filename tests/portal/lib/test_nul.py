"""Addresses with a NUL in them."""

import pytest
from django.urls import reverse

from tests.factories import JobFactory, ServiceVersionFactory

pytestmark = pytest.mark.django_db


def test_they_are_refused_before_a_database_does(client, provider, provider_account):
    client.force_login(provider)
    version = ServiceVersionFactory(service__account=provider_account)
    job = JobFactory(account=provider_account, version=version)
    api = reverse("services:api", args=[version.service_id])
    files = reverse("jobs:files", args=[job.pk])
    for url in (
        "/services/?q=%00",
        "/find/?q=a%00",
        f"{api}?version=%00",
        f"{files}a%00b",
        "/accounts/confirm-email/%00/",
    ):
        assert client.get(url).status_code == 400, url


def test_an_encoded_percent_sign_is_none(client, provider):
    client.force_login(provider)
    assert client.get("/services/?q=%2500").status_code == 200
