import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from jobs import claiming, secrets, views
from jobs.models import Job, JobAttempt, JobInput, JobInterim, Status
from portal.accounts import quotas
from portal.accounts.models import Membership
from portal.lib import logstream
from tests.factories import (
    JobFactory,
    JobFileFactory,
    MembershipFactory,
    ServiceFactory,
    ServiceVersionFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

PAGES = ("detail", "result", "files", "log", "input")


@pytest.fixture
def job(provider_account):
    return JobFactory(
        version__service__account=provider_account,
        version__service__name="Sum",
        account=provider_account,
        status=Status.SUCCEEDED,
        input={"data": '{"values": [1, 2]}'},
    )


@pytest.fixture
def version(provider_account):
    return ServiceVersionFactory(service__account=provider_account)


@pytest.fixture
def described(provider_account):
    """A version whose description says what it takes."""
    properties = {
        "data": {
            "type": "object",
            "required": ["values"],
            "properties": {"values": {"type": "array", "items": {"type": "number"}}},
        },
        "params": {"type": "object"},
        "backend": {"type": "string"},
        "$secrets": {"type": "object", "properties": {"token": {"type": "string"}}},
    }
    post = {"requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}}}
    head = {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}}
    return ServiceVersionFactory(
        service__account=provider_account,
        openapi=json.dumps({**head, "paths": {"/": {"post": post | {"responses": {}}}}}),
        openapi_origin="uploaded",
    )


@pytest.fixture
def maintainer(provider_account):
    return MembershipFactory(account=provider_account, role=Membership.Role.MAINTAINER).user


def new_job(version):
    return f"{reverse('jobs:create')}?service={version.service_id}"


def url(name, job, *args):
    return reverse(f"jobs:{name}", args=[job.pk, *args])


class TestWhoSeesWhat:
    @pytest.mark.parametrize("page", [*PAGES, "log_download", "log_stream"])
    def test_a_stranger_gets_404_everywhere(self, client, job, stranger, page):
        client.force_login(stranger)
        assert client.get(url(page, job)).status_code == 404

    @pytest.mark.parametrize("page", PAGES)
    def test_members_see_it_from_any_of_their_accounts(self, client, job, teammate, page):
        client.force_login(teammate)
        assert client.get(url(page, job)).status_code == 200

    @pytest.mark.parametrize("page", [*PAGES, "log_download", "log_stream"])
    def test_a_visitor_is_asked_to_sign_in(self, client, job, page):
        answer = client.get(url(page, job))
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("account_login"))

    def test_the_provider_of_a_service_does_not_see_what_a_consumer_ran(self, client, job, consumer_account, provider):
        foreign = JobFactory(version=job.version, account=consumer_account)
        client.force_login(provider)
        assert client.get(url("detail", foreign)).status_code == 404
        assert str(foreign.pk) not in client.get(reverse("jobs:list")).content.decode()

    def test_only_maintainers_cancel(self, client, provider_account, teammate, maintainer, stranger):
        job = JobFactory(account=provider_account)
        for user, status in ((stranger, 404), (teammate, 403), (maintainer, 302)):
            client.force_login(user)
            assert client.post(url("cancel", job)).status_code == status
        job.refresh_from_db()
        assert job.status == Status.CANCELLED

    def test_a_viewer_runs_nothing(self, client, version, teammate):
        client.force_login(teammate)
        client.post(reverse("accounts:switch"), {"account": version.service.account_id})
        assert client.get(reverse("jobs:create")).status_code == 403
        assert client.post(f"{reverse('jobs:create')}?service={version.service_id}").status_code == 403
        assert not Job.objects.exists()

    def test_a_viewer_is_shown_nothing_that_runs(self, client, job, teammate):
        client.force_login(teammate)
        client.post(reverse("accounts:switch"), {"account": job.account_id})
        assert reverse("jobs:create") not in client.get(url("detail", job)).content.decode()
        job.delete()
        html = client.get(reverse("jobs:list")).content.decode()
        assert "No jobs yet" in html
        assert reverse("jobs:create") not in html

    def test_a_service_of_somebody_else_cannot_be_run(self, client, version, stranger):
        client.force_login(stranger)
        assert client.get(f"{reverse('jobs:create')}?service={version.service_id}").status_code == 404
        assert client.post(f"{reverse('jobs:create')}?service={version.service_id}").status_code == 404

    def test_an_earlier_job_of_somebody_else_fills_no_form(self, client, job, stranger):
        client.force_login(stranger)
        assert client.get(f"{reverse('jobs:create')}?again={job.pk}").status_code == 404

    def test_getting_changes_nothing(self, client, provider, provider_account):
        job = JobFactory(account=provider_account)
        client.force_login(provider)
        assert client.get(url("cancel", job)).status_code == 405


class TestList:
    def test_it_says_what_to_do_first(self, client, provider):
        client.force_login(provider)
        page = client.get(reverse("jobs:list")).content.decode()
        assert "No jobs yet" in page
        assert reverse("jobs:create") in page

    def test_filters_are_in_the_url(self, client, provider, job):
        other = JobFactory(account=job.account, version__service__account=job.account, status=Status.FAILED)
        client.force_login(provider)
        page = client.get(reverse("jobs:list"), {"status": "FAILED"}).content.decode()
        assert (url("detail", other) in page, url("detail", job) in page) == (True, False)
        page = client.get(reverse("jobs:list"), {"service": job.version.service_id}).content.decode()
        assert (url("detail", other) in page, url("detail", job) in page) == (False, True)
        page = client.get(reverse("jobs:list"), {"status": "CANCELLED"}).content.decode()
        assert "No job matches" in page

    @pytest.mark.parametrize("query", ["status=NONSENSE", "service=nonsense", "before=nonsense", "after=1%01"])
    def test_nonsense_in_the_url_is_ignored(self, client, provider, job, query):
        client.force_login(provider)
        assert client.get(f"{reverse('jobs:list')}?{query}").status_code == 200

    def test_the_list_asks_again_only_while_something_is_live(self, client, provider, job):
        client.force_login(provider)
        assert "every 3s" not in client.get(reverse("jobs:list")).content.decode()
        JobFactory(account=job.account, version=job.version, status=Status.RUNNING)
        assert "every 3s" in client.get(reverse("jobs:list")).content.decode()

    def test_htmx_gets_the_list_alone(self, client, provider, job):
        client.force_login(provider)
        part = client.get(reverse("jobs:list"), headers={"HX-Request": "true"}).content.decode()
        assert url("detail", job) in part
        assert "<html" not in part

    def test_a_page_costs_few_queries_however_many_rows(self, client, provider, job, django_assert_max_num_queries):
        JobFactory.create_batch(30, account=job.account, version=job.version)
        client.force_login(provider)
        client.get(reverse("jobs:list"))  # the first request of a session notes the session
        with django_assert_max_num_queries(6):
            client.get(reverse("jobs:list"))


class TestCreate:
    def test_examples_of_the_description_fill_the_form(self, client, provider, version):
        version.openapi = (
            '{"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {}, "components": {"schemas": '
            '{"InputData": {"type": "object", "properties": {"values": {"type": "array", "example": [1, 2]}}}}}}'
        )
        version.save()
        client.force_login(provider)
        page = client.get(reverse("jobs:create"), {"service": version.service_id})
        assert "values" in page.context["form"].initial["data"]

    def test_a_job_starts_and_its_page_opens(self, client, provider, version):
        client.force_login(provider)
        answer = client.post(
            f"{reverse('jobs:create')}?service={version.service_id}", {"data": '{"a": 1}', "params": ""}
        )
        job = Job.objects.get()
        assert answer["Location"] == url("detail", job)
        assert (job.input.data, job.input.params, job.version) == ('{"a": 1}', "{}", version)

    def test_bad_input_is_told_at_its_field_and_kept(self, client, provider, version):
        client.force_login(provider)
        answer = client.post(
            f"{reverse('jobs:create')}?service={version.service_id}", {"data": '{"a": <b>', "params": "[1]"}
        )
        page = answer.content.decode()
        assert answer.status_code == 422
        assert "line 1, column 7" in page
        assert "{&quot;a&quot;: &lt;b&gt;" in page
        assert not Job.objects.exists()

    def test_running_again_brings_the_same_input(self, client, provider, job):
        client.force_login(provider)
        page = client.get(reverse("jobs:create"), {"again": job.pk})
        assert page.context["form"].initial["data"] == '{"values": [1, 2]}'

    def test_a_service_that_is_not_built_says_what_to_do(self, client, provider, provider_account):
        version = ServiceVersionFactory(service__account=provider_account, built=False)
        client.force_login(provider)
        page = client.get(reverse("jobs:create"), {"service": version.service_id}).content.decode()
        assert "not built yet" in page
        assert reverse("services:builds", args=[version.service_id]) in page

    def test_what_does_not_fit_the_schema_is_told_at_its_place(self, client, provider, described):
        client.force_login(provider)
        answer = client.post(new_job(described), {"data": '{"values": [1, "x"]}', "params": "{}", "tags": "night"})
        page = answer.content.decode()
        assert answer.status_code == 422
        assert not Job.objects.exists()
        (violation,) = answer.context["form"].violations
        assert (violation.input, violation.pointer, violation.place) == ("data", "/values/1", "data/values/1")
        assert 'href="#id_data"' in page
        assert 'data-violation="/values/1"' in page
        assert '"pointer": "/values/1"' in page  # for the form
        assert 'value="night"' in page

    def test_a_place_outside_of_every_field_is_told_too(self, client, provider, described):
        schema = json.loads(described.openapi)
        schema["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]["schema"]["required"] = ["backend"]
        described.openapi = json.dumps(schema)
        described.save()
        client.force_login(provider)
        answer = client.post(new_job(described), {"data": '{"values": []}', "params": ""})
        assert answer.status_code == 422
        assert "backend" in answer.context["form"].non_field_errors()[0]

    def test_tags_secrets_and_further_inputs_are_sent(self, client, provider, described):
        client.force_login(provider)
        answer = client.post(
            new_job(described),
            {
                "data": '{"values": [1.50]}',
                "params": "",
                "input_backend": '"near"',
                "tags": " night run,  two,",
                "secret_name": ["token", "empty", ""],
                "secret_value": ["canary-secret", "", ""],
            },
        )
        job = Job.objects.get()
        assert answer["Location"] == url("detail", job)
        assert job.tags == ["night run", "two"]
        assert (job.input.data, job.input.more) == ('{"values": [1.50]}', {"backend": '"near"'})
        assert secrets.variables(job.input.secrets) == {"SECRET_TOKEN": "canary-secret"}

    def test_a_refusal_keeps_the_names_of_secrets_and_never_their_values(self, client, provider, described):
        client.force_login(provider)
        answer = client.post(
            new_job(described), {"data": "{", "secret_name": ["mine"], "secret_value": ["canary-secret"]}
        )
        page = answer.content.decode()
        assert answer.status_code == 422
        assert 'value="token"' in page  # the description names it
        assert 'value="mine"' in page
        assert "canary-secret" not in page

    @pytest.mark.parametrize(
        ("sent", "told"),
        [
            ({"secret_name": ["a", "a"], "secret_value": ["1", "2"]}, "is there twice"),
            ({"secret_name": [""], "secret_value": ["1"]}, "has no name"),
            ({"input_backend": "near"}, "`backend` is not valid JSON"),
            ({"tags": "x" * 65}, "1 to 64 characters"),
        ],
    )
    def test_what_else_is_wrong_is_told(self, client, provider, described, sent, told):
        client.force_login(provider)
        answer = client.post(new_job(described), {"data": '{"values": []}', "params": "", **sent})
        assert answer.status_code == 422
        assert told in answer.content.decode()
        assert not Job.objects.exists()

    def test_a_consumer_runs_what_the_marketplace_offers_and_owns_the_job(
        self, client, described, consumer, consumer_account
    ):
        client.force_login(consumer)
        assert client.get(new_job(described)).status_code == 404
        described.publication = "marketplace"
        described.save()
        page = client.get(new_job(described)).content.decode()
        assert str(described.service.account) in page
        assert "Free" in page
        client.post(new_job(described), {"data": '{"values": []}', "params": ""})
        job = Job.objects.get()
        assert (job.account, job.created_by, job.subscription) == (consumer_account, consumer, None)

    def test_what_is_internal_runs_for_those_it_is_shared_with(self, client, described, consumer, stranger):
        described.publication = "internal"
        described.save()
        described.service.shares.create(account=consumer.personal_account)
        for user, status in ((consumer, 302), (stranger, 404)):
            client.force_login(user)
            assert client.post(new_job(described), {"data": '{"values": []}'}).status_code == status
        assert Job.objects.count() == 1

    def test_a_named_version_runs_and_no_other(self, client, provider, described):
        newer = ServiceVersionFactory(service=described.service)
        client.force_login(provider)
        page = client.get(new_job(described))
        assert page.context["version"] == newer
        assert f"version={described.number}" in page.content.decode()
        client.post(f"{new_job(described)}&version={described.number}", {"data": '{"values": []}'})
        assert Job.objects.get().version == described
        assert client.get(f"{new_job(described)}&version=9.9.9").status_code == 404

    def test_running_again_says_that_the_version_is_another(self, client, provider, job):
        again = f"{reverse('jobs:create')}?again={job.pk}"
        client.force_login(provider)
        assert "Another version" not in client.get(again).content.decode()
        job.version.publication = "retired"
        job.version.save()
        newer = ServiceVersionFactory(service=job.version.service)
        answer = client.get(again)
        page = answer.content.decode()
        assert answer.context["version"] == newer
        assert f"{job.version.number} is not offered any more." in " ".join(page.split())

    def test_running_again_what_nobody_offers_any_more_explains(self, client, provider, consumer, job):
        theirs = JobFactory(version=job.version, account=consumer.personal_account, status=Status.SUCCEEDED)
        client.force_login(consumer)
        answer = client.get(reverse("jobs:create"), {"again": theirs.pk})
        page = answer.content.decode()
        assert answer.status_code == 200
        assert "takes no new jobs" in page
        assert url("input", theirs) in page
        assert "Run job" not in page
        client.post(f"{reverse('jobs:create')}?again={theirs.pk}", {"data": "{}"})
        assert Job.objects.count() == 2

    def test_running_again_brings_tags_and_further_inputs_that_the_version_does_not_name(self, client, provider, job):
        job.tags = ["night"]
        job.save()
        job.input.more = {"matrix": "[[1]]"}
        job.input.save()
        client.force_login(provider)
        page = client.get(reverse("jobs:create"), {"again": job.pk}).content.decode()
        assert 'value="night"' in page
        assert "[[1]]" in page
        assert 'name="input_matrix"' in page

    def test_without_services_it_leads_to_the_first(self, client, provider):
        client.force_login(provider)
        assert reverse("services:create") in client.get(reverse("jobs:create")).content.decode()

    @pytest.mark.parametrize("query", ["service=nonsense", "again=nonsense"])
    def test_nonsense_is_not_found(self, client, provider, query):
        client.force_login(provider)
        assert client.get(f"{reverse('jobs:create')}?{query}").status_code == 404

    def test_a_deleted_service_cannot_be_chosen(self, client, provider, provider_account):
        service = ServiceFactory(account=provider_account, deleted_at="2026-01-01T00:00:00Z")
        client.force_login(provider)
        assert client.get(reverse("jobs:create"), {"service": service.pk}).status_code == 404


class TestDetail:
    def test_a_live_job_opens_on_its_log_and_an_ended_one_on_its_result(self, client, provider, job):
        client.force_login(provider)
        assert client.get(url("detail", job)).context["tab"] == "result"
        live = JobFactory(account=job.account, version=job.version, status=Status.RUNNING)
        assert client.get(url("detail", live)).context["tab"] == "log"

    def test_the_header_alone_is_refreshed(self, client, provider, job):
        client.force_login(provider)
        part = client.get(
            url("detail", job), headers={"HX-Request": "true", "HX-Target": "job-header"}
        ).content.decode()
        assert "Succeeded" in part
        assert "<html" not in part

    def test_a_failure_is_explained(self, client, provider, job):
        Job.objects.filter(pk=job.pk).update(
            status=Status.FAILED,
            reason="error",
            detail="The code raised ValueError.",
            error={"type": "ValueError", "message": "<script>no</script>", "frames": ["src/program.py:4 in run"]},
        )
        client.force_login(provider)
        page = client.get(url("detail", job)).content.decode()
        assert "The code raised an error" in page
        assert "src/program.py:4 in run" in page
        assert "<script>no" not in page

    def test_an_answered_error_is_said_once(self, client, provider, job):
        Job.objects.filter(pk=job.pk).update(
            status=Status.FAILED,
            reason="error",
            detail="The service answered with an error: E42: No qubits left.",
            error={"type": "E42", "message": "No qubits left.", "frames": []},
        )
        client.force_login(provider)
        assert client.get(url("detail", job)).content.decode().count("No qubits left.") == 1

    def test_each_place_that_does_not_fit_is_an_item(self, client, provider, job):
        Job.objects.filter(pk=job.pk).update(
            status=Status.FAILED,
            reason="invalid_input",
            detail="The input does not fit run() in 2 places.\n/data/label is missing\n/data/x must be <b>",
        )
        client.force_login(provider)
        page = client.get(url("detail", job)).content.decode()
        assert "<p>The input does not fit run() in 2 places.</p>" in page
        assert re.findall(r"<li>\s*(/.*?)\s*</li>", page) == ["/data/label is missing", "/data/x must be &lt;b&gt;"]

    def test_the_result_is_shown_as_text_of_a_tree(self, client, provider, job):
        key = default_storage.save(f"jobs/{job.pk}/1/output.json", ContentFile(b'{"sum": "</pre><script>1</script>"}'))
        JobFileFactory(job=job, name="output.json", key=key, content_type="application/json")
        client.force_login(provider)
        page = client.get(url("result", job)).content.decode()
        assert "&lt;/pre&gt;&lt;script&gt;" in page

    def test_the_input_shows_further_inputs_and_how_many_secrets_there_were(self, client, provider, job):
        client.force_login(provider)
        JobInput.objects.filter(job=job).update(more={"matrix": "[1,  2]"}, secret_count=2, secrets="sealed-canary")
        page = " ".join(client.get(reverse("jobs:input", args=[job.id])).content.decode().split())
        assert "[1, 2]" in page
        assert "2 secrets were sent. Encrypted, shown to nobody" in page
        assert "sealed-canary" not in page
        JobInput.objects.filter(job=job).update(secret_count=1, secrets="")
        page = " ".join(client.get(reverse("jobs:input", args=[job.id])).content.decode().split())
        assert "1 secret was sent. Gone with the end of the job" in page

    def test_tags_are_shown_as_text_on_the_page_and_in_the_list(self, client, provider, job):
        client.force_login(provider)
        Job.objects.update(tags=["night run", "<b>", "c", "d"])
        for url, is_whole in ((job.get_absolute_url(), True), (reverse("jobs:list"), False)):
            response = client.get(url)
            assert response.content.count(b'<span class="tag">') == (4 if is_whole else 3)
            assert b"<b>" not in response.content
            assert b"&lt;b&gt;" in response.content


class TestFiles:
    def test_a_file_is_always_a_download(self, client, provider, job):
        key = default_storage.save(f"jobs/{job.pk}/1/a/x.html", ContentFile(b"<script>alert(1)</script>"))
        JobFileFactory(job=job, name="a/x.html", key=key, content_type="text/html")
        client.force_login(provider)
        answer = client.get(url("file", job, "a/x.html"))
        assert b"".join(answer.streaming_content) == b"<script>alert(1)</script>"
        assert answer["Content-Disposition"] == 'attachment; filename="x.html"'
        assert answer["X-Content-Type-Options"] == "nosniff"

    def test_a_picture_is_shown_and_a_drawing_that_may_run_scripts_is_not(self, client, provider, job):
        JobFileFactory(job=job, name="pi.png", content_type="image/png")
        JobFileFactory(job=job, name="pi.svg", content_type="image/svg+xml")
        client.force_login(provider)
        page = client.get(url("files", job)).content.decode()
        assert f'src="{url("file", job, "pi.png")}"' in page
        assert f'src="{url("file", job, "pi.svg")}"' not in page

    def test_a_stranger_downloads_nothing(self, client, stranger, job):
        file = JobFileFactory(job=job)
        client.force_login(stranger)
        assert client.get(url("file", job, file.name)).status_code == 404

    @pytest.mark.parametrize("name", ["../../secret_key", "%2e%2e/x", "nothing"])
    def test_only_names_of_rows_are_found(self, client, provider, job, name):
        client.force_login(provider)
        assert client.get(f"{url('files', job)}{name}").status_code == 404

    def test_a_file_that_storage_lost_is_not_found(self, client, provider, job):
        file = JobFileFactory(job=job, key="jobs/none/1/gone.txt")
        client.force_login(provider)
        assert client.get(url("file", job, file.name)).status_code == 404


def test_users_of_other_accounts_do_not_appear_in_the_filter(client, provider, job):
    other = ServiceFactory(account=UserFactory().personal_account, name="Secret project")
    client.force_login(provider)
    assert other.name not in client.get(reverse("jobs:list")).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["file", "log_download"])
def test_a_slow_download_holds_no_connection_of_the_database(rf, client, job, provider, name):
    arguments = {"job_id": job.pk}
    if name == "file":
        row = JobFileFactory(job=job, name="a.txt", key=default_storage.save("a.txt", ContentFile(b"content")))
        arguments["name"] = row.name
    request = rf.get("/")
    request.user = provider
    view = {"file": views.file_download, "log_download": views.log_download}[name]
    response = view(request, **arguments)
    assert connection.connection is None
    response.close()


# What the code says before its end


def test_the_progress_of_a_job_is_on_its_page_and_in_the_lists(client, provider):
    now = timezone.now()
    told = {"progress": 0.4, "progress_message": "40 of 100 <cities>", "progress_at": now}
    job = JobFactory(
        account=provider.personal_account, status="RUNNING", started_at=now - timedelta(seconds=60), **told
    )
    client.force_login(provider)
    for url in (reverse("jobs:detail", args=[job.pk]), reverse("jobs:list"), reverse("dashboard")):
        html = client.get(url).content.decode()
        assert re.search(r'<progress[^>]*value="0.4000"', html), url
        assert "40 %" in html
        assert "40 of 100 &lt;cities&gt;" in html
    assert "about 1 min 30 s left" in client.get(reverse("jobs:log", args=[job.pk])).content.decode()
    Job.objects.filter(pk=job.pk).update(status="SUCCEEDED", ended_at=now)
    assert "<progress" not in client.get(reverse("jobs:detail", args=[job.pk])).content.decode()


def test_interim_results_are_on_the_result_page_newest_first_and_come_by_themselves(client, provider):
    job = JobFactory(account=provider.personal_account, status="RUNNING", attempt=2)
    for attempt, number in ((1, 9), (2, 1), (2, 2)):
        JobInterim.objects.create(job=job, attempt=attempt, number=number, content=f'{{"step": {number}}}')
    client.force_login(provider)
    html = client.get(reverse("jobs:result", args=[job.pk])).content.decode()
    assert [int(each) for each in re.findall(r"Interim result (\d+)", html)] == [2, 1]
    assert "?attempt=2&amp;after=2" in html
    assert 'data-keep="19"' in html
    assert "2 interim results" in client.get(reverse("jobs:log", args=[job.pk])).content.decode()
    news = reverse("jobs:interims", args=[job.pk])
    asking = {"HX-Request": "true"}
    assert client.get(f"{news}?attempt=2&after=2", headers=asking).status_code == 204
    JobInterim.objects.create(job=job, attempt=2, number=3, content="[3]")
    html = client.get(f"{news}?attempt=2&after=2", headers=asking).content.decode()
    assert [int(each) for each in re.findall(r"Interim result (\d+)", html)] == [3, 2]
    assert "afterbegin:#interims-earlier" in html
    assert client.get(news).url == reverse("jobs:result", args=[job.pk])
    assert client.get(f"{news}?attempt=1&after=9", headers=asking).headers["HX-Refresh"] == "true"
    Job.objects.filter(pk=job.pk).update(status="SUCCEEDED")
    assert client.get(f"{news}?after=3", headers=asking).headers["HX-Refresh"] == "true"


class TestDelete:
    def test_a_maintainer_deletes_an_ended_job_and_comes_to_the_list(self, client, maintainer, job):
        Job.objects.update(log_archived=True)
        client.force_login(maintainer)
        assert "Delete this job?" in client.get(url("detail", job)).content.decode()
        answer = client.post(url("delete", job), follow=True)
        assert answer.redirect_chain == [(reverse("jobs:list"), 302)]
        assert "The job is deleted" in answer.content.decode()
        assert not Job.objects.exists()

    def test_what_cannot_be_deleted_says_why_and_stays(self, client, provider, job):
        Job.objects.update(status=Status.RUNNING)
        client.force_login(provider)
        assert "Delete this job?" not in client.get(url("detail", job)).content.decode()
        assert "This job has not ended" in client.post(url("delete", job), follow=True).content.decode()
        assert Job.objects.exists()

    def test_viewers_and_strangers_may_not(self, client, teammate, stranger, job):
        for user, status in ((teammate, 403), (stranger, 404)):
            client.force_login(user)
            assert client.post(url("delete", job)).status_code == status
        client.force_login(teammate)
        assert "Delete this job?" not in client.get(url("detail", job)).content.decode()
        assert Job.objects.exists()

    def test_the_page_says_until_when_a_job_is_kept(self, client, provider, job, settings):
        settings.RETENTION_DAYS = 30
        Job.objects.update(ended_at=datetime(2026, 1, 1, tzinfo=UTC))
        client.force_login(provider)
        assert "31 January 2026" in client.get(url("result", job)).content.decode()
        settings.RETENTION_DAYS = 0
        assert "somebody deletes it" in client.get(url("result", job)).content.decode()


class TestAttempts:
    @pytest.fixture
    def attempt(self, job):
        Job.objects.filter(pk=job.pk).update(attempt=2)
        logstream.LogWriter("job", job.pk, 1).write("out", b"first\n")
        logstream.LogWriter("job", job.pk, 2).write("out", b"second\n")
        return JobAttempt.objects.create(
            job=job, number=1, ended_at=timezone.now(), reason="lost", detail="The host went away."
        )

    def test_each_has_a_page_with_its_own_log(self, client, provider, job, attempt):
        client.force_login(provider)
        assert url("attempt", job, 1) in client.get(url("detail", job)).content.decode()
        page = client.get(url("attempt", job, 1)).content.decode()
        assert "The host went away." in page
        assert url("attempt_stream", job, 1) in page
        assert b"".join(client.get(url("attempt_download", job, 1)).streaming_content) == b"first\n"
        assert b"".join(client.get(url("log_download", job)).streaming_content) == b"second\n"
        assert client.get(url("attempt", job, 2)).status_code == 404, "the last one is on the page of the job"

    @pytest.mark.parametrize(("shown", "refreshed"), [("?attempt=1", "true"), ("?attempt=2", None), ("", None)])
    def test_a_page_with_the_log_of_an_earlier_attempt_is_loaded_again(
        self, client, provider, job, attempt, shown, refreshed
    ):
        client.force_login(provider)
        answer = client.get(url("log", job) + shown, headers={"HX-Request": "true", "HX-Target": "job-header"})
        assert answer.headers.get("HX-Refresh") == refreshed


class TestLimits:
    def test_a_job_says_what_it_waits_for(self, client, provider, version):
        quotas.set_limits(account=provider.personal_account, running_jobs=1)
        JobFactory(account=provider.personal_account, version=version)
        claiming.claim_next("here")
        waiting = JobFactory(account=provider.personal_account, version=version)
        client.force_login(provider)
        assert "runs 1 at once, which is its limit" in client.get(url("detail", waiting)).content.decode()

    def test_a_full_queue_is_told_in_the_form(self, client, provider, version):
        quotas.set_limits(account=provider.personal_account, queued_jobs=1)
        client.force_login(provider)
        client.post(new_job(version), {"data": "{}", "params": "{}"})
        answer = client.post(new_job(version), {"data": '{"kept": 1}', "params": "{}"})
        assert answer.status_code == 422
        page = answer.content.decode()
        assert "as its limit allows: 1 (JOBS_QUEUED_MAX)" in page
        assert "{&quot;kept&quot;: 1}" in page
        assert Job.objects.count() == 1

    def test_the_form_takes_a_deadline_in_minutes(self, client, provider, version):
        client.force_login(provider)
        client.post(new_job(version), {"data": "{}", "params": "{}", "deadline": "1.5"})
        job = Job.objects.get()
        assert 80 < (job.deadline_at - timezone.now()).total_seconds() <= 90
        assert "Ends at its deadline" in client.get(url("detail", job)).content.decode()
        assert client.post(new_job(version), {"data": "{}", "deadline": "-1"}).status_code == 422
