"""The documentation as pages."""

import pytest
from django.urls import reverse

from portal import documentation


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(documentation, "FOLDER", tmp_path)
    (tmp_path / "provider.md").write_text(
        "# For `providers`\n\nHow to offer a service.\n\n## Build it\n\nSee [jobs](consumer.md#run) and [us](https://example.org).\n"
        "\n### Twice\n\n### Twice\n\n<script>alert(1)</script>\n\n```python\nprint('<b>')\n```\n\n[out](../secret.md)\n"
    )
    (tmp_path / "consumer.md").write_text("# Running jobs\n\nSend data.\n\n## Run\n")
    return tmp_path


@pytest.mark.django_db
def test_the_index_lists_every_page_with_its_first_words(client, folder):
    html = client.get(reverse("docs")).content.decode()
    assert "For providers" in html
    assert "How to offer a service." in html
    assert html.index("For providers") < html.index("Running jobs")


@pytest.mark.django_db
def test_a_page_has_one_h1_its_contents_and_links_from_page_to_page(client, folder):
    html = client.get(reverse("docs_page", args=["provider"])).content.decode()
    assert html.count("<h1") == 1
    assert '<h2 id="build-it">' in html
    assert 'href="#build-it"' in html
    assert 'id="twice-2"' in html
    assert f'href="{reverse("docs_page", args=["consumer"])}#run"' in html
    assert 'href="https://example.org"' in html


@pytest.mark.django_db
def test_nothing_in_a_page_is_a_program(client, folder):
    article = client.get(reverse("docs_page", args=["provider"])).content.decode().partition("<article")[2]
    assert "<script>alert" not in article
    assert "secret.md" not in article
    assert "print('&lt;b&gt;')" in article.replace("&#x27;", "'")


def test_the_signed_in_read_it_in_their_frame(client, folder, consumer):
    client.force_login(consumer)
    html = client.get(reverse("docs_page", args=["consumer"])).content.decode()
    assert 'id="sidebar"' in html
    assert html.count("<h1") == 1


@pytest.mark.django_db
def test_an_edited_page_is_read_again(client, folder):
    address = reverse("docs_page", args=["consumer"])
    assert "Send data." in client.get(address).content.decode()
    (folder / "consumer.md").write_text("# Running jobs\n\nSend other data, which is longer.\n")
    assert "Send other data" in client.get(address).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("slug", ["nothing", "PROVIDER", "_hidden"])
def test_there_is_no_other_page(client, folder, slug):
    assert client.get(f"/docs/{slug}/").status_code == 404


@pytest.mark.django_db
def test_our_own_pages_can_be_read(client):
    documents = documentation.documents()
    assert documents
    for document in documents:
        answer = client.get(document.url)
        assert answer.status_code == 200
        assert answer.content.decode().count("<h1") == 1, document.slug
