import pytest
from django.test import RequestFactory

from portal.accounts import passkeys


@pytest.mark.parametrize(
    ("url", "works"),
    [
        ("http://localhost:8000/accounts/login/", True),
        ("http://mercato.localhost:8000/", True),
        ("https://mercato.example/", True),
        ("http://mercato.example/", False),
        ("http://127.0.0.1:8000/", False),
        ("http://[::1]:8000/", False),
        ("https://192.0.2.7/", False),
    ],
)
def test_passkeys_work_at_names_over_https_and_on_localhost(url: str, works: bool):
    assert passkeys.work_at(url) is works


def test_the_same_page_where_passkeys_work(settings):
    request = RequestFactory().get("/accounts/login/?next=/jobs/", SERVER_NAME="127.0.0.1")
    settings.PUBLIC_URL = "http://localhost:8123"
    assert passkeys.page_for(request) == "http://localhost:8123/accounts/login/?next=/jobs/"


def test_no_page_where_they_work_nowhere(settings):
    settings.PUBLIC_URL = "http://192.0.2.7:8000"
    assert passkeys.page_for(RequestFactory().get("/")) == ""
