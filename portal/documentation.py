"""The pages below docs/ as HTML: title, table of contents, and links that work inside the portal."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import nh3
from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.token import Token

FOLDER = settings.BASE_DIR / "docs"
FIRST = (
    "provider",
    "containers",
    "consumer",
    "marketplace",
    "applications",
    "authentication",
    "managed-api",
    "errors",
    "operator",
    "reliability",
)  # in this order; the others follow by title
TOC_TAGS = ("h2", "h3")
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*")
TAGS = nh3.ALLOWED_TAGS | {"h1", "h2", "h3", "h4", "pre", "code", "table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = nh3.ALLOWED_ATTRIBUTES | {tag: {"id"} for tag in ("h2", "h3", "h4")} | {"a": {"href"}, "code": {"class"}}

_markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@dataclass(frozen=True)
class Entry:
    """A line of a table of contents."""

    title: str
    anchor: str
    level: int


@dataclass(frozen=True)
class Document:
    """One page of the documentation."""

    slug: str
    title: str
    summary: str
    html: SafeString
    contents: list[Entry] = field(default_factory=list)

    @property
    def url(self) -> str:
        return reverse("docs_page", args=[self.slug])


def documents() -> list[Document]:
    """All pages: those for the three kinds of readers first."""
    found = [_read(path, path.stat().st_mtime_ns) for path in FOLDER.glob("*.md") if SLUG.fullmatch(path.stem)]
    order = {slug: place for place, slug in enumerate(FIRST)}
    return sorted(found, key=lambda document: (order.get(document.slug, len(order)), document.title.lower()))


def document(slug: str) -> Document | None:
    """The page ``slug``; None where there is none."""
    path = FOLDER / f"{slug}.md"
    if not SLUG.fullmatch(slug) or not path.is_file():
        return None
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=128)
def _read(path: Path, _: int) -> Document:
    """Render one file. The cache knows its time of change, so that an edited page is seen."""
    tokens = _markdown.parse(path.read_text(encoding="utf-8"))
    title, tokens = _take_title(tokens, path.stem)
    contents = _anchor(tokens)
    _link(tokens)
    _unhead(tokens)
    html = nh3.clean(
        _markdown.renderer.render(tokens, _markdown.options, {}),
        tags=TAGS,
        attributes=ATTRIBUTES,
        set_tag_attribute_values={"pre": {"tabindex": "0"}, "table": {"tabindex": "0"}},  # what scrolls takes focus
        link_rel="noopener",
    )
    return Document(path.stem, title, _summary(tokens), mark_safe(html), contents)  # noqa: S308 (nh3 cleaned it)


def _take_title(tokens: list[Token], otherwise: str) -> tuple[str, list[Token]]:
    """The first heading becomes the h1 of the page, which the template writes."""
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return tokens[1].content.replace("`", ""), tokens[3:]
    return otherwise.replace("-", " ").replace("_", " ").capitalize(), tokens


def _anchor(tokens: list[Token]) -> list[Entry]:
    contents: list[Entry] = []
    taken: set[str] = set()
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        text = inline.content.replace("`", "")
        anchor = base = slugify(text) or "section"
        for number in range(2, len(tokens)):
            if anchor not in taken:
                break
            anchor = f"{base}-{number}"
        taken.add(anchor)
        opening.attrSet("id", anchor)
        if opening.tag in TOC_TAGS:
            contents.append(Entry(text, anchor, int(opening.tag[1])))
    return contents


def _link(tokens: list[Token]) -> None:
    """Links from file to file become links from page to page; what leads out of docs/ keeps its text only."""
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _href(str(child.attrGet("href") or "")))


def _unhead(tokens: list[Token]) -> None:
    """A corner cell without a text is no header of anything."""
    for opening, inline, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if opening.type == "th_open" and not inline.content:
            opening.tag = closing.tag = "td"


def _href(href: str) -> str:
    name, _, anchor = href.partition("#")
    if re.match(r"[a-z][a-z0-9+.-]*:|/", name, re.IGNORECASE) or not name:
        return href
    slug = name.removeprefix("./").removesuffix(".md")
    if SLUG.fullmatch(slug):
        return reverse("docs_page", args=[slug]) + (f"#{anchor}" if anchor else "")
    return reverse("docs")


def _summary(tokens: list[Token]) -> str:
    """The first paragraph, in plain words, for the index."""
    for opening, inline in pairwise(tokens):
        if opening.type == "paragraph_open" and opening.level == 0:
            return "".join(" " if child.type == "softbreak" else child.content for child in inline.children or ())
    return ""
