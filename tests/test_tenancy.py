"""Who gets what at every URL: a route without a row in ROWS fails here.

The cast meets a service of the provider's account, its versions and builds, a job, and an application of that account
that is subscribed to it. The hardest neighbour of that application is its sibling, which is not.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.signals import request_finished
from django.db import close_old_connections, transaction
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from jobs.models import JobAttempt
from portal.accounts.models import Membership
from services.models import ServiceShare
from tests import factories

OK, LOGIN, UNKNOWN, FORBIDDEN, NO_TOKEN = "ok", "login", "404", "403", "401"
ROLES = ("anonymous", "stranger", "viewer", "member", "owner", "application", "unsubscribed")


def _audience(*outcomes: str) -> Mapping[str, str]:
    return dict(zip(ROLES, outcomes, strict=True))


# What each role meets, in the order of ROLES. Applications have no session: to a page they are anonymous.
EVERYBODY = _audience(*[OK] * 7)
NOBODY = _audience(*[UNKNOWN] * 7)
PEOPLE = _audience(LOGIN, OK, OK, OK, OK, LOGIN, LOGIN)
VIEWERS = _audience(LOGIN, UNKNOWN, OK, OK, OK, LOGIN, LOGIN)
MEMBERS = _audience(LOGIN, UNKNOWN, FORBIDDEN, OK, OK, LOGIN, LOGIN)
OWNERS = _audience(LOGIN, UNKNOWN, FORBIDDEN, FORBIDDEN, OK, LOGIN, LOGIN)
SUBSCRIBED = _audience(*[NO_TOKEN] * 5, OK, UNKNOWN)
CREDENTIALS = _audience(*[NO_TOKEN] * 7)  # key and secret in the request itself: a token or a session is not enough

ENDPOINT = "gateway/<str:account>/<str:service>/<str:version>"

# route: {method: who may}
ROWS: dict[str, dict[str, Mapping[str, str]]] = {
    "": {"GET": EVERYBODY},
    "favicon.ico": {"GET": EVERYBODY},
    "healthz": {"GET": EVERYBODY},
    "readyz": {"GET": EVERYBODY},
    "docs/": {"GET": EVERYBODY},
    "docs/<slug:slug>/": {"GET": EVERYBODY},
    "styleguide/": {"GET": PEOPLE},
    "dashboard/": {"GET": PEOPLE},
    "find/": {"GET": PEOPLE},
    "account/profile/": {"GET": PEOPLE, "POST": PEOPLE},
    "account/limits/": {"GET": PEOPLE},
    "account/switch/": {"POST": _audience(LOGIN, *[UNKNOWN] * 4, LOGIN, LOGIN)},  # it names no account
    "services/": {"GET": PEOPLE},
    "services/new/": {"GET": PEOPLE, "POST": PEOPLE},
    "services/template.zip": {"GET": PEOPLE},
    "services/description-preview/": {"POST": PEOPLE},
    "services/<uuid:service_id>/": {"GET": VIEWERS},
    "services/<uuid:service_id>/api/": {"GET": VIEWERS},
    "services/<uuid:service_id>/api/openapi.<str:kind>": {"GET": VIEWERS},
    "services/<uuid:service_id>/runtime/": {"GET": VIEWERS},
    "services/<uuid:service_id>/settings/": {"GET": VIEWERS, "POST": MEMBERS},
    "services/<uuid:service_id>/delete/": {"POST": OWNERS},
    "services/<uuid:service_id>/versions/": {"GET": VIEWERS},
    "services/<uuid:service_id>/versions/new/": {"GET": MEMBERS, "POST": MEMBERS},
    "services/<uuid:service_id>/versions/<uuid:version_id>/rebuild/": {"POST": MEMBERS},
    "services/<uuid:service_id>/versions/<uuid:version_id>/operation/": {"POST": MEMBERS},
    "services/<uuid:service_id>/versions/<uuid:version_id>/variables/": {"POST": MEMBERS},
    "services/<uuid:service_id>/versions/<uuid:version_id>/variables/<str:variable>/remove/": {"POST": MEMBERS},
    "services/<uuid:service_id>/builds/": {"GET": VIEWERS},
    "services/<uuid:service_id>/builds/<uuid:build_id>/": {"GET": VIEWERS},
    "services/<uuid:service_id>/builds/<uuid:build_id>/log/stream": {"GET": VIEWERS},
    "services/<uuid:service_id>/builds/<uuid:build_id>/log.txt": {"GET": VIEWERS},
    "jobs/": {"GET": PEOPLE},
    "jobs/new/": {"GET": PEOPLE, "POST": PEOPLE},
    "jobs/<uuid:job_id>/": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/result/": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/interims/": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/files/": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/files/<path:name>": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/log/": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/log/stream": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/log/download": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/input/": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/cancel/": {"POST": MEMBERS},
    "jobs/<uuid:job_id>/delete/": {"POST": MEMBERS},
    "jobs/<uuid:job_id>/attempts/<int:number>/": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/attempts/<int:number>/log/stream": {"GET": VIEWERS},
    "jobs/<uuid:job_id>/attempts/<int:number>/log/download": {"GET": VIEWERS},
    "services/openapi-spec.yml": {"GET": PEOPLE},
    "services/<uuid:service_id>/publication/": {"GET": VIEWERS},
    "services/<uuid:service_id>/shares/": {"POST": MEMBERS},
    "services/<uuid:service_id>/shares/<int:share_id>/remove/": {"POST": MEMBERS},
    "services/<uuid:service_id>/usage/": {"GET": VIEWERS},
    "services/<uuid:service_id>/versions/<uuid:version_id>/api/edit/": {"GET": MEMBERS, "POST": MEMBERS},
    "services/<uuid:service_id>/versions/<uuid:version_id>/publish/": {"POST": MEMBERS},
    "services/<uuid:service_id>/versions/<uuid:version_id>/retire/": {"POST": MEMBERS},
    "applications/": {"GET": PEOPLE},
    "applications/new/": {"GET": PEOPLE, "POST": PEOPLE},
    "applications/<uuid:application_id>/": {"GET": VIEWERS},
    "applications/<uuid:application_id>/delete/": {"POST": OWNERS},
    "applications/<uuid:application_id>/settings/": {"GET": VIEWERS, "POST": MEMBERS},
    "applications/<uuid:application_id>/secrets/new/": {"GET": MEMBERS, "POST": MEMBERS},
    "applications/<uuid:application_id>/subscribe/": {"GET": MEMBERS, "POST": MEMBERS},
    "applications/secrets/<uuid:secret_id>/revoke/": {"POST": MEMBERS},
    "applications/subscriptions/<uuid:subscription_id>/unsubscribe/": {"POST": MEMBERS},
    "applications/subscriptions/<uuid:subscription_id>/upgrade/": {"GET": MEMBERS, "POST": MEMBERS},
    "marketplace/": {"GET": EVERYBODY},
    "marketplace/<slug:account_slug>/<slug:service_slug>/": {"GET": EVERYBODY},
    "marketplace/<slug:account_slug>/<slug:service_slug>/openapi.<str:kind>": {"GET": EVERYBODY},
    "marketplace/<slug:account_slug>/<slug:service_slug>/subscribe/": {"GET": PEOPLE, "POST": PEOPLE},
    ".well-known/oauth-authorization-server": {"GET": EVERYBODY},
    "token": {"POST": CREDENTIALS},
    "oauth/revoke": {"POST": CREDENTIALS},
    "oauth/introspect": {"POST": CREDENTIALS},
    "gateway/openapi.json": {"GET": EVERYBODY},
    "gateway/openapi.yaml": {"GET": EVERYBODY},
    f"{ENDPOINT}": {"GET": SUBSCRIBED, "POST": SUBSCRIBED},
    f"{ENDPOINT}/<str:id>": {"GET": SUBSCRIBED},
    f"{ENDPOINT}/<str:id>/result": {"GET": SUBSCRIBED},
    f"{ENDPOINT}/<str:id>/result/<path:file>": {"GET": SUBSCRIBED},
    f"{ENDPOINT}/<str:id>/interim-results": {"GET": SUBSCRIBED},
    f"{ENDPOINT}/<str:id>/log": {"GET": SUBSCRIBED},
    f"{ENDPOINT}/<str:id>/cancel": {"PUT": SUBSCRIBED},
}
# What a form has to name for its page to exist.
SENT = {
    "applications/<uuid:application_id>/subscribe/": "service=<service_id>",
    "applications/subscriptions/<uuid:subscription_id>/upgrade/": "version=<version_id>",
}
# What machines call, they may call with a slash at the end.
MACHINE = ("gateway/", "oauth/", "token", ".well-known/")
ROWS |= {route.replace(ENDPOINT, f"{ENDPOINT}/"): row for route, row in ROWS.items() if route.startswith(ENDPOINT)}
ROWS |= {f"{route}/": row for route, row in ROWS.items() if route.startswith(MACHINE) and "path" not in route}
# Routes of other packages, which have tests of their own.
OTHERS = re.compile(r"(allauth|django\.contrib)\.")
ADMIN = "admin/"
ALL_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


@dataclass(frozen=True, kw_only=True)
class World:
    """The clients of all roles, and what stands for each `<name>` of a route."""

    clients: dict[str, Client]
    places: dict[str, str]

    def filled(self, text: str) -> str:
        """``text`` with the place of each `<name>`."""
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: self.places[found[1]], text)


@pytest.fixture
def world(provider, teammate, stranger) -> World:
    account = provider.personal_account
    member = factories.UserFactory()
    factories.MembershipFactory(account=account, user=member, role=Membership.Role.MAINTAINER)
    service = factories.ServiceFactory(account=account)
    version = factories.ServiceVersionFactory(service=service, publication="marketplace")
    build = factories.BuildFactory(version=version, status="SUCCEEDED")
    application = factories.ApplicationFactory(account=account)
    sibling = factories.ApplicationFactory(account=account)
    subscription = factories.SubscriptionFactory(application=application, version=version)
    job = factories.JobFactory(version=version, account=account, status="SUCCEEDED", subscription=subscription)
    file = factories.JobFileFactory(job=job, key=default_storage.save("tenancy.txt", ContentFile(b"hello")))
    JobAttempt.objects.create(job=job, number=1, ended_at=timezone.now(), reason="lost")
    share = ServiceShare.objects.create(service=service, account=stranger.personal_account)
    clients = {role: Client() for role in ROLES}
    for role, user in {"stranger": stranger, "viewer": teammate, "member": member, "owner": provider}.items():
        clients[role].force_login(user)
    for role, who in {"application": application, "unsubscribed": sibling}.items():
        clients[role] = Client(headers={"authorization": f"Bearer {factories.access_token(who)}"})
    places = {
        "service_id": service.pk,
        "version_id": version.pk,
        "build_id": build.pk,
        "job_id": job.pk,
        "execution_id": job.pk,
        "application_id": application.pk,
        "secret_id": application.secrets.get().pk,
        "subscription_id": subscription.pk,
        "name": file.name,
        "kind": "json",
        "slug": "consumer",
        "account_slug": account.slug,
        "service_slug": service.slug,
        "share_id": share.pk,
        "variable": "API_URL",
        "account": account.slug,
        "service": service.slug,
        "version": version.number,
        "id": job.pk,
        "file": file.name,
        "number": 1,
    }
    return World(clients=clients, places={name: str(place) for name, place in places.items()})


def _routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern, route)
        elif not OTHERS.match(pattern.lookup_str) or route.startswith(ADMIN):
            yield route, pattern


EVERY_ROUTE = sorted({route for route, _ in _routes(get_resolver())})
ROUTES = [route for route in EVERY_ROUTE if not route.startswith(ADMIN)]


def test_each_route_has_a_row_and_each_row_a_route():
    assert set(ROUTES) == set(ROWS)


@pytest.mark.parametrize("route", [route for route in ROUTES if route in ROWS])
def test_who_gets_what(world, route, settings):
    settings.DEMO = True  # the style guide is there
    path = world.filled(f"/{route}")
    for method, expected in ROWS[route].items():
        sent = world.filled(SENT.get(route, ""))
        outcomes = {role: _outcome(world.clients[role], method, path, sent) for role in ROLES}
        assert outcomes == expected, f"{method} {path}"


@pytest.mark.parametrize("route", [route for route in ROUTES if route in ROWS])
def test_other_methods_are_refused(world, route):
    """Nobody reaches a view by a method that has no row: for those who may do most, it does not exist."""
    path = world.filled(f"/{route}")
    for method in set(ALL_METHODS) - set(ROWS[route]):
        for role in ("owner", "application"):
            assert _outcome(world.clients[role], method, path) not in (OK,), f"{method} {path} as {role}"


def test_the_admin_site_is_for_operators(world):
    routes = [route for route in EVERY_ROUTE if route.startswith(ADMIN)]
    for route in [route for route in routes if not route.endswith(("login/", "logout/"))]:
        path = "/" + re.sub(r"<(?:\w+:)?(\w+)>|\(\?P<\w+>.*\)\$?", "1", route)
        outcomes = {_outcome(world.clients[role], "GET", path) for role in ROLES}
        assert outcomes <= {LOGIN, FORBIDDEN, UNKNOWN, "405"}, path


def _outcome(client: Client, method: str, path: str, sent: str = "") -> str:
    """One of the five, or the status and text of what nobody expects. Whatever it changed is taken back."""
    with transaction.atomic():
        answer: Any = client.generic(method, path, sent, content_type="application/x-www-form-urlencoded")
        transaction.set_rollback(True)
    request_finished.disconnect(close_old_connections)  # as the client does for answers that it closes itself
    answer.close()
    request_finished.connect(close_old_connections)
    return _named(answer)


def _named(answer: HttpResponseBase) -> str:
    if answer.status_code == 302 and "/login/" in answer.headers["Location"]:
        return LOGIN
    if answer.status_code < 400 or answer.status_code in (400, 422):  # somebody who may, and sent nothing of sense
        return OK
    return str(answer.status_code)
