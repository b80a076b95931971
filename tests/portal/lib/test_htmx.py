"""A page and a part of it at one address."""

import pytest
from django.urls import reverse


@pytest.mark.parametrize("name", ["dashboard", "palette", "jobs:list", "services:list", "marketplace:list"])
def test_a_browser_does_not_take_a_part_for_the_page(client, provider, name):
    client.force_login(provider)
    for headers in ({}, {"hx-request": "true"}):
        answer = client.get(reverse(name), headers=headers)
        assert answer.status_code == 200
        assert "HX-Request" in answer["Vary"]
