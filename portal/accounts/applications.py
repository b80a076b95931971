"""Applications, the clients of consumers, and their secrets. Handing out tokens for them is the issuer's business.

Every verb refuses with a ValidationError whose keys are its own argument names. Who may do it is the caller's question
(rules.py). The text of a secret is returned once and kept nowhere: only its SHA-256 goes into the database.
"""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import Account, Application, ApplicationSecret
from portal.lib import tokens

LIVE_SECRETS_MAX = 2
NAME_MAX_CHARACTERS = 100  # of the column
ENDING_CHARACTERS = 4  # enough to tell two secrets apart, and of 64 digits nothing that helps to guess


def create_application(*, account: Account, name: str, by: Actor) -> tuple[Application, str]:
    """A new application and the text of its first secret, which never expires by itself."""
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)  # of two with one name at once, one is refused
        application = Application.objects.create(
            account=account,
            name=_checked_name(account, name),
            access_key_id=tokens.new_token(tokens.ACCESS_KEY_ID),
            created_by=by.user,
        )
        _, text = _new_secret(application, by, expires_at=None)
    return application, text


def rename(*, application: Application, name: str, by: Actor) -> Application:
    """Change the name. Its credentials and subscriptions stay as they are."""
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=application.account_id)
        application = _locked(application)
        application.name = _checked_name(application.account, name, own=application)
        application.save(update_fields=["name"])
    return application


def delete_application(*, application: Application, by: Actor) -> Application:
    """Hide the application and free its name. Its secrets, tokens and subscriptions are dead at once, for good.

    What it executed stays with the account. Twice is no error.
    """
    Application.objects.filter(pk=application.pk, deleted_at=None).update(deleted_at=timezone.now())
    application.refresh_from_db()
    return application


def add_secret(
    *, application: Application, by: Actor, expires_at: datetime | None = None
) -> tuple[ApplicationSecret, str]:
    """One more live secret, and its text. Refused while two are live: one is in use, one takes over from it."""
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError(
            {"expires_at": "This moment has passed: the secret would never work. Choose a later one, or none at all."}
        )
    with transaction.atomic():
        application = _locked(application)
        if application.secrets.live().count() >= LIVE_SECRETS_MAX:
            raise ValidationError(
                f"{application} has {LIVE_SECRETS_MAX} live secrets, as many as it may. "
                "Revoke the one that your programs no longer use, then add another."
            )
        return _new_secret(application, by, expires_at=expires_at)


def revoke_secret(*, secret: ApplicationSecret, by: Actor) -> ApplicationSecret:
    """End the secret, and every token that was asked for with it, at once. Twice is no error."""
    ApplicationSecret.objects.filter(pk=secret.pk, revoked_at=None).update(revoked_at=timezone.now())
    secret.refresh_from_db()
    return secret


def _new_secret(application: Application, by: Actor, *, expires_at: datetime | None) -> tuple[ApplicationSecret, str]:
    text = tokens.new_token(tokens.SECRET_ACCESS_KEY)
    secret = ApplicationSecret.objects.create(
        application=application,
        digest=tokens.digest(text),
        ending=text[-ENDING_CHARACTERS:],
        expires_at=expires_at,
        created_by=by.user,
    )
    return secret, text


def _locked(application: Application) -> Application:
    """The row as it is now, held until the transaction ends."""
    live = Application.objects.select_for_update(of=("self",)).select_related("account")
    found = live.filter(pk=application.pk, deleted_at=None).first()
    if found is None:
        raise ValidationError("The application was deleted in the meantime. Go back to your applications.")
    return found


def _checked_name(account: Account, name: str, *, own: Application | None = None) -> str:
    name = " ".join(name.split())
    if not name:
        raise ValidationError({"name": "An application needs a name, by which you tell it from others. Write one."})
    if not name.isprintable():
        raise ValidationError({"name": "It has control characters. Remove them."})
    if len(name) > NAME_MAX_CHARACTERS:
        raise ValidationError(
            {"name": f"It has {len(name)} characters, and {NAME_MAX_CHARACTERS} are possible. Shorten it."}
        )
    same = Application.objects.visible_to(account).filter(name=name).first()
    if same is not None and same != own:
        raise ValidationError({"name": f"{account} has an application {name} already. Choose another name."})
    return name
