"""`manage.py bootstrap`: the demo is made once, and found again."""

import io
import json
import stat

import pytest
from django.core.management import CommandError, call_command

from portal.accounts import applications
from portal.accounts.actors import Actor
from portal.accounts.models import ApplicationSecret, User
from portal.lib import tokens
from portal.management.demo import SERVICES
from services.models import Build, Service, ServiceVersion, Subscription
from tests.factories import BuildFactory, ServiceVersionFactory

KEYS = {
    "url",
    "user",
    "second_user",
    "account",
    "service",
    "personal_access_token",
    "second_personal_access_token",
    "platform_api",
    "token_endpoint",
    "application",
    "service_endpoint",
}


@pytest.fixture
def demo_home(settings, tmp_path, db):
    settings.DEMO = True
    settings.MERCATO_HOME = tmp_path
    return tmp_path


def bootstrap(*arguments: str) -> str:
    out = io.StringIO()
    call_command("bootstrap", *arguments, stdout=out)
    return out.getvalue()


def as_json(*arguments: str) -> dict:
    return json.loads(bootstrap("--json", "--no-wait", *arguments))


def test_it_makes_two_tenants_and_the_services_of_the_first(demo_home, settings, client):
    demo = as_json()
    assert demo.keys() == KEYS
    assert {key for key in KEYS if demo[key] is None} == {
        "personal_access_token",
        "second_personal_access_token",
        "platform_api",
        "service_endpoint",
    }
    user = User.objects.get(email=demo["user"]["email"])
    assert demo["url"] == settings.PUBLIC_URL
    assert demo["account"] == user.personal_account.slug
    services = Service.objects.all()
    assert {(service.slug, service.account) for service in services} == {
        ("sum", user.personal_account),
        ("monte-carlo-pi", user.personal_account),
        ("delivery-tour", user.personal_account),
    }
    service = services.get(slug="sum")
    assert demo["service"] == {"id": str(service.pk), "page": settings.PUBLIC_URL + service.get_absolute_url()}
    assert Build.objects.count() == 3
    assert not User.objects.get(email=demo["second_user"]["email"]).personal_account.services.exists()


@pytest.fixture
def built(demo_home):
    """The demo after its builds have succeeded, by their rows."""
    as_json()
    ServiceVersion.objects.update(environment="0" * 64)
    Build.objects.update(status="SUCCEEDED")


def secret_of(demo: dict) -> ApplicationSecret:
    return ApplicationSecret.objects.live().get(
        digest=tokens.digest(demo["application"]["secret_access_key"]),
        application__access_key_id=demo["application"]["access_key_id"],
    )


def test_once_built_the_services_are_published_and_the_application_may_call_the_first(built, settings):
    demo = as_json()
    assert demo["token_endpoint"] == f"{settings.PUBLIC_URL}/token"
    assert demo["service_endpoint"] == f"{settings.PUBLIC_URL}/gateway/{demo['account']}/sum/1.0.0"
    states = dict(ServiceVersion.objects.values_list("service__slug", "publication"))
    assert states == {"sum": "marketplace", "monte-carlo-pi": "internal", "delivery-tour": "marketplace"}
    subscription = Subscription.objects.get()
    assert subscription.application == secret_of(demo).application
    assert subscription.application.account.slug == demo["account"]
    assert as_json() == demo
    printed = bootstrap("--no-wait")
    assert f"curl -s {demo['token_endpoint']} -u {demo['application']['access_key_id']}:" in printed
    assert f"curl -s {demo['service_endpoint']}/" in printed


def test_what_the_provider_changed_stays_changed(built):
    as_json()
    ServiceVersion.objects.filter(service__slug="sum").update(publication="internal")
    assert as_json()["service_endpoint"]
    assert ServiceVersion.objects.get(service__slug="sum").publication == "internal"


def test_a_newer_version_of_the_example_moves_the_endpoint(built):
    as_json()
    old = ServiceVersion.objects.get(service__slug="sum")
    new = ServiceVersionFactory(service=old.service, number="1.1.0", source_sha256=old.source_sha256)
    BuildFactory(version=new, status="SUCCEEDED")
    assert as_json()["service_endpoint"].endswith("/sum/1.1.0")


def test_a_secret_that_does_not_work_any_more_is_followed_by_a_fresh_one(built):
    first = as_json()
    applications.revoke_secret(secret=secret_of(first), by=Actor())
    second = as_json()
    assert second["application"]["access_key_id"] == first["application"]["access_key_id"]
    assert secret_of(second).application == secret_of(as_json()).application
    applications.delete_application(application=secret_of(second).application, by=Actor())
    third = as_json()
    assert third["application"]["access_key_id"] != first["application"]["access_key_id"]
    assert Subscription.objects.filter(application=secret_of(third).application, ended_at=None).exists()


def test_where_the_secret_is_lost_and_two_are_live_there_is_another_application(built, demo_home):
    first = as_json()
    applications.add_secret(application=secret_of(first).application, by=Actor())
    (demo_home / "demo.json").unlink()
    second = as_json()
    assert second["application"]["access_key_id"] != first["application"]["access_key_id"]
    assert secret_of(first).is_live
    assert secret_of(second).is_live


def test_a_data_folder_of_before_applications_gets_one(demo_home):
    """The file of the first release had the passwords alone."""
    kept = demo_home / "demo.json"
    before = {"user": "first secret", "second_user": "second secret"}
    kept.write_text(json.dumps(before))
    demo = as_json()
    assert json.loads(kept.read_text()) == before | {"application": demo["application"]}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert secret_of(demo).is_live


@pytest.mark.parametrize("key", ["user", "second_user"])
def test_both_people_sign_in_at_once(demo_home, client, key):
    person = as_json()[key]
    answer = client.post("/accounts/login/", {"login": person["email"], "password": person["password"]})
    assert answer.status_code == 302
    assert client.session["_auth_user_id"] == str(User.objects.get(email=person["email"]).pk)


def test_a_second_time_it_finds_what_it_made(demo_home, django_assert_max_num_queries):
    first = as_json()
    with django_assert_max_num_queries(30):
        second = as_json()
    assert second == first
    assert (User.objects.count(), ServiceVersion.objects.count(), Build.objects.count()) == (
        2,
        len(SERVICES),
        len(SERVICES),
    )


def test_passwords_are_random_and_for_their_owner_alone(demo_home):
    first = as_json()
    kept = demo_home / "demo.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    passwords = {key: first[key]["password"] for key in ("user", "second_user")}
    assert json.loads(kept.read_text()) == passwords | {"application": first["application"]}
    assert first["user"]["password"] != first["second_user"]["password"]


def test_where_the_passwords_are_lost_there_are_new_ones(demo_home, client):
    first = as_json()
    (demo_home / "demo.json").unlink()
    second = as_json()
    assert second["user"]["password"] != first["user"]["password"]
    assert User.objects.get(email=second["user"]["email"]).check_password(second["user"]["password"])


def test_a_build_that_failed_is_asked_for_again(demo_home):
    as_json()
    Build.objects.update(status="FAILED")
    as_json()
    assert Build.objects.filter(status="QUEUED").count() == len(SERVICES)


def test_a_new_database_gets_the_passwords_that_are_kept(demo_home, client):
    (demo_home / "demo.json").write_text(json.dumps({"user": "first secret", "second_user": "second secret"}))
    assert as_json()["user"]["password"] == "first secret"
    assert User.objects.get(email=as_json()["user"]["email"]).check_password("first secret")


def test_for_people_it_prints_how_to_sign_in(demo_home):
    printed = bootstrap("--no-wait")
    demo = as_json()
    for text in (demo["url"], demo["user"]["email"], demo["second_user"]["password"], demo["service"]["page"]):
        assert text in printed


def test_a_server_that_others_reach_has_no_demo(settings, db):
    settings.DEMO = False
    with pytest.raises(CommandError, match="has no demo"):
        bootstrap()
    assert not User.objects.exists()
    assert not (settings.MERCATO_HOME / "demo.json").exists()
