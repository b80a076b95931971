"""Executions, whoever asked for them. The row is the truth; who may write it, and when, is claiming.py's business."""

from uuid import UUID

from django.conf import settings
from django.db import models
from django.urls import reverse

from portal.accounts.models import Account
from portal.lib.claims import Claimable
from portal.lib.ids import new_id
from services.models import ServiceVersion, Subscription

RASTER_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
PICTURE_MAX_BYTES = 5_000_000
SHORT_ID_LENGTH = 8


class Status(models.TextChoices):
    """A job only moves forward: QUEUED → STARTING → RUNNING → one of the final three."""

    QUEUED = "QUEUED", "Waiting"
    STARTING = "STARTING", "Starting"
    RUNNING = "RUNNING", "Running"
    SUCCEEDED = "SUCCEEDED", "Succeeded"
    FAILED = "FAILED", "Failed"
    CANCELLED = "CANCELLED", "Cancelled"


LIVE: tuple[str, ...] = (Status.QUEUED, Status.STARTING, Status.RUNNING)
CLAIMED: tuple[str, ...] = (Status.STARTING, Status.RUNNING)
FINAL: tuple[str, ...] = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


class Reason(models.TextChoices):
    """Why a job did not succeed: something that a person can act on."""

    ERROR = "error", "The code raised an error"
    TIMEOUT = "timeout", "The time limit was reached"
    OUT_OF_MEMORY = "out_of_memory", "The memory limit was reached"
    TOO_MANY_PROCESSES = "too_many_processes", "The process limit was reached"
    OUTPUT_TOO_LARGE = "output_too_large", "The output limit was reached"
    INVALID_INPUT = "invalid_input", "The input does not fit the code"
    INVALID_RESULT = "invalid_result", "The result cannot be written as JSON"
    LOST = "lost", "The sandbox or its host went away"
    DEADLINE = "deadline", "The deadline passed"
    CANCELLED = "cancelled", "It was cancelled"


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, account: Account) -> "JobQuerySet":
        """The jobs that ``account`` may see: its own. A provider does not see a consumer's."""
        return self.filter(account=account)

    def live(self) -> "JobQuerySet":
        return self.filter(status__in=LIVE)


class Job(Claimable):
    """One execution of a version. Its log has the kind ``job``; its files are JobFile rows."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="jobs")
    version = models.ForeignKey(ServiceVersion, models.PROTECT, related_name="jobs")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    subscription = models.ForeignKey(
        Subscription,
        models.PROTECT,
        null=True,
        related_name="jobs",
        db_index=False,  # `jobs_of_subscription` is one, and the planner of PostgreSQL must not choose another
        help_text="that an application called with",
    )
    tags = models.JSONField(default=list, blank=True, help_text="words of the caller's; JobTag finds jobs by them")
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    reason = models.CharField(max_length=24, choices=Reason, blank=True)
    detail = models.TextField(blank=True, help_text="the reason in words, with what to do next")
    error = models.JSONField(null=True, help_text="class, message and the user's own frames of an uncaught exception")
    created_at = models.DateTimeField(auto_now_add=True)
    claimed_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True, help_text="when the user's code was started")
    ended_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True, help_text="it ends then, wherever it is")
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    wall_seconds = models.FloatField(null=True)
    cpu_seconds = models.FloatField(null=True)
    memory_peak_bytes = models.PositiveBigIntegerField(null=True)
    log_archived = models.BooleanField(default=False, help_text="the log of the last attempt lies in storage")
    progress = models.FloatField(null=True, help_text="0 to 1, as the code says")
    progress_message = models.CharField(max_length=200, blank=True)
    progress_at = models.DateTimeField(null=True)
    limit_tier = models.CharField(max_length=16, blank=True, help_text="how the host held the limits: v2, v1, rlimit")

    objects = JobQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("account", "-id"), name="jobs_of_account"),
            models.Index(fields=("subscription", "-id"), name="jobs_of_subscription"),
            models.Index(fields=("subscription", "status", "-id"), name="jobs_of_subscription_by_status"),
            models.Index(
                fields=("id",), name="live_jobs", condition=models.Q(status__in=("QUEUED", "STARTING", "RUNNING"))
            ),
            models.Index(fields=("ended_at",), name="open_logs", condition=models.Q(log_archived=False)),
            # What claims and ticks look at, whatever lies behind. SQLite takes a partial index only where its condition
            # is one value or NULL: a claimed job is one with a lease.
            models.Index(fields=("id", "account", "version"), name="queue", condition=models.Q(status="QUEUED")),
            models.Index(fields=("account", "id"), name="queue_of_account", condition=models.Q(status="QUEUED")),
            models.Index(
                fields=("lease_expires_at", "account", "version"),
                name="claimed_jobs",
                condition=models.Q(lease_expires_at__isnull=False),
            ),
            models.Index(
                fields=("deadline_at",),
                name="deadlines",
                condition=models.Q(deadline_at__isnull=False, ended_at__isnull=True),
            ),
            models.Index(fields=("ended_at",), name="ended_jobs", condition=models.Q(ended_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"job {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("jobs:detail", args=[self.pk])

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def short_id(self) -> str:
        """The end of the id, which is random; for people, and no key of a job."""
        return str(self.pk)[-SHORT_ID_LENGTH:]

    def log_name(self) -> tuple[str, UUID, int]:
        """Where the log of the current attempt is: kind, id and attempt for portal.lib.logstream."""
        return "job", self.pk, max(self.attempt, 1)


class JobAttempt(models.Model):
    """An attempt of a retryable version that was cut off after its code had been started. Its log is kept."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField(help_text="of the job's attempts; its log has it in its name")
    host = models.CharField(max_length=255, blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    reason = models.CharField(max_length=24, choices=Reason)
    detail = models.TextField(blank=True)
    log_archived = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("job", "number"), name="one_row_per_attempt"),)
        indexes = (
            models.Index(fields=("ended_at",), name="open_attempt_logs", condition=models.Q(log_archived=False)),
        )

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job_id}"

    def log_name(self) -> tuple[str, UUID, int]:
        """As `Job.log_name`."""
        return "job", self.job_id, self.number


class JobInterim(models.Model):
    """A result that the code announced before its end."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="interims")
    attempt = models.PositiveSmallIntegerField()
    number = models.PositiveIntegerField(help_text="1 is the first of its attempt")
    content = models.TextField(help_text="JSON")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("job", "attempt", "number"), name="one_interim_per_number"),)

    def __str__(self) -> str:
        return f"interim result {self.number} of {self.job_id}"


class JobTag(models.Model):
    """The index from a tag to the jobs of a subscription that have it."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="tag_rows")
    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=64)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("subscription", "name", "job"), name="one_tag_per_job_and_name"),
        )

    def __str__(self) -> str:
        return self.name


class JobInput(models.Model):
    """What the consumer sent: JSON texts, kept as they came. A table of its own, so that lists stay narrow."""

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, related_name="input")
    data = models.TextField()
    params = models.TextField()
    more = models.JSONField(default=dict, help_text="further inputs: name to JSON text")
    secrets = models.TextField(blank=True, help_text="a JSON object, encrypted; gone when the job has ended")
    secret_count = models.PositiveSmallIntegerField(default=0, help_text="how many there were")

    def __str__(self) -> str:
        return f"input of {self.job_id}"


class IdempotencyKey(models.Model):
    """The first answer to a POST with this `Idempotency-Key`, written in the transaction of its job."""

    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    body_digest = models.CharField(max_length=64, help_text="HMAC of the body, hexadecimal")
    job = models.ForeignKey(Job, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("subscription", "key"), name="one_answer_per_idempotency_key"),)

    def __str__(self) -> str:
        return self.key


class JobFile(models.Model):
    """A file that the job left in its output folder; ``output.json`` is the result."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="files")
    name = models.CharField(max_length=1024, help_text="path below the output folder, with slashes")
    size = models.PositiveBigIntegerField(help_text="bytes")
    content_type = models.CharField(max_length=128)
    key = models.CharField(max_length=255, help_text="name in storage")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("job", "name"), name="one_file_per_name"),)

    def __str__(self) -> str:
        return self.name

    @property
    def is_picture(self) -> bool:
        """Whether its page may show it: a raster image runs nothing, unlike an SVG."""
        return self.content_type in RASTER_TYPES and self.size <= PICTURE_MAX_BYTES
