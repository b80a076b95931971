"""The page of all components."""

from django.urls import reverse


def test_it_shows_every_component(client, provider, settings):
    settings.DEMO = True
    client.force_login(provider)
    answer = client.get(reverse("styleguide"))
    html = answer.content.decode()
    assert answer.status_code == 200
    for status in ("Waiting", "Starting", "Running", "Succeeded", "Failed", "Cancelled"):
        assert status in html
    for part in (
        "table",
        "tabs",
        "pager",
        "upload",
        "json-editor",
        "json-tree",
        "timeline",
        "progress",
        "dialog",
        "empty",
        "skeleton",
    ):
        assert f'class="{part}' in html or f" {part}" in html, part


def test_it_sends_a_message_of_each_kind(client, provider, settings):
    settings.DEMO = True
    client.force_login(provider)
    html = client.get(reverse("styleguide"), {"toast": ""}).content.decode()
    for kind in ("info", "success", "warning", "error"):
        assert f"toast--{kind}" in html


def test_it_exists_only_where_the_demo_is_on(client, provider, settings):
    settings.DEMO = False
    client.force_login(provider)
    assert client.get(reverse("styleguide")).status_code == 404
