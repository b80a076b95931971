"""What providers offer: a Service, its immutable versions, and the builds that make a version runnable."""

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.urls import reverse

from portal.accounts.models import Account, Application
from portal.lib.claims import Claimable
from portal.lib.ids import new_id


class ServiceQuerySet(models.QuerySet["Service"]):
    def visible_to(self, account: Account) -> "ServiceQuerySet":
        """The services that ``account`` may see: its own that are not deleted."""
        return self.filter(account=account, deleted_at=None)


class Service(models.Model):
    """An offer of an account. Deleting hides it: jobs that used it belong to those who ran them."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="services")
    slug = models.SlugField(max_length=64)
    name = models.CharField(max_length=100)
    summary = models.CharField(max_length=200, blank=True)
    description = models.TextField(max_length=50_000, blank=True, help_text="Markdown")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = ServiceQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("account", "slug"), condition=models.Q(deleted_at=None), name="one_live_service_per_slug"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("services:detail", args=[self.pk])

    def get_offer_url(self) -> str:
        """Its page on the marketplace, which is there once a version is published."""
        return reverse("marketplace:detail", args=[self.account.slug, self.slug])

    def runnable_version(self) -> "ServiceVersion | None":
        """The newest version that is built and not retired; None before the first build succeeds."""
        usable = self.versions.exclude(environment="").exclude(publication=ServiceVersion.Publication.RETIRED)
        return usable.order_by("-id").first()


class ServiceVersion(models.Model):
    """A snapshot: source, runtime, resources and OpenAPI description. It is draft → built → internal | marketplace →
    retired.

    What runs never changes. What does change: ``environment``, the key that the runtime gave to what a build made,
    empty before; ``publication``; the description, until the version is published for the first time; and how it is
    run: its variables, ``retryable``, ``concurrency`` and ``warm_start``.
    """

    class RuntimeName(models.TextChoices):
        PYTHON = "python", "Python"
        DOCKER = "docker", "Container"

    class Network(models.TextChoices):
        NONE = "none", "Closed"
        OPEN = "open", "Open"

    class Publication(models.TextChoices):
        NONE = "", "Not published"
        INTERNAL = "internal", "Internal"
        MARKETPLACE = "marketplace", "Marketplace"
        RETIRED = "retired", "Retired"

    class Dialect(models.TextChoices):
        CURRENT = "current", "Current"
        LEGACY = "legacy", "2022: health at GET /, results wrapped in result and metadata"

    class OpenapiOrigin(models.TextChoices):
        UPLOADED = "uploaded", "uploaded"
        EDITED = "edited", "edited here"
        ARCHIVE = "archive", "found in the zip"
        DEFAULT = "default", "the default description"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    service = models.ForeignKey(Service, models.CASCADE, related_name="versions")
    number = models.CharField(max_length=32, help_text="major.minor.patch")
    source_sha256 = models.CharField(
        max_length=64, blank=True, help_text="key of the zip in storage: sources/<sha256>.zip; empty for an image"
    )
    source_size = models.PositiveBigIntegerField(help_text="bytes")
    source_name = models.CharField(max_length=255, blank=True)
    runtime = models.CharField(max_length=16, choices=RuntimeName, default=RuntimeName.PYTHON)
    cpu_millis = models.PositiveIntegerField(help_text="thousandths of a virtual CPU")
    memory_mib = models.PositiveIntegerField(help_text="MiB")
    time_limit_seconds = models.PositiveIntegerField(help_text="seconds of wall-clock time")
    network = models.CharField(max_length=8, choices=Network, default=Network.NONE)
    interpreter = models.CharField(max_length=16, blank=True, help_text="such as 3.11; empty: the default of the host")
    image = models.CharField(max_length=512, blank=True, help_text="reference in a registry, instead of a source")
    retryable = models.BooleanField(default=False, help_text="its code may be started again where it was cut off")
    concurrency = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="executions at the same time; null: no limit"
    )
    warm_start = models.BooleanField(default=False, help_text="keep its imports in memory between jobs of an account")
    openapi = models.TextField(help_text="OpenAPI 3.0 or 3.1 as JSON")
    openapi_origin = models.CharField(max_length=16, choices=OpenapiOrigin)
    warnings = models.JSONField(default=list, help_text="what the source check noticed")
    environment = models.CharField(max_length=128, blank=True, editable=False)
    publication = models.CharField(max_length=16, choices=Publication, default=Publication.NONE, blank=True)
    published_at = models.DateTimeField(null=True, editable=False, help_text="the first time")
    validates_input = models.BooleanField(default=True, help_text="refuse input that breaks InputData or InputParams")
    dialect = models.CharField(max_length=16, choices=Dialect, default=Dialect.CURRENT)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("service", "number"), name="one_version_per_number"),)
        indexes = (
            models.Index(fields=("service", "publication"), name="versions_by_publication"),
        )  # for the catalogue

    def __str__(self) -> str:
        return f"{self.service} {self.number}"

    @property
    def is_runnable(self) -> bool:
        return self.environment != ""

    @property
    def is_published(self) -> bool:
        """Whether subscribers may start executions of it."""
        return self.publication in PUBLISHED

    @property
    def state(self) -> str:
        """`draft`, `built`, `internal`, `marketplace` or `retired`."""
        return self.publication or ("built" if self.environment else "draft")


class VersionVariable(models.Model):
    """A variable of the environment that a version's code runs with."""

    version = models.ForeignKey(ServiceVersion, models.CASCADE, related_name="variables")
    name = models.CharField(max_length=128)
    value = models.TextField(blank=True, help_text="encrypted where it is secret")
    is_secret = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("version", "name"), name="one_variable_per_name"),)

    def __str__(self) -> str:
        return self.name


PUBLISHED: tuple[str, ...] = (ServiceVersion.Publication.INTERNAL, ServiceVersion.Publication.MARKETPLACE)


class ServiceTag(models.Model):
    """A word by which the catalogue finds a service."""

    service = models.ForeignKey(Service, models.CASCADE, related_name="tags")
    name = models.SlugField(max_length=40)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("name", "service"), name="one_tag_per_service_and_name"),)

    def __str__(self) -> str:
        return self.name


class ServiceShare(models.Model):
    """An account besides the owner's that may subscribe to versions which are published internally."""

    service = models.ForeignKey(Service, models.CASCADE, related_name="shares")
    account = models.ForeignKey(Account, models.CASCADE, related_name="shared_services")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("service", "account"), name="one_share_per_account"),)

    def __str__(self) -> str:
        return f"{self.service} for {self.account}"


class PricingPlan(models.Model):
    """What a subscription costs and allows: its products say how much of what. Each service has a free one for now."""

    class Kind(models.TextChoices):
        FREE = "free", "Free"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    service = models.ForeignKey(Service, models.CASCADE, related_name="plans")
    name = models.CharField(max_length=60)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.FREE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("service", "name"), name="one_plan_per_name"),)

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """One thing that a plan counts, and its price."""

    class Unit(models.TextChoices):
        EXECUTION = "execution", "Execution"
        SECOND = "second", "Second of run time"

    plan = models.ForeignKey(PricingPlan, models.CASCADE, related_name="products")
    unit = models.CharField(max_length=16, choices=Unit)
    price = models.DecimalField(max_digits=12, decimal_places=6, default=0, help_text="a unit, in EUR")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("plan", "unit"), name="one_product_per_unit"),)

    def __str__(self) -> str:
        return f"{self.unit} of {self.plan}"


class Subscription(models.Model):
    """Application × Service × PricingPlan: the right to call. ``version`` is the one that its endpoint names.

    One row a pair for good: who subscribes again finds the executions of before.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    application = models.ForeignKey(Application, models.CASCADE, related_name="subscriptions")
    service = models.ForeignKey(Service, models.CASCADE, related_name="subscriptions")
    plan = models.ForeignKey(PricingPlan, models.PROTECT, related_name="subscriptions")
    version = models.ForeignKey(ServiceVersion, models.PROTECT, related_name="subscriptions")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("application", "service"), name="one_subscription_per_application"),
        )

    def __str__(self) -> str:
        return f"{self.application} → {self.service}"


class UsageEvent(models.Model):
    """One ended execution as its provider may know it: no input, no log, no result, no name of a person."""

    job_id = models.UUIDField(primary_key=True, help_text="jobs are above this app: no foreign key")
    service = models.ForeignKey(Service, models.CASCADE, related_name="usage")
    version = models.ForeignKey(ServiceVersion, models.CASCADE, related_name="usage")
    account = models.ForeignKey(Account, models.PROTECT, related_name="usage", help_text="the consumer's")
    subscription = models.ForeignKey(Subscription, models.SET_NULL, null=True, related_name="usage")
    outcome = models.CharField(max_length=16, help_text="SUCCEEDED, FAILED or CANCELLED")
    reason = models.CharField(max_length=24, blank=True, help_text="the class of the error: a value of jobs.Reason")
    wall_seconds = models.FloatField(null=True)
    cpu_seconds = models.FloatField(null=True)
    ended_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("service", "ended_at"), name="usage_of_service"),)

    def __str__(self) -> str:
        return f"{self.outcome} of {self.service}"


class BuildStatus(models.TextChoices):
    QUEUED = "QUEUED", "Waiting"
    RUNNING = "RUNNING", "Building"
    SUCCEEDED = "SUCCEEDED", "Built"
    FAILED = "FAILED", "Failed"

    @classmethod
    def live(cls) -> tuple[str, ...]:
        return (cls.QUEUED, cls.RUNNING)


class Build(Claimable):
    """Making a version runnable. Claimed and leased like a job, with a log of its own (kind ``build``)."""

    Status: ClassVar[type[BuildStatus]] = BuildStatus

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.ForeignKey(ServiceVersion, models.CASCADE, related_name="builds")
    status = models.CharField(max_length=16, choices=BuildStatus, default=BuildStatus.QUEUED)
    fresh = models.BooleanField(default=False, help_text="resolve requirements again instead of reusing their lock")
    reused = models.BooleanField(default=False, help_text="the environment existed already")
    detail = models.TextField(blank=True, help_text="why it failed, in words for the provider")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    log_archived = models.BooleanField(default=False, help_text="the log of the last attempt lies in storage")

    class Meta:
        indexes = (
            models.Index(fields=("id",), name="live_builds", condition=models.Q(status__in=("QUEUED", "RUNNING"))),
            models.Index(fields=("ended_at",), name="open_build_logs", condition=models.Q(log_archived=False)),
        )

    def __str__(self) -> str:
        return f"build of {self.version}"

    @property
    def is_live(self) -> bool:
        return self.status in BuildStatus.live()

    def log_name(self) -> tuple[str, UUID, int]:
        """Where the log of the current attempt is: kind, id and attempt for portal.lib.logstream."""
        return "build", self.pk, max(self.attempt, 1)
