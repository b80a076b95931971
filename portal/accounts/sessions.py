"""Sessions that are over: their rows go, or the table of each sign-in ever made would only grow."""

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone


def forget_expired() -> int:
    """Remove expired sessions and what we noted about sessions that are gone; how many sessions it were."""
    expired, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    return expired
