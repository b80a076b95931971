"""Markdown of users as HTML that is safe to show: no raw HTML, no foreign images, headings below those of the page."""

import re
from functools import lru_cache
from typing import Any

import nh3
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

TAGS = {
    "a", "blockquote", "br", "code", "del", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "div": {"class", "tabindex"}, "ol": {"start"}}
URL_SCHEMES = {"http", "https", "mailto"}
HEADING_SHIFT = 2  # a page has an h1 and its sections an h2
# One line of words that means the same without Markdown, as most descriptions of fields: 100 times faster.
PLAIN = re.compile(r"[A-Za-z](?:[^\W_]|[ ,.:;()'\"/%=?!+-])*")


def _image(_: RendererHTML, tokens: list[Token], index: int, __: Any, ___: Any) -> str:
    """A link instead of the picture: it would tell its host who reads the page, and the CSP refuses it."""
    token = tokens[index]
    source = str(token.attrs.get("src", ""))
    return format_html('<a href="{}">{}</a>', source, token.content or source)


def _table_open(*_: Any) -> str:
    return '<div class="markdown__scroll" tabindex="0"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"


_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_markdown.add_render_rule("image", _image)
_markdown.add_render_rule("table_open", _table_open)
_markdown.add_render_rule("table_close", _table_close)


@lru_cache(maxsize=256)
def render(text: str) -> SafeString:
    """``text`` as HTML. Raw HTML in it is shown as it was typed."""
    if PLAIN.fullmatch(text):
        return mark_safe(f"<p>{text.strip()}</p>\n")  # noqa: S308 - it has no <, > or &
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + HEADING_SHIFT, 6)}"
    html = _markdown.renderer.render(tokens, _markdown.options, {})
    clean = nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        set_tag_attribute_values={"pre": {"tabindex": "0"}},  # reachable by keyboard where it scrolls
        url_schemes=URL_SCHEMES,
        link_rel="nofollow noopener noreferrer",
    )
    return mark_safe(clean)  # noqa: S308 - nh3 has just cleaned it
