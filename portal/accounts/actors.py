"""Who did it: a user, or an application."""

from dataclasses import dataclass
from typing import Self

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from portal.accounts.models import Application, User


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The one behind an act: exactly one of the two."""

    user: User | None = None
    application: Application | None = None

    def __str__(self) -> str:
        """For logs: by id, because names change."""
        return f"user {self.user.pk}" if self.user else f"application {self.application and self.application.pk}"

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        """The actor of a request that is signed in."""
        if not request.user.is_authenticated:
            raise PermissionDenied
        return cls(user=request.user)
