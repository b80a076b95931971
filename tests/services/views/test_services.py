"""My services, a new one, and one service."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from services import template
from services.models import Build, BuildStatus, Service
from tests.factories import BuildFactory, JobFactory, ServiceFactory, ServiceVersionFactory
from tests.services.views.conftest import HTMX, sent, zip_upload

pytestmark = pytest.mark.django_db
EVIL = '<script>alert("x")</script>'


@pytest.fixture(autouse=True)
def signed_in(client, provider):
    client.force_login(provider)


def text(response) -> str:
    return response.content.decode()


# The list


def test_the_list_has_name_summary_build_and_version(client, service, build):
    page = text(client.get(reverse("services:list")))
    for words in ("Sum", "Sums values", "1.0.0", "Built", service.get_absolute_url()):
        assert words in page


def test_the_list_shows_my_services_only(client, consumer_account):
    ServiceFactory(account=consumer_account, name="Of the consumer")
    assert "Of the consumer" not in text(client.get(reverse("services:list")))


def test_without_services_the_next_step_is_the_template(client):
    page = text(client.get(reverse("services:list")))
    assert page.index(reverse("services:template")) < page.rindex(reverse("services:create"))


def test_the_list_asks_again_only_while_a_build_is_live(client, version):
    build = BuildFactory(version=version, status=BuildStatus.RUNNING)
    assert 'hx-trigger="every 3s"' in text(client.get(reverse("services:list")))
    Build.objects.filter(pk=build.pk).update(status=BuildStatus.FAILED)
    page = text(client.get(reverse("services:list")))
    assert 'hx-trigger="every 3s"' not in page
    assert "Failed" in page


def test_a_poll_that_finds_nothing_new_changes_nothing(client, version):
    build = BuildFactory(version=version, status=BuildStatus.RUNNING)
    seen = client.get(reverse("services:list")).context["seen"]
    poll = HTMX | {"X-Seen": seen}
    assert client.get(reverse("services:list"), headers=poll).status_code == 204
    Build.objects.filter(pk=build.pk).update(status=BuildStatus.SUCCEEDED)
    response = client.get(reverse("services:list"), headers=poll)
    assert "Built" in text(response)
    assert "<html" not in text(response)


def test_a_search_for_a_very_long_text_finds_nothing(client, service):
    assert client.get(reverse("services:list"), {"q": "a" * 60_000}).status_code == 200


def test_search_finds_letters_of_name_and_summary(client, provider_account):
    ServiceFactory(account=provider_account, name="Annealer", summary="Solves QUBOs")
    ServiceFactory(account=provider_account, name="Sampler", summary="Draws")
    page = text(client.get(reverse("services:list"), {"q": "qubo"}))
    assert "Annealer" in page
    assert "Sampler" not in page
    page = text(client.get(reverse("services:list"), {"q": "nothing like it"}))
    assert "No service matches" in page


def test_pages_by_key(client, provider_account):
    names = [f"Service number {number:02d}" for number in range(60)]
    for name in names:
        ServiceFactory(account=provider_account, name=name)
    shown, url = [], reverse("services:list") + "?q=number"
    for _ in range(3):
        response = client.get(url)
        shown += [service.name for service in response.context["page"].rows]
        url = reverse("services:list") + response.context["page"].older
    assert shown == names[::-1]
    assert response.context["page"].older == ""
    back = client.get(reverse("services:list") + response.context["page"].newer)
    assert [service.name for service in back.context["page"].rows] == names[10:35][::-1]
    assert back.context["query"] == "number"


# A new service


def test_the_form_offers_the_template_first(client):
    page = text(client.get(reverse("services:create")))
    assert page.index(reverse("services:template")) < page.index('name="upload"')


def test_the_template_is_a_zip(client):
    response = client.get(reverse("services:template"))
    assert response.headers["Content-Type"] == "application/zip"
    assert "attachment" in response.headers["Content-Disposition"]
    assert response.content == template.as_zip()


def test_creating_goes_on_at_the_first_build(client, form_data):
    response = client.post(reverse("services:create"), form_data)
    service = Service.objects.get(name="Max-cut")
    build = Build.objects.get(version__service=service)
    assert response.status_code == 302
    assert response.url == reverse("services:build", args=[service.pk, build.pk])
    version = build.version
    assert (version.cpu_millis, version.memory_mib, version.time_limit_seconds) == (500, 1536, 600)
    assert (service.summary, service.description, version.network) == ("Cuts graphs", "# Cuts", "none")


def test_creating_by_htmx_sends_the_browser_on(client, form_data):
    response = client.post(reverse("services:create"), form_data, headers=HTMX)
    assert response.headers["HX-Redirect"].endswith(f"/builds/{Build.objects.get().pk}/")


def test_a_bad_zip_is_said_at_the_field_and_loses_nothing(client, form_data):
    form_data["upload"] = SimpleUploadedFile("code.zip", b"no zip")
    response = client.post(reverse("services:create"), form_data, headers=HTMX)
    assert response.status_code == 422
    assert list(sent(response)) == ["upload"]
    page = text(response)
    assert "<html" not in page  # the form alone, which htmx puts around the file that stays chosen
    assert 'value="Max-cut"' in page
    assert "# Cuts" in page
    assert 'value="1.5"' in page
    assert '<option value="GiB" selected>' in page
    assert "hx-preserve" in page
    assert not Service.objects.exists()


def test_without_script_the_answer_is_the_whole_page(client, form_data):
    form_data["name"] = ""
    response = client.post(reverse("services:create"), form_data)
    assert response.status_code == 422
    assert "<html" in text(response)
    assert list(sent(response)) == ["name"]


def test_a_syntax_error_comes_with_its_line_and_a_caret_as_code(client, form_data):
    form_data["upload"] = zip_upload(**{"src/program.py": "def run(data, params):\n    return data +\n"})
    page = text(client.post(reverse("services:create"), form_data, headers=HTMX))
    assert "src/program.py, line 2" in page
    excerpt = re.search(r'<pre\s+class="field__excerpt"[^>]*>(.*?)</pre>', page, re.DOTALL)
    line, caret = excerpt[1].splitlines()
    assert line == "return data +"
    assert caret.strip() == "^"


def test_what_is_too_much_is_said_at_its_field(client, form_data, settings):
    settings.JOB_MEMORY_MIB_MAX = 1024
    response = client.post(reverse("services:create"), form_data, headers=HTMX)
    assert response.status_code == 422
    assert list(sent(response)) == ["memory_mib"]


def test_a_bad_description_of_the_api_is_said_at_its_field(client, form_data):
    form_data["openapi_file"] = SimpleUploadedFile("openapi.yml", b"openapi: 2.0")
    response = client.post(reverse("services:create"), form_data, headers=HTMX)
    assert list(sent(response)) == ["openapi_file"]


def test_the_network_is_closed_where_the_operator_keeps_it_so(client, form_data):
    page = text(client.get(reverse("services:create")))
    assert "The operator of this instance keeps the network of every job closed." in page
    client.post(reverse("services:create"), form_data | {"network": "open"})
    assert Build.objects.get().version.network == "none"


def test_the_network_opens_where_the_operator_allows_it(client, form_data, settings):
    settings.JOB_NETWORK_ALLOWED = True
    client.post(reverse("services:create"), form_data | {"network": "open"})
    assert Build.objects.get().version.network == "open"


def test_a_service_belongs_to_the_account_of_the_switcher(client, form_data, provider_account):
    client.post(reverse("services:create"), form_data)
    assert Service.objects.get().account == provider_account


# Descriptions


def test_the_preview_renders_as_the_page_does(client):
    response = client.post(reverse("services:preview_description"), {"description": f"# Title\n\n**bold** {EVIL}"})
    page = text(response)
    assert "<h3>Title</h3>" in page
    assert "<strong>bold</strong>" in page
    assert "<script" not in page


def test_nothing_of_a_provider_runs_in_the_browser(client, service, build):
    Service.objects.filter(pk=service.pk).update(
        name=EVIL, summary=EVIL, description=f"{EVIL} [click](javascript:alert(1)) ![x](javascript:alert(1))"
    )
    build.version.source_name = f"{EVIL}.zip"
    build.version.warnings = [EVIL]
    build.version.save()
    for name in ("list", "detail", "versions", "builds", "api", "settings", "version_create"):
        arguments = [] if name == "list" else [service.pk]
        page = text(client.get(reverse(f"services:{name}", args=arguments)))
        assert "<script>alert" not in page
        assert 'href="javascript:' not in page


# One service


def test_the_overview_has_description_facts_and_the_button_to_run(client, service, build):
    page = text(client.get(service.get_absolute_url()))
    assert "<strong>all</strong>" in page
    assert f"{reverse('jobs:create')}?service={service.pk}" in page


def test_before_the_first_build_nothing_can_be_run(client, service):
    BuildFactory(version=ServiceVersionFactory(service=service, built=False), status=BuildStatus.RUNNING)
    page = text(client.get(service.get_absolute_url()))
    assert reverse("jobs:create") + "?service" not in page
    assert "A job can run once a build has succeeded." in page


def test_warnings_of_the_source_check_are_shown(client, service, build):
    build.version.warnings = ["requirements.txt: there is none."]
    build.version.save()
    assert "requirements.txt: there is none." in text(client.get(service.get_absolute_url()))


def test_the_head_follows_the_build_and_takes_the_actions_along(client, service):
    version = ServiceVersionFactory(service=service, built=False)
    build = BuildFactory(version=version, status=BuildStatus.RUNNING)
    response = client.get(service.get_absolute_url())
    assert 'hx-trigger="every 3s"' in text(response)
    poll = HTMX | {"X-Seen": response.context["seen"]}
    assert client.get(service.get_absolute_url(), headers=poll).status_code == 204
    Build.objects.filter(pk=build.pk).update(status=BuildStatus.SUCCEEDED)
    version.environment = "key"
    version.save()
    part = text(client.get(service.get_absolute_url(), headers=poll))
    assert "Built" in part
    assert "every 3s" not in part
    assert 'id="service-actions" hx-swap-oob="true"' in part
    assert reverse("jobs:create") in part


# Settings and the end


def test_settings_change_what_people_read(client, service, build):
    data = {"name": "Sum of all", "summary": "Adds", "description": ""}
    response = client.post(reverse("services:settings", args=[service.pk]), data)
    assert response.status_code == 302
    service.refresh_from_db()
    assert (service.name, service.summary, service.description) == ("Sum of all", "Adds", "")


def test_settings_refuse_with_422_and_keep_what_was_typed(client, service, build):
    data = {"name": "", "summary": "Adds", "description": "New words"}
    response = client.post(reverse("services:settings", args=[service.pk]), data, headers=HTMX)
    assert response.status_code == 422
    assert "New words" in text(response)
    assert "<html" not in text(response)
    service.refresh_from_db()
    assert service.name == "Sum"


def test_the_dialog_names_what_is_lost(client, service, build):
    page = text(client.get(reverse("services:settings", args=[service.pk])))
    assert "Delete Sum?" in page
    assert "Its 1 version and 1 build" in page


def test_deleting(client, service, build):
    response = client.post(reverse("services:delete", args=[service.pk]), follow=True)
    assert response.request["PATH_INFO"] == reverse("services:list")
    assert "Sum is deleted." in text(response)
    service.refresh_from_db()
    assert service.deleted_at is not None


def test_a_service_with_a_live_job_is_not_deleted_and_the_page_says_why(client, service, build):
    JobFactory(version=build.version, status="RUNNING")
    response = client.post(reverse("services:delete", args=[service.pk]))
    assert response.status_code == 422
    assert "Sum was not deleted" in text(response)
    assert response.context["objections"]
    service.refresh_from_db()
    assert service.deleted_at is None


# Speed


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_asks_the_database_as_often_for_many_as_for_one(
    client, provider_account, django_assert_max_num_queries, count
):
    for _ in range(count):
        BuildFactory(version__service__account=provider_account)
    client.get(reverse("services:create"))  # the first page of a session writes it down
    with django_assert_max_num_queries(5):
        client.get(reverse("services:list"))


@pytest.mark.parametrize("name", ["detail", "settings", "api", "versions", "builds", "version_create"])
def test_a_page_of_a_service_needs_few_queries(client, service, build, django_assert_max_num_queries, name):
    for _ in range(5):
        BuildFactory(version=build.version, status=BuildStatus.FAILED)
    client.get(reverse("services:create"))
    with django_assert_max_num_queries(11):
        assert client.get(reverse(f"services:{name}", args=[service.pk])).status_code == 200
