"""`manage.py bootstrap`: the demo is made once, and found again."""

import io
import json
import stat

import pytest
from django.core.management import CommandError, call_command

from portal.accounts.models import User
from services.models import Build, Service, ServiceVersion

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
        "token_endpoint",
        "application",
        "service_endpoint",
    }
    user = User.objects.get(email=demo["user"]["email"])
    assert demo["url"] == settings.PUBLIC_URL
    assert demo["account"] == user.personal_account.slug
    services = Service.objects.all()
    assert {(service.slug, service.account) for service in services} == {
        ("sum", user.personal_account),
        ("monte-carlo-pi", user.personal_account),
    }
    service = services.get(slug="sum")
    assert demo["service"] == {"id": str(service.pk), "page": settings.PUBLIC_URL + service.get_absolute_url()}
    assert Build.objects.count() == 2
    assert not User.objects.get(email=demo["second_user"]["email"]).personal_account.services.exists()


@pytest.mark.parametrize("key", ["user", "second_user"])
def test_both_people_sign_in_at_once(demo_home, client, key):
    person = as_json()[key]
    answer = client.post("/accounts/login/", {"login": person["email"], "password": person["password"]})
    assert answer.status_code == 302
    assert client.session["_auth_user_id"] == str(User.objects.get(email=person["email"]).pk)


def test_a_second_time_it_finds_what_it_made(demo_home, django_assert_max_num_queries):
    first = as_json()
    with django_assert_max_num_queries(20):
        second = as_json()
    assert second == first
    assert (User.objects.count(), ServiceVersion.objects.count(), Build.objects.count()) == (2, 2, 2)


def test_passwords_are_random_and_for_their_owner_alone(demo_home):
    first = as_json()
    kept = demo_home / "demo.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text()) == {key: first[key]["password"] for key in ("user", "second_user")}
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
    assert Build.objects.filter(status="QUEUED").count() == 2


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
