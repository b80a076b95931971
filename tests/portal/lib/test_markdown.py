"""Markdown of users as safe HTML."""

from html.parser import HTMLParser

import pytest

from portal.lib.markdown import render


class Elements(HTMLParser):
    """What a browser would make of some HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]


def test_what_markdown_is_for():
    html = render(
        "Some *soft* and **strong** words, `code`, ~~gone~~.\n\n- one\n- two\n\n> said\n\n```python\nx = 1\n```"
    )
    for part in ("<em>soft</em>", "<strong>strong</strong>", "<code>code</code>", "<s>gone</s>", "<li>two</li>"):
        assert part in html
    assert '<code class="language-python">x = 1' in html
    assert "<blockquote>" in html


def test_headings_stand_below_those_of_the_page():
    assert "<h3>One</h3>" in render("# One")
    assert "<h6>Six</h6>" in render("###### Six")


def test_tables_scroll_and_are_reached_by_keyboard():
    html = render("| a | b |\n|---|---|\n| 1 | 2 |")
    assert '<div class="markdown__scroll" tabindex="0"><table>' in html
    assert "<td>1</td>" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "<a href='javascript:alert(1)'>x</a>",
        "![x](javascript:alert(1))",
        '[x](https://a.example "\\" onclick=alert(1) x=\\"")',
        "<style>body{display:none}</style>",
        '```"><script>alert(1)</script>\nx\n```',
        '<div class="panel--danger" style="position:fixed">x</div>',
    ],
)
def test_nothing_of_it_runs_or_reaches_out(text):
    found = Elements()
    found.feed(render(text))
    assert not {"script", "img", "style", "div"} & found.tags
    assert found.attributes <= {"href", "title", "rel", "class", "tabindex"}
    assert all(link.startswith("https:") for link in found.links)


def test_a_picture_becomes_a_link():
    assert '<a href="https://a.example/x.png"' in render("![Plot](https://a.example/x.png)")
    assert ">Plot</a>" in render("![Plot](https://a.example/x.png)")


def test_links_do_not_vouch_for_where_they_lead():
    assert 'rel="nofollow noopener noreferrer"' in render("[x](https://a.example)")
