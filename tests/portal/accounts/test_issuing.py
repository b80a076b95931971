"""What is forgotten of tokens. How they are issued, taken back and described is asked from outside: see api/oauth."""

from datetime import timedelta

import pytest
from django.utils import timezone

from portal.accounts import issuing, tasks
from portal.accounts.models import AccessToken
from tests.factories import ApplicationFactory, access_token

pytestmark = pytest.mark.django_db


def test_expired_tokens_are_forgotten_and_live_ones_kept(monkeypatch):
    monkeypatch.setattr(issuing, "FORGET_AT_A_TIME", 2)
    application = ApplicationFactory()
    for _ in range(5):
        access_token(application)
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    access_token(application)
    assert issuing.forget_expired() == 5
    tasks.tidy()
    assert AccessToken.objects.count() == 1
