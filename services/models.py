"""What providers offer: a Service, its immutable versions, and the builds that make a version runnable."""

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.urls import reverse

from portal.accounts.models import Account
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

    def latest_version(self) -> "ServiceVersion | None":
        """The newest version, built or not."""
        return self.versions.order_by("-id").first()

    def runnable_version(self) -> "ServiceVersion | None":
        """The newest version that is built; None before the first build succeeds."""
        return self.versions.exclude(environment="").order_by("-id").first()


class ServiceVersion(models.Model):
    """An immutable snapshot: source, runtime, resources and OpenAPI description.

    ``environment`` is the only column that changes: the key that the runtime gave to what a build made, empty before.
    """

    class RuntimeName(models.TextChoices):
        PYTHON = "python", "Python"

    class Network(models.TextChoices):
        NONE = "none", "Closed"
        OPEN = "open", "Open"

    class OpenapiOrigin(models.TextChoices):
        UPLOADED = "uploaded", "uploaded"
        ARCHIVE = "archive", "found in the zip"
        DEFAULT = "default", "the default description"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    service = models.ForeignKey(Service, models.CASCADE, related_name="versions")
    number = models.CharField(max_length=32, help_text="major.minor.patch")
    source_sha256 = models.CharField(max_length=64, help_text="key of the zip in storage: sources/<sha256>.zip")
    source_size = models.PositiveBigIntegerField(help_text="bytes")
    source_name = models.CharField(max_length=255, blank=True)
    runtime = models.CharField(max_length=16, choices=RuntimeName, default=RuntimeName.PYTHON)
    cpu_millis = models.PositiveIntegerField(help_text="thousandths of a virtual CPU")
    memory_mib = models.PositiveIntegerField(help_text="MiB")
    time_limit_seconds = models.PositiveIntegerField(help_text="seconds of wall-clock time")
    network = models.CharField(max_length=8, choices=Network, default=Network.NONE)
    retryable = models.BooleanField(default=False)
    openapi = models.TextField(help_text="OpenAPI 3.0 or 3.1 as JSON")
    openapi_origin = models.CharField(max_length=16, choices=OpenapiOrigin)
    warnings = models.JSONField(default=list, help_text="what the source check noticed")
    environment = models.CharField(max_length=128, blank=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("service", "number"), name="one_version_per_number"),)

    def __str__(self) -> str:
        return f"{self.service} {self.number}"

    @property
    def is_runnable(self) -> bool:
        return self.environment != ""


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
