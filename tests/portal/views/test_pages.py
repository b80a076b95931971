"""Landing page and dashboard."""

import pytest
from django.urls import reverse

from tests.factories import BuildFactory, JobFactory, ServiceFactory, ServiceVersionFactory


@pytest.fixture
def service(provider_account):
    return ServiceFactory(account=provider_account, name="Sum of everything")


def dashboard(client, user, **headers):
    client.force_login(user)
    return client.get(reverse("dashboard"), headers=headers)


@pytest.mark.django_db
def test_the_landing_page_says_what_it_is_and_leads_in(client):
    html = client.get("/").content.decode()
    assert "Open a stall for your Python" in html
    assert reverse("account_signup") in html
    assert reverse("account_login") in html


@pytest.mark.django_db
def test_the_landing_page_mentions_the_demo_only_where_there_is_one(client, settings):
    settings.DEMO = True
    assert "landing__demo" in client.get("/").content.decode()
    settings.DEMO = False
    assert "landing__demo" not in client.get("/").content.decode()


def test_the_landing_page_leads_the_signed_in_to_their_dashboard(client, provider):
    client.force_login(provider)
    html = client.get("/").content.decode()
    assert reverse("dashboard") in html
    assert reverse("account_signup") not in html


@pytest.mark.django_db
def test_the_dashboard_asks_to_sign_in(client):
    answer = client.get(reverse("dashboard"))
    assert answer.status_code == 302
    assert reverse("account_login") in answer.url


def test_an_empty_account_reads_what_to_do_first(client, provider):
    html = dashboard(client, provider).content.decode()
    assert "Open your first stall" in html
    assert reverse("services:template") in html
    assert reverse("services:create") in html


def test_a_viewer_of_an_empty_account_is_not_told_to_make_what_they_may_not(client, teammate, provider_account):
    client.force_login(teammate)
    client.post(reverse("accounts:switch"), {"account": provider_account.pk, "next": "/dashboard/"})
    html = client.get(reverse("dashboard")).content.decode()
    assert "Nothing here yet" in html
    assert reverse("services:create") not in html.split('id="board"')[1]


def test_the_dashboard_shows_running_and_latest_jobs_and_services_with_their_builds(client, provider, service):
    version = ServiceVersionFactory(service=service)
    BuildFactory(version=version, status="FAILED")
    BuildFactory(version=version, status="SUCCEEDED")
    running, ended = JobFactory(version=version, status="RUNNING"), JobFactory(version=version, status="FAILED")
    html = dashboard(client, provider).content.decode()
    before, _, after = html.partition("Latest jobs")
    assert running.get_absolute_url() in before
    assert ended.get_absolute_url() in after
    services = html.partition('id="services-title"')[2]
    assert "Sum of everything" in services
    assert "Built" in services
    assert "Failed" not in services.partition("</section>")[0]


def test_it_polls_only_while_something_is_live(client, provider, service):
    version = ServiceVersionFactory(service=service)
    job = JobFactory(version=version, status="RUNNING")
    assert 'hx-trigger="every 3s"' in dashboard(client, provider).content.decode()
    type(job).objects.update(status="SUCCEEDED")
    assert 'hx-trigger="every 3s"' not in dashboard(client, provider).content.decode()


def test_a_poll_gets_the_board_alone(client, provider, service):
    html = dashboard(client, provider, hx_request="true").content.decode()
    assert 'id="board"' in html
    assert "<html" not in html


def test_nobody_sees_what_is_in_another_account(client, stranger, service):
    JobFactory(version=ServiceVersionFactory(service=service), status="RUNNING")
    assert "Sum of everything" not in dashboard(client, stranger).content.decode()


def test_many_jobs_cost_no_more_queries(client, provider, service, django_assert_max_num_queries):
    version = ServiceVersionFactory(service=service)
    for status in ("RUNNING", "SUCCEEDED", "QUEUED", "FAILED"):
        JobFactory.create_batch(3, version=version, status=status)
    BuildFactory.create_batch(3, version=version, status="SUCCEEDED")
    client.force_login(provider)
    client.get(reverse("dashboard"))
    with django_assert_max_num_queries(8):
        client.get(reverse("dashboard"))


@pytest.mark.django_db
def test_browsers_that_look_for_an_icon_by_themselves_find_it(client):
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer.url) == (302, "/static/favicon.ico")
