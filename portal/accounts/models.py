"""Who is who: people (User), owners of things (Account), who may do what there (Membership), clients (Application)."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from portal.lib.ids import new_id


class UserManager(BaseUserManager["User"]):
    """Makes users with the personal account that each of them has."""

    def create_user(
        self, email: str, password: str | None = None, *, email_verified: bool = False, **extra: Any
    ) -> "User":
        """A person who signs in with ``email``; at the first sign-in they verify it, unless somebody vouches for it."""
        if not email:
            raise ValueError("A user needs an email address.")
        user = self.model(email=email, **extra)
        user.set_password(password)
        with transaction.atomic():
            user.save()
            if email_verified:
                # allauth's relation, and allauth has no types.
                user.emailaddress_set.create(email=user.email, verified=True, primary=True)  # type: ignore[attr-defined]
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "User":
        """An operator: may use the admin site. Who can run this command needs no mail to prove who they are."""
        return self.create_user(email, password, email_verified=True, is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractUser):
    """A person. Owns nothing: what a person owns belongs to their personal account."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    username = None  # type: ignore[assignment]
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    email = models.EmailField("email address", unique=True)
    name = models.CharField(max_length=150, blank=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()  # type: ignore[assignment, misc]

    class Meta(AbstractUser.Meta):
        abstract = False
        constraints = (
            # With it, the plain unique index on the column tells upper from lower case no more.
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="email_in_lower_case"),
        )

    def __str__(self) -> str:
        return self.name or self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and give a new user the personal account."""
        self.email = self.email.lower()
        with transaction.atomic():
            is_new = self._state.adding
            super().save(*args, **kwargs)
            if is_new:
                Account.objects.create_personal(self)

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return str(self)

    def rename(self, name: str) -> None:
        """Change the name, and that of the personal account with it."""
        self.name = name
        with transaction.atomic():
            self.save(update_fields=["name"])
            Account.objects.filter(person=self).update(name=self.account_name)

    @property
    def account_name(self) -> str:
        """What others read as the name of the personal account: never the whole e-mail address."""
        return self.name or self.email.partition("@")[0]

    def load_memberships(self) -> None:
        """Fetch the memberships with their accounts, the personal one first.

        From then on ``memberships.all()``, and the rules with it, ask the database no more: for the user of a request,
        who lives as long as the request does.
        """
        personal_first = models.Case(models.When(account__person=models.F("user"), then=0), default=1)
        memberships = Membership.objects.select_related("account").order_by(personal_first, "account__name")
        models.prefetch_related_objects([self], models.Prefetch("memberships", memberships))


class AccountQuerySet(models.QuerySet["Account"]):
    def of(self, user: User) -> "AccountQuerySet":
        """The accounts that ``user`` is a member of, the personal one first."""
        personal_first = models.Case(models.When(person=user, then=0), default=1)
        return self.filter(memberships__user=user).order_by(personal_first, "name")


class AccountManager(models.Manager.from_queryset(AccountQuerySet)):  # type: ignore[misc]
    def create_personal(self, user: User) -> "Account":
        """The account of a person, with a slug from the e-mail address that nobody has yet."""
        account_id = new_id()
        base = slugify(user.email.partition("@")[0])[:40] or "account"
        # Of two people who sign up at the same moment one gets the short slug; asking first would let both try it.
        try:
            account = self._insert_personal(user, account_id, base)
        except IntegrityError:
            account = self._insert_personal(user, account_id, f"{base}-{account_id.hex[-8:]}")
        Membership.objects.create(account=account, user=user, role=Membership.Role.OWNER)
        return account

    def _insert_personal(self, user: User, account_id: UUID, slug: str) -> "Account":
        with transaction.atomic():
            return self.create(
                id=account_id, kind=Account.Kind.PERSONAL, person=user, slug=slug, name=user.account_name
            )


class Account(models.Model):
    """Who owns things: a person's own account, or an organization. Every owned row has exactly one."""

    class Kind(models.TextChoices):
        PERSONAL = "personal"
        ORGANIZATION = "organization"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=16, choices=Kind)
    # Deleting a person takes the empty account along; what it owns protects both.
    person = models.OneToOneField(
        User,
        models.CASCADE,
        null=True,
        editable=False,
        related_name="personal_account",
        help_text="whose personal account it is; none for an organization",
    )
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AccountManager()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(kind="personal", person__isnull=False)
                | models.Q(kind="organization", person__isnull=True),
                name="a_person_for_each_personal_account",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """What a user may do in an account. Roles grow: an owner may what a maintainer may, and so on."""

    class Role(models.TextChoices):
        VIEWER = "viewer"
        MAINTAINER = "maintainer"
        OWNER = "owner"

    account = models.ForeignKey(Account, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "user"), name="one_membership_per_user_and_account"),)

    def __str__(self) -> str:
        return f"{self.user} in {self.account}: {self.role}"


ROLES: tuple[str, ...] = (Membership.Role.VIEWER, Membership.Role.MAINTAINER, Membership.Role.OWNER)


def role_in(user: User, account_id: UUID) -> str | None:
    """The role of ``user`` in the account; None for a stranger."""
    # All memberships and not one by its keys: the user of a request has them loaded, and a person has few.
    return next((m.role for m in user.memberships.all() if m.account_id == account_id), None)


class ApplicationQuerySet(models.QuerySet["Application"]):
    def visible_to(self, account: Account) -> "ApplicationQuerySet":
        """The applications that ``account`` may see: its own that are not deleted."""
        return self.filter(account=account, deleted_at=None)


class AccountLimits(models.Model):
    """What an account may use where it differs from the settings. Null: as the settings say; 0: without a limit."""

    account = models.OneToOneField(Account, models.CASCADE, primary_key=True, related_name="limits")
    running_jobs = models.PositiveIntegerField(null=True, blank=True, help_text="at the same time; 0: no limit")
    queued_jobs = models.PositiveIntegerField(null=True, blank=True, help_text="at the same time; 0: no limit")
    storage_bytes = models.PositiveBigIntegerField(null=True, blank=True, help_text="of result files; 0: no limit")
    retention_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="after the end of a job; 0: kept for ever"
    )

    class Meta:
        verbose_name_plural = "account limits"

    def __str__(self) -> str:
        return f"limits of {self.account}"


class StorageUse(models.Model):
    """How many bytes of files an account keeps; whoever keeps or removes a file counts it in the same transaction."""

    account = models.OneToOneField(Account, models.CASCADE, primary_key=True, related_name="storage_use")
    bytes = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"storage of {self.account}"


class Application(models.Model):
    """A consumer's client. Its credentials are the access key id here and its live secrets."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="applications")
    name = models.CharField(max_length=100)
    access_key_id = models.CharField(max_length=80, unique=True, editable=False, help_text="the consumer key")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = ApplicationQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("account", "name"), condition=models.Q(deleted_at=None), name="one_live_application_per_name"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("applications:detail", args=[self.pk])


class ApplicationSecretQuerySet(models.QuerySet["ApplicationSecret"]):
    def live(self) -> "ApplicationSecretQuerySet":
        """Those that a token can be asked for with: not revoked, not expired."""
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, revoked_at=None)


class ApplicationSecret(models.Model):
    """A secret access key (the consumer secret). Two of an application may be live at once, so that one can follow
    the other without a pause. Only its SHA-256 is kept: it is 256 random bits, which nobody can guess from a digest.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    application = models.ForeignKey(Application, models.CASCADE, related_name="secrets")
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256, hexadecimal")
    ending = models.CharField(max_length=8, editable=False, help_text="its last characters, to tell two apart")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, help_text="from then on it is refused; none: never")
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="a token was asked for; to the minute")

    objects = ApplicationSecretQuerySet.as_manager()

    def __str__(self) -> str:
        return f"secret …{self.ending} of {self.application}"

    @property
    def state(self) -> str:
        """`live`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "live"

    @property
    def is_live(self) -> bool:
        return self.state == "live"


class AccessToken(models.Model):
    """A short-lived bearer token of an application (RFC 6750). Dead with the secret that it was asked for with."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256, hexadecimal")
    application = models.ForeignKey(Application, models.CASCADE, related_name="tokens")
    secret = models.ForeignKey(ApplicationSecret, models.CASCADE, related_name="tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"token of {self.application}"
