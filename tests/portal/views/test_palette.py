"""What Ctrl-K finds, and whose."""

import pytest
from django.urls import reverse

from portal.views.palette import PLACES, id_range
from tests.factories import JobFactory, ServiceFactory, ServiceVersionFactory


@pytest.fixture
def job(provider_account):
    service = ServiceFactory(account=provider_account, name="Portfolio optimiser")
    return JobFactory(version=ServiceVersionFactory(service=service), status="SUCCEEDED")


def found(client, user, query, **headers):
    client.force_login(user)
    return client.get(reverse("palette"), {"q": query}, headers=headers).content.decode()


def test_it_finds_services_and_their_jobs_by_part_of_the_name(client, provider, job):
    html = found(client, provider, "optim", hx_request="true")
    assert job.version.service.get_absolute_url() in html
    assert job.get_absolute_url() in html
    assert "<html" not in html


@pytest.mark.parametrize("length", [4, 8, 13, 36])
def test_it_finds_a_job_by_the_beginning_of_its_id(client, provider, job, length):
    assert job.get_absolute_url() in found(client, provider, str(job.pk)[:length])


def test_it_finds_a_job_by_the_id_that_lists_show(client, provider, stranger, job):
    assert job.get_absolute_url() in found(client, provider, job.short_id)
    assert job.get_absolute_url() in found(client, provider, job.short_id[:5].upper())
    assert job.get_absolute_url() not in found(client, stranger, job.short_id)


def test_it_finds_a_service_by_its_id(client, provider, job):
    assert job.version.service.get_absolute_url() in found(client, provider, str(job.version.service_id))


def test_it_finds_pages_by_their_other_names(client, provider):
    assert reverse("mfa_index") in found(client, provider, "totp", hx_request="true")


@pytest.mark.parametrize("query", ["", "optimiser", "Portfolio"])
def test_a_stranger_finds_nothing_of_it(client, stranger, job, query):
    html = found(client, stranger, query)
    assert "Portfolio optimiser" not in html
    assert str(job.pk) not in html


def test_a_stranger_finds_nothing_by_id(client, stranger, job):
    assert job.get_absolute_url() not in found(client, stranger, str(job.pk))


def test_it_finds_what_others_offer_to_the_account(client, stranger, job):
    offer = ServiceVersionFactory(service=job.version.service, publication="internal").service.get_offer_url()
    assert offer not in found(client, stranger, "optimiser")
    job.version.publication = "marketplace"
    job.version.save()
    assert offer in found(client, stranger, "optimiser", hx_request="true")
    assert offer not in found(client, stranger, "")


def test_it_says_that_nothing_was_found(client, provider):
    html = found(client, provider, "<b>nothing")
    assert "&lt;b&gt;nothing" in html
    assert "Nothing in this account" in html


def test_no_more_than_eight_of_a_kind(client, provider, provider_account):
    ServiceFactory.create_batch(12, account=provider_account, name="Same name")
    assert found(client, provider, "same name", hx_request="true").count("Same name") == 8


@pytest.mark.django_db
def test_it_asks_to_sign_in(client):
    assert client.get(reverse("palette")).status_code == 302


@pytest.mark.django_db
def test_every_place_exists(admin_client):
    for place in PLACES:
        assert admin_client.get(place.url).status_code in (200, 302), place.title


@pytest.mark.parametrize("query", ["abc", "xyz1", "1234 5678", "0" * 33, "optimiser"])
def test_what_is_no_beginning_of_an_id_is_a_name(query):
    assert id_range(query) == (None, None)
