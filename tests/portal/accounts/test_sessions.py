from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts import sessions, tasks

pytestmark = pytest.mark.django_db


def test_expired_sessions_are_forgotten_and_live_ones_kept(client, provider):
    gone = Client()
    for browser in (client, gone):
        browser.force_login(provider)
        browser.get(reverse("accounts:profile"))
    Session.objects.filter(pk=gone.session.session_key).update(expire_date=timezone.now() - timedelta(seconds=1))
    assert sessions.forget_expired() == 1
    assert [session.session_key for session in UserSession.objects.all()] == [client.session.session_key]
    tasks.tidy()
    assert client.get(reverse("accounts:profile")).status_code == 200
