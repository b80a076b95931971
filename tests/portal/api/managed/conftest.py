"""The cast as applications. **caller** calls a service of the provider's with an application of the consumer's."""

from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.test import Client

from jobs.models import Job, JobFile
from portal.accounts.models import Account, Application
from services.models import ServiceVersion, Subscription
from tests.factories import (
    ApplicationFactory,
    JobFactory,
    JobFileFactory,
    ServiceFactory,
    ServiceVersionFactory,
    SubscriptionFactory,
    access_token,
)


class Caller:
    """An application at the endpoint of a version. Its paths begin behind the endpoint."""

    def __init__(self, application: Application, version: ServiceVersion, token: str = "") -> None:
        self.application = application
        self.version = version
        self.token = token or access_token(application)
        self.path = f"/gateway/{version.service.account.slug}/{version.service.slug}/{version.number}"
        self.url = f"http://localhost:8000{self.path}"

    @property
    def subscription(self) -> Subscription:
        return Subscription.objects.get(application=self.application, service=self.version.service)

    def call(self, method: str, path: str = "", body: Any = "", **headers: str) -> HttpResponse:
        headers = {"Authorization": f"Bearer {self.token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        content_type = headers.pop("Content-Type", "application/json" if body != "" else "")
        answer = Client(headers=headers).generic(method, self.path + path, body, content_type=content_type)
        answer.body = answer.getvalue()  # a stream is read to its end, as a client does
        return answer

    def get(self, path: str = "", **headers: str) -> HttpResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str = "", body: Any = "{}", **headers: str) -> HttpResponse:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, **headers: str) -> HttpResponse:
        return self.call("PUT", path, **headers)

    def job(self, **values: Any) -> Job:
        """An execution of this application, by its row only."""
        defaults = {"account": self.application.account, "created_by": None, "version": self.version}
        return JobFactory(**defaults | {"subscription": self.subscription} | values)

    def ended(self, output: bytes | None = None, **values: Any) -> Job:
        """One that has succeeded, with ``output`` as its output.json."""
        job = self.job(**{"status": "SUCCEEDED"} | values)
        if output is not None:
            left(job, "output.json", output, content_type="application/json")
        return job

    def at(self, number: str, **values: Any) -> "Caller":
        """At another version of the service."""
        version = ServiceVersionFactory(service=self.version.service, number=number, **values)
        return Caller(self.application, version, self.token)


def left(job: Job, name: str, content: bytes, **values: Any) -> JobFile:
    """A file that ``job`` left, in storage too."""
    row = JobFileFactory(
        job=job, name=name, size=len(content), key=f"jobs/{job.pk}/{JobFile.objects.count()}", **values
    )
    default_storage.save(row.key, ContentFile(content))
    return row


@pytest.fixture
def version(provider_account: Account) -> ServiceVersion:
    """On the marketplace."""
    service = ServiceFactory(account=provider_account, slug="sum")
    return ServiceVersionFactory(service=service, number="1.0.0", publication="marketplace")


@pytest.fixture
def caller(version: ServiceVersion, consumer_account: Account) -> Caller:
    application = ApplicationFactory(account=consumer_account)
    SubscriptionFactory(application=application, version=version)
    return Caller(application, version)


@pytest.fixture
def unsubscribed(version: ServiceVersion, consumer_account: Account) -> Caller:
    """An application of the same account that is not subscribed."""
    return Caller(ApplicationFactory(account=consumer_account), version)


@pytest.fixture
def sibling(version: ServiceVersion, consumer_account: Account) -> Caller:
    """Another application of the same account, subscribed too."""
    application = ApplicationFactory(account=consumer_account)
    SubscriptionFactory(application=application, version=version)
    return Caller(application, version)
