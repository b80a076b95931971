"""`manage.py import_service`: a folder or zip becomes a service, and a changed one a new version."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from services import variables
from services.models import Service, Subscription
from services.runtimes import interpreters
from tests.factories import ApplicationFactory, UserFactory
from tests.programs import zipped

PROGRAM = "def run(data, params):\n    return {'sum': sum(data['values'])}\n"


@pytest.fixture
def project(tmp_path) -> Path:
    """A folder of a project that needs no packages."""
    folder = tmp_path / "my-service"
    (folder / "src").mkdir(parents=True)
    (folder / "src/program.py").write_text(PROGRAM)
    (folder / "requirements.txt").write_text("")
    (folder / "README.md").write_text("# My service\n\nAdds up. Then stops.\n\nMore.\n")
    return folder


def imported(*arguments: object) -> dict:
    """What the command prints for scripts; it does not wait."""
    out = io.StringIO()
    call_command("import_service", *map(str, arguments), "--json", "--no-wait", stdout=out)
    return json.loads(out.getvalue())


def refusal(*arguments: object) -> str:
    with pytest.raises(CommandError) as refused:
        call_command("import_service", *map(str, arguments), "--no-wait", stdout=io.StringIO())
    return str(refused.value)


def test_a_folder_becomes_a_service(project, provider, provider_account, settings):
    facts = imported(project)
    service = Service.objects.get()
    assert (service.slug, service.name, service.summary) == ("my-service", "My service", "Adds up.")
    assert service.description == "Adds up. Then stops.\n\nMore."
    assert (service.account, service.created_by) == (provider_account, provider)
    assert (facts["id"], facts["slug"], facts["account"]) == (str(service.pk), "my-service", provider_account.slug)
    assert facts["page"] == f"{settings.PUBLIC_URL}/services/{service.pk}/"
    assert (facts["version"], facts["changed"], facts["build"]["status"]) == ("1.0.0", True, "QUEUED")


def test_without_a_change_nothing_happens_and_with_one_there_is_a_version(project, provider):
    first, second = imported(project), imported(project)
    assert (second["id"], second["version"], second["changed"]) == (first["id"], "1.0.0", False)
    assert second["build"] == first["build"]
    (project / "README.md").write_text("# Renamed\n")
    third = imported(project)
    assert (third["id"], third["version"], third["changed"]) == (first["id"], "1.1.0", True)
    assert Service.objects.get().name == "Renamed"


def test_a_zip_becomes_a_service_too(project, provider, tmp_path):
    archive = tmp_path / "From Zip.zip"
    archive.write_bytes(zipped({"src/program.py": PROGRAM}))
    facts = imported(archive)
    assert facts["slug"] == "from-zip"
    assert facts["warnings"][0].startswith("requirements.txt")
    assert Service.objects.get().name == "From Zip"


def test_of_several_accounts_one_must_be_named(project, provider, consumer, consumer_account):
    assert "--account SLUG. There are: consumer, provider." in refusal(project)
    assert "There is no account nobody. There are:" in refusal(project, "--account", "nobody")
    assert imported(project, "--account", "consumer")["account"] == "consumer"
    assert Service.objects.get().account == consumer_account


def test_the_same_slug_in_another_account_is_another_service(project, provider, consumer):
    ids = {imported(project, "--account", slug)["id"] for slug in ("provider", "consumer")}
    assert len(ids) == 2


def test_without_anybody_it_says_how_to_begin(project, db):
    assert "createsuperuser" in refusal(project)


def test_a_project_that_is_none_is_refused_in_words(project, provider, tmp_path):
    (project / "src/program.py").write_text("def walk(): pass")
    assert "it has no function named run" in refusal(project)
    assert "no such folder or file" in refusal(tmp_path / "nowhere")
    (project / "link").symlink_to("/etc/passwd")
    assert "link: it is a symbolic link" in refusal(project)
    assert not Service.objects.exists()


def test_a_deleted_service_is_made_anew(project, provider):
    first = imported(project)
    Service.objects.update(deleted_at="2026-01-01T00:00:00Z")
    assert imported(project)["id"] != first["id"]


def test_without_a_worker_it_builds_by_itself_and_says_so(project, provider, transactional_db, monkeypatch):
    monkeypatch.setattr("portal.management.building.CLAIMED_WITHIN_SECONDS", 0)
    out = io.StringIO()
    call_command("import_service", str(project), stdout=out)
    assert "My service 1.0.0 is a service of" in out.getvalue()
    assert "Build: built" in out.getvalue()
    assert Service.objects.get().runnable_version() is not None
    again = io.StringIO()
    call_command("import_service", str(project), "--json", stdout=again)
    assert json.loads(again.getvalue())["build"]["status"] == "SUCCEEDED"


def run(*arguments: object) -> str:
    out = io.StringIO()
    call_command("import_service", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_it_publishes_and_subscribes_where_that_is_asked_for(
    project, provider, consumer_account, settings, transactional_db, monkeypatch
):
    monkeypatch.setattr("portal.management.building.CLAIMED_WITHIN_SECONDS", 0)
    application = ApplicationFactory(account=consumer_account)
    asked = (project, "--account", "provider", "--subscribe", application.access_key_id)
    with pytest.raises(CommandError, match="is not offered to Consumer now"):
        run(*asked)
    endpoint = f"{settings.PUBLIC_URL}/gateway/provider/my-service/1.0.0"
    facts = json.loads(run(*asked, "--publish", "marketplace", "--json"))
    assert (facts["service_endpoint"], facts["state"]) == (endpoint, "marketplace")
    assert Subscription.objects.get(application=application).version.number == "1.0.0"
    assert f"Service endpoint (marketplace): {endpoint}" in run(project, "--account", "provider")
    with pytest.raises(CommandError, match=r"1 active subscription would be .* Confirm it on its page, http"):
        run(project, "--account", "provider", "--publish", "internal")
    (project / "README.md").write_text("# Renamed")
    run(*asked, "--publish", "marketplace")
    assert Subscription.objects.get(application=application).version.number == "1.1.0"


def test_before_it_is_published_there_is_no_endpoint(project, provider):
    facts = imported(project)
    assert (facts["service_endpoint"], facts["state"]) == (None, "draft")


def test_what_cannot_be_is_refused_before_anything_happens(project, provider):
    assert "Leave --no-wait out" in refusal(project, "--publish", "internal")
    with pytest.raises(CommandError, match="There is no application with the access key id mck_nobody"):
        run(project, "--subscribe", "mck_nobody")
    with pytest.raises(CommandError, match=r"invalid choice: 'everywhere' \(choose from 'internal', "):
        run(project, "--publish", "everywhere")
    assert not Service.objects.exists()


def test_a_build_that_fails_is_an_error_and_is_tried_again(project, provider, transactional_db, monkeypatch):
    monkeypatch.setattr("portal.management.building.CLAIMED_WITHIN_SECONDS", 0)
    (project / "requirements.txt").write_text("./not-here\n")
    for _ in range(2):
        with pytest.raises(CommandError, match="The build failed"):
            call_command("import_service", str(project), stdout=io.StringIO())
    service = Service.objects.get()
    assert service.versions.get().builds.count() == 2


def test_a_worker_builds_where_one_runs(project, live_worker, db):
    UserFactory(email="provider@example.com")
    out = io.StringIO()
    call_command("import_service", str(project), "--json", stdout=out)
    assert json.loads(out.getvalue())["build"]["status"] == "SUCCEEDED"


def test_without_a_broker_the_service_waits_for_its_build(project, provider, settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    with pytest.raises(CommandError, match="waits for its build, but the broker does not answer"):
        call_command("import_service", str(project), stdout=io.StringIO())
    assert Service.objects.get().versions.get().builds.get().status == "QUEUED"


def test_flags_and_files_say_how_it_runs(project, provider, tmp_path):
    (tmp_path / "plain.env").write_text("# where\nAPI_URL=http://example.com\n")
    (tmp_path / "secret.env").write_text("TOKEN='canary'\n")
    (known, *_) = interpreters()
    files = ("--env-file", tmp_path / "plain.env", "--secret-env-file", tmp_path / "secret.env")
    printed = imported(project, *files, "--retryable", "--warm-start", "--concurrency", 2, "--interpreter", known)
    assert "canary" not in json.dumps(printed)
    version = Service.objects.get().versions.get()
    assert (version.retryable, version.warm_start, version.concurrency) == (True, True, 2)
    assert version.interpreter == known
    assert variables.resolve(version) == {"API_URL": "http://example.com", "TOKEN": "canary"}
    assert variables.secret_values(version) == ["canary"]


def test_without_a_change_in_the_project_operation_changes_and_no_version_comes(project, provider, tmp_path):
    (tmp_path / "plain.env").write_text("API_URL=http://example.com\n")
    imported(project, "--retryable")
    again = imported(project, "--no-retryable", "--concurrency", 5, "--env-file", tmp_path / "plain.env")
    version = Service.objects.get().versions.get()
    assert (again["changed"], version.retryable, version.concurrency) == (False, False, 5)
    assert variables.resolve(version) == {"API_URL": "http://example.com"}
    (project / "src/program.py").write_text(PROGRAM + "\n")
    imported(project)
    newest = Service.objects.get().versions.latest("id")
    assert (newest.number, newest.concurrency) == ("1.1.0", 5)
    assert variables.resolve(newest) == {"API_URL": "http://example.com"}
    assert imported(project, "--interpreter", interpreters()[0])["version"] == "1.2.0"


def test_a_bad_file_of_variables_makes_no_service(project, provider, tmp_path):
    (tmp_path / "bad.env").write_text("PATH=/bin\n")
    assert "PATH cannot be set" in refusal(project, "--env-file", tmp_path / "bad.env")
    assert "cannot be read" in refusal(project, "--env-file", tmp_path / "absent.env")
    assert "3.99" in refusal(project, "--interpreter", "3.99")
    assert not Service.objects.exists()


def test_a_planqk_project_says_its_name_and_resources(project, provider):
    wanted = {"name": "Quantum sum", "description": "Adds on qubits.", "resources": {"cpu": 0.5, "memory": 2}}
    (project / "planqk.json").write_text(json.dumps(wanted))
    imported(project)
    service = Service.objects.get()
    version = service.versions.get()
    assert (service.name, service.summary, service.description[:8]) == ("Quantum sum", "Adds on qubits.", "Adds up.")
    assert (version.cpu_millis, version.memory_mib) == (500, 2048)
    (project / "planqk.json").write_text(json.dumps(wanted | {"resources": {"memory": 1}}))
    imported(project)
    newest = service.versions.latest("id")
    assert (newest.cpu_millis, newest.memory_mib) == (500, 1024)
