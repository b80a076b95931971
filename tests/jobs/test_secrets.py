import json

import pytest
from django.test import override_settings

from jobs import secrets
from jobs.models import JobInput
from tests.factories import JobFactory


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("token", "SECRET_TOKEN"),
        ("iqm_token", "SECRET_IQM_TOKEN"),
        ("ibmToken", "SECRET_IBM_TOKEN"),
        ("API_KEY", "SECRET_API_KEY"),
        ("AWS", "SECRET_AWS"),
        ("myAPIKey", "SECRET_MY_A_P_I_KEY"),  # as the Kipu libraries look it up
        ("key2", "SECRET_KEY2"),
    ],
)
def test_a_variable_is_called_as_the_kipu_libraries_look_for_it(name, variable):
    assert secrets.variable_name(name) == variable


def test_what_is_sealed_shows_nothing_and_comes_back():
    sealed = secrets.seal({"ibmToken": "canary ü"})
    assert "canary" not in sealed
    assert "ibmToken" not in sealed
    assert secrets.variables(sealed) == {"SECRET_IBM_TOKEN": "canary ü"}
    assert secrets.seal({}) == ""
    assert secrets.variables("") == {}


def test_a_key_that_was_added_before_it_still_decrypts_and_one_that_was_taken_away_does_not(settings):
    sealed = secrets.seal({"token": "x"})
    with override_settings(ENCRYPTION_KEYS=["another", *settings.ENCRYPTION_KEYS]):
        assert secrets.variables(sealed) == {"SECRET_TOKEN": "x"}
    with override_settings(ENCRYPTION_KEYS=["another"]), pytest.raises(secrets.Unreadable):
        secrets.variables(sealed)


@pytest.mark.django_db
def test_wiping_leaves_the_rest_of_the_input():
    job = JobFactory(input={"data": "[1]", "secrets": secrets.seal({"token": "x"}), "secret_count": 1})
    secrets.wipe(job)
    kept = JobInput.objects.get(pk=job.pk)
    assert (kept.secrets, kept.secret_count, json.loads(kept.data)) == ("", 1, [1])
