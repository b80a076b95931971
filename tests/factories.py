"""Rows for tests, each valid as it comes. ``JobFactory(status="RUNNING")`` is a row only: nothing runs it."""

from datetime import timedelta
from typing import Any

import factory
from allauth.account.models import EmailAddress
from django.utils import timezone
from factory.django import DjangoModelFactory

from jobs.models import FINAL, Job, JobFile, JobInput
from portal.accounts.models import AccessToken, Account, Application, ApplicationSecret, Membership, User
from portal.lib import tokens
from services.models import Build, PricingPlan, Service, ServiceVersion, Subscription

PASSWORD = "correct horse battery staple"
OPENAPI = '{"openapi": "3.1.0", "info": {"title": "Test", "version": "1.0.0"}, "paths": {}}'


class UserFactory(DjangoModelFactory):
    """A person with a verified e-mail address, a personal account and the password ``PASSWORD``."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    name = factory.LazyAttribute(lambda user: user.email.partition("@")[0].title())
    password = PASSWORD

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **kwargs: Any) -> User:
        return model_class.objects.create_user(*args, **kwargs)

    @factory.post_generation
    def verified(self, create: bool, extracted: bool | None, **_: Any) -> None:
        if create and extracted is not False:
            EmailAddress.objects.create(user=self, email=self.email, verified=True, primary=True)


class AccountFactory(DjangoModelFactory):
    """An organization without members. A person's own account comes with the person."""

    class Meta:
        model = Account

    kind = Account.Kind.ORGANIZATION
    slug = factory.Sequence(lambda n: f"organization-{n}")
    name = factory.Sequence(lambda n: f"Organization {n}")


class MembershipFactory(DjangoModelFactory):
    class Meta:
        model = Membership

    account = factory.SubFactory(AccountFactory)
    user = factory.SubFactory(UserFactory)
    role = Membership.Role.MAINTAINER


class ServiceFactory(DjangoModelFactory):
    """A service without versions, of a new person's account where none is given."""

    class Meta:
        model = Service

    account = factory.LazyFunction(lambda: personal_account(UserFactory()))
    slug = factory.Sequence(lambda n: f"service-{n}")
    name = factory.Sequence(lambda n: f"Service {n}")
    created_by = factory.LazyAttribute(lambda service: owner_of(service.account))


class ServiceVersionFactory(DjangoModelFactory):
    """A version that is built, by its row. There is no source in storage; ``built=False``: not built yet."""

    class Meta:
        model = ServiceVersion

    class Params:
        built = True

    service = factory.SubFactory(ServiceFactory)
    number = factory.Sequence(lambda n: f"1.0.{n}")
    source_sha256 = factory.Sequence(lambda n: f"{n:064x}")
    source_size = 1024
    source_name = "service.zip"
    cpu_millis = 1000
    memory_mib = 512
    time_limit_seconds = 60
    openapi = OPENAPI
    openapi_origin = ServiceVersion.OpenapiOrigin.DEFAULT
    environment = factory.LazyAttribute(lambda version: "0" * 64 if version.built else "")
    created_by = factory.LazyAttribute(lambda version: version.service.created_by)


class ApplicationFactory(DjangoModelFactory):
    """An application without a secret, of a new person's account where none is given."""

    class Meta:
        model = Application

    account = factory.LazyFunction(lambda: personal_account(UserFactory()))
    name = factory.Sequence(lambda n: f"Application {n}")
    access_key_id = factory.LazyFunction(lambda: tokens.new_token(tokens.ACCESS_KEY_ID))
    created_by = factory.LazyAttribute(lambda application: owner_of(application.account))


class ApplicationSecretFactory(DjangoModelFactory):
    """A live secret. Its text is ``text``, or that which the caller of the factory gives."""

    class Meta:
        model = ApplicationSecret

    class Params:
        text = factory.LazyFunction(lambda: tokens.new_token(tokens.SECRET_ACCESS_KEY))

    application = factory.SubFactory(ApplicationFactory)
    digest = factory.LazyAttribute(lambda secret: tokens.digest(secret.text))
    ending = factory.LazyAttribute(lambda secret: secret.text[-4:])
    created_by = factory.LazyAttribute(lambda secret: secret.application.created_by)


class SubscriptionFactory(DjangoModelFactory):
    """An active subscription of a new application to a version that is published on the marketplace."""

    class Meta:
        model = Subscription

    application = factory.SubFactory(ApplicationFactory)
    version = factory.LazyFunction(lambda: ServiceVersionFactory(publication="marketplace"))
    service = factory.LazyAttribute(lambda subscription: subscription.version.service)
    plan = factory.LazyAttribute(
        lambda subscription: PricingPlan.objects.get_or_create(service=subscription.service, name="Free")[0]
    )
    created_by = factory.LazyAttribute(lambda subscription: subscription.application.created_by)


class BuildFactory(DjangoModelFactory):
    class Meta:
        model = Build

    version = factory.SubFactory(ServiceVersionFactory, built=False)
    requested_by = factory.LazyAttribute(lambda build: build.version.created_by)


class JobFactory(DjangoModelFactory):
    """A job of the provider's own account, with its input; times and attempt fit the status."""

    class Meta:
        model = Job
        skip_postgeneration_save = True

    version = factory.SubFactory(ServiceVersionFactory)
    account = factory.LazyAttribute(lambda job: job.version.service.account)
    created_by = factory.LazyAttribute(lambda job: owner_of(job.account))
    status = Job._meta.get_field("status").default
    attempt = factory.LazyAttribute(lambda job: 0 if job.status == "QUEUED" else 1)
    reason = factory.LazyAttribute(lambda job: {"FAILED": "error", "CANCELLED": "cancelled"}.get(job.status, ""))
    claimed_at = factory.LazyAttribute(lambda job: _ago(20) if job.attempt else None)
    started_at = factory.LazyAttribute(lambda job: _ago(19) if job.attempt and job.status != "STARTING" else None)
    ended_at = factory.LazyAttribute(lambda job: _ago(1) if job.status in FINAL else None)

    @factory.post_generation
    def input(self, create: bool, extracted: dict[str, str] | None, **_: Any) -> None:
        if create:
            JobInput.objects.create(job=self, **{"data": "{}", "params": "{}", **(extracted or {})})


class JobFileFactory(DjangoModelFactory):
    class Meta:
        model = JobFile

    job = factory.SubFactory(JobFactory, status="SUCCEEDED")
    name = factory.Sequence(lambda n: f"file-{n}.txt")
    size = 5
    content_type = "text/plain"
    key = factory.LazyAttribute(lambda file: f"jobs/{file.job.pk}/{file.name}")


def personal_account(user: User) -> Account:
    """The account that ``user`` got at sign-up."""
    return user.personal_account


def access_token(application: Application) -> str:
    """A bearer token of ``application``, as POST /token gives one."""
    text = tokens.new_token(tokens.ACCESS_TOKEN)
    secret = application.secrets.first() or ApplicationSecretFactory(application=application)
    AccessToken.objects.create(
        digest=tokens.digest(text),
        application=application,
        secret=secret,
        expires_at=timezone.now() + timedelta(hours=1),
    )
    return text


def owner_of(account: Account) -> User | None:
    """Somebody who owns ``account``; None for an organization without members."""
    return User.objects.filter(memberships__account=account, memberships__role=Membership.Role.OWNER).first()


def _ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)
