"""Container projects from the upload to the job, and what becomes of them where no engine answers."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.urls import reverse

from jobs import execution, results, submission
from jobs.inputs import Sent
from jobs.models import Job, Status
from portal.accounts.actors import Actor
from services import builds, contracts, publishing, sources
from services.forms import ServiceForm
from services.models import Build, BuildStatus, Service
from services.runtimes.docker import images
from tests.engine import BASE
from tests.programs import zipped

PROGRAM = """
echo "PlanQK:Job:MultilineResult"
echo '{"sum": 6}'
echo "PlanQK:Job:MultilineResult"
echo text >"$OUTPUT_DIRECTORY/more.txt"
"""
FILES = {"Dockerfile": f'FROM {BASE}\nCOPY main.sh /app/\nCMD ["sh", "/app/main.sh"]\n', "main.sh": PROGRAM}

pytestmark = pytest.mark.django_db(transaction=True)


def upload_of(files):
    return ContentFile(zipped(files), name="project.zip")


def create(user, **options):
    return publishing.create_service(account=user.personal_account, by=Actor(user=user), name="Sum", **options)


def submit(version, user):
    sent = Sent(data='{"values": [1, 2, 3]}', params="{}")
    return submission.submit(version=version, sent=sent, account=user.personal_account, by=Actor(user=user))


@pytest.mark.usefixtures("no_worker", "engine")
def test_a_container_project_is_uploaded_built_and_run(provider):
    service = create(provider, upload=upload_of(FILES))
    version = service.versions.get()
    assert (version.runtime, version.image) == ("docker", "")
    contract = contracts.load(version.openapi)
    assert contract.document["info"]["title"] == "Sum"
    assert builds.look()
    assert version.builds.get().status == BuildStatus.SUCCEEDED, version.builds.get().detail
    version.refresh_from_db()
    assert version.environment.startswith("sha256:")
    job = submit(version, provider)
    assert execution.look()
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.detail) == (Status.SUCCEEDED, "")
    assert json.loads(results.result_text(job)[0]) == {"sum": 6}
    assert list(job.files.filter(name="more.txt").values_list("size", flat=True)) == [5]


@pytest.mark.usefixtures("no_worker", "engine")
def test_a_version_may_be_an_image_of_a_registry(provider):
    service = create(provider, image="python:3.11-slim", cpu_millis=500)
    version = service.versions.get()
    assert (version.runtime, version.image, version.source_sha256) == ("docker", "python:3.11-slim", "")
    assert builds.look()
    assert version.builds.get().status == BuildStatus.SUCCEEDED, version.builds.get().detail
    version.refresh_from_db()
    job = submit(version, provider)
    assert execution.look()  # the image's own program is an interpreter with nothing to read
    assert Job.objects.get(pk=job.pk).status == Status.SUCCEEDED
    second = publishing.add_version(service=service, by=Actor(user=provider))
    assert second.image == "python:3.11-slim"
    assert publishing.default_description(second).document["info"]["title"] == "Sum"


@pytest.mark.usefixtures("no_worker", "engine")
def test_a_job_makes_an_image_that_its_host_lacks(provider):
    version = create(provider, upload=upload_of(FILES)).versions.get()
    assert builds.look()
    version.refresh_from_db()
    images._untag(images.reference(version.environment))
    job = submit(version, provider)
    assert execution.look()
    assert Job.objects.get(pk=job.pk).status == Status.SUCCEEDED


@pytest.mark.usefixtures("no_worker", "engine")
def test_where_no_engine_answers_work_waits_and_other_work_does_not(provider, settings):
    version = create(provider, upload=upload_of(FILES)).versions.get()
    assert builds.look()
    version.refresh_from_db()
    job = submit(version, provider)
    settings.CONTAINERS = "off"
    again = builds.request_build(version=version, by=Actor(user=provider))
    assert not builds.look()
    assert not execution.look()
    assert Job.objects.get(pk=job.pk).status == Status.QUEUED
    assert Build.objects.get(pk=again.pk).status == BuildStatus.QUEUED
    settings.CONTAINERS = "auto"
    assert execution.look()
    assert Job.objects.get(pk=job.pk).status == Status.SUCCEEDED


def test_without_an_engine_nothing_is_taken_and_nothing_lost(provider, settings):
    settings.CONTAINERS = "off"
    for code in ({"upload": upload_of(FILES)}, {"image": "a/b:1"}):
        with pytest.raises(ValidationError) as refused:
            create(provider, **code)
        assert "containers do not run here" in str(refused.value)
        assert "CONTAINERS=off" in str(refused.value)
    assert not Service.objects.exists()


def test_another_host_may_have_the_engine(provider, settings):
    settings.CONTAINERS = "elsewhere"
    assert create(provider, upload=upload_of(FILES)).versions.get().runtime == "docker"


@pytest.mark.parametrize(
    ("files", "runtime", "expected"),
    [
        (FILES, None, "docker"),
        ({**FILES, "src/program.py": "def run(data, params): pass"}, None, "python"),
        ({**FILES, "src/program.py": "def run(data, params): pass"}, "docker", "docker"),
        ({**FILES, "src/program.py": "def run(): pass", "planqk.json": '{"runtime": "DOCKER"}'}, None, "docker"),
        ({"src/program.py": "def run(data, params): pass"}, "python", "python"),
    ],
)
def test_the_zip_tells_the_runtime_unless_one_is_chosen(files, runtime, expected):
    assert sources.check(upload_of(files), runtime=runtime).runtime == expected


@pytest.mark.parametrize(
    ("files", "runtime", "says"),
    [
        ({"dockerfile": "FROM x"}, "docker", "must be written Dockerfile"),
        ({"a/Dockerfile": "FROM x"}, "docker", "not the folder itself"),
        ({"src/program.py": "def run(): pass"}, "docker", "missing at the top"),
        (FILES, "python", "choose the runtime Container"),
    ],
)
def test_a_zip_for_another_runtime_is_refused_in_words(files, runtime, says):
    with pytest.raises(sources.SourceRejected) as refused:
        sources.check(upload_of(files), runtime=runtime)
    assert says in " ".join(refused.value.messages)


def test_code_is_a_zip_or_an_image_and_not_both(provider, settings):
    settings.CONTAINERS = "elsewhere"
    for options, key in (
        ({}, "upload"),
        ({"upload": upload_of(FILES), "image": "a:1"}, "image"),
        ({"image": "No Image"}, "image"),
        ({"image": "a:1", "runtime": "python"}, "image"),
    ):
        with pytest.raises(ValidationError) as refused:
            create(provider, **options)
        assert list(refused.value.message_dict) == [key]


def test_code_stays_unless_new_code_comes(provider, settings):
    settings.CONTAINERS = "elsewhere"
    by = Actor(user=provider)
    service = create(provider, image="a/b:1")
    with pytest.raises(ValidationError, match="another"):
        publishing.add_version(service=service, by=by, runtime="python")
    assert publishing.add_version(service=service, by=by, image="a/b:2").image == "a/b:2"
    changed = publishing.add_version(service=service, by=by, upload=upload_of(FILES), image="a/b:2")
    assert (changed.image, changed.runtime, changed.source_name) == ("", "docker", "project.zip")


def test_the_form_offers_what_runs_here_and_says_why_not(client, provider, settings):
    client.force_login(provider)
    settings.CONTAINERS = "off"
    page = client.get(reverse("services:create")).content.decode()
    assert "Containers do not run here now. The operator of this instance has switched containers off" in page
    assert '<option value="docker" disabled>Container</option>' in page
    assert 'name="image"' not in page
    assert ServiceForm().fields["upload"].required
    settings.CONTAINERS = "elsewhere"
    page = client.get(reverse("services:create")).content.decode()
    assert '<option value="docker">Container</option>' in page
    assert 'name="image"' in page


def test_an_image_is_sent_by_the_form(client, provider, settings):
    settings.CONTAINERS = "elsewhere"
    client.force_login(provider)
    answer = client.post(reverse("services:create"), form_values() | {"name": "Solver", "image": "a/b:1"})
    assert answer.status_code == 302, answer.content.decode()
    assert Service.objects.get().versions.get().image == "a/b:1"


def form_values():
    """What a browser sends of an untouched form."""
    return {
        "cpu_millis": "1",
        "memory_mib_0": "1",
        "memory_mib_1": "GiB",
        "time_limit_seconds_0": "1",
        "time_limit_seconds_1": "hours",
        "network": "none",
        "runtime": "",
    }
