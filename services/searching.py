"""Finding services among those on offer: full text on PostgreSQL, the letters of every word on SQLite.

Who is not signed in may search, too, so what a search costs has bounds: few words, an index,
and what a card shows is asked for the services of the page only.
"""

import re
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVectorField
from django.db import connection
from django.db.models import (
    BigIntegerField,
    Case,
    Count,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Lower, Round
from django.http import QueryDict

from portal.accounts.models import Account
from portal.lib.pagination import NEWEST_FIRST, PAGE_ROWS, Key, Page, in_order, read_int, read_text
from services import catalogue
from services.models import Service, ServiceTag, ServiceVersion

TEXT_MAX_CHARACTERS = 200
WORDS_MAX = 8
TAGS_SHOWN = 12
SHORT_TEXTS = ("name", "summary", "account__name")
LANGUAGE = "english"  # of the stemmer; words that are not English are found as they are written
RANK_FACTOR = 1_000_000  # ranks become whole numbers: a float of the database is not the same after a link
WORD = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')

_NEWEST_ID = Key(name="pk", read=UUID, is_descending=True)
SORTS = {
    "match": (Key(name="score", read=read_int, is_descending=True), _NEWEST_ID),
    "newest": NEWEST_FIRST,
    "name": (Key(name="name_key", read=read_text), _NEWEST_ID),
    "used": (Key(name="users", read=read_int, is_descending=True), _NEWEST_ID),
}


@dataclass(frozen=True, kw_only=True)
class _Words:
    """What somebody typed: words and "phrases" that must be there, and -those that must not."""

    wanted: list[str]
    unwanted: list[str]

    @classmethod
    def of(cls, text: str) -> "_Words":
        found = [(minus, phrase or word) for minus, phrase, word in WORD.findall(text)][:WORDS_MAX]
        return cls(
            wanted=[word for minus, word in found if word.strip() and not minus],
            unwanted=[word for minus, word in found if word.strip() and minus],
        )

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted)


def listed(account: Account | None, *, text: str = "", tag: str = "") -> QuerySet[Service]:
    """The services on offer to ``account`` in which ``text`` is found and that have ``tag``; in no order."""
    services: QuerySet[Service] = catalogue.offered_to(account)
    if tag:
        services = services.filter(_has_tag(name=tag))
    return _matching(services, text)


def in_page(
    services: QuerySet[Service], *, account: Account | None, sort: str, query: QueryDict, size: int = PAGE_ROWS
) -> Page[Service]:
    """The page of what is `listed` that ``query`` asks for, in the order ``sort`` of SORTS.

    Each service knows its `number` (of the newest version on offer to ``account``), whether it `is_public`, and its
    `users` (how many accounts subscribe to it).
    """
    if sort == "name":
        services = services.annotate(name_key=Lower("name"))
    if sort == "used":
        services = services.annotate(users=_users())
    page = in_order(services.only("pk"), SORTS[sort], query=query, size=size)
    shown = _described(account).in_bulk([row.pk for row in page.rows])
    return replace(page, rows=[shown[row.pk] for row in page.rows])


def common_tags(account: Account | None) -> QuerySet[ServiceTag, str]:
    """The tags that most of the services on offer have, the most frequent first."""
    tags = ServiceTag.objects.filter(service__in=catalogue.offered_to(account)).values("name")
    counted = tags.annotate(services=Count("service")).order_by("-services", "name")
    return counted.values_list("name", flat=True)[:TAGS_SHOWN]


def is_search(text: str) -> bool:
    """Whether ``text`` has a word to look for: a lone quotation mark has none."""
    return bool(_Words.of(_clean(text)))


def _clean(text: str) -> str:
    return text.replace("\0", " ").strip()[:TEXT_MAX_CHARACTERS]


def _matching(services: QuerySet[Service], text: str) -> QuerySet[Service]:
    text = _clean(text)
    words = _Words.of(text)
    if not words:
        return services.annotate(score=Value(0, BigIntegerField()))
    nearness = _nearness(" ".join(words.wanted) or text)
    if connection.vendor != "postgresql":
        fields = (*SHORT_TEXTS, "description")
        services = services.filter(*(_letters(word, fields) for word in words.wanted))
        services = services.filter(*(~_letters(word, fields) for word in words.unwanted))
        return services.annotate(score=Cast(nearness, BigIntegerField()))
    query = SearchQuery(text, search_type="websearch", config=LANGUAGE)
    rank = Cast(Round(SearchRank(_FullText("heading"), query) * RANK_FACTOR), BigIntegerField())
    begun = Q()  # a word that is typed is no word yet: the short texts are looked through for its letters, too
    for word in words.wanted:
        begun &= _letters(word, SHORT_TEXTS)
    if words.unwanted:
        phrases = (SearchQuery(word, search_type="phrase", config=LANGUAGE) for word in words.unwanted)
        tagged = _has_tag(name__in=[word.lower() for word in words.unwanted])
        services = services.exclude(_found(reduce(or_, phrases)) | tagged)
    return services.annotate(score=rank + nearness).filter(_found(query) | begun)


def _found(query: Any) -> Q:
    """By the index: a condition on the column beside others would read every row."""
    return Q(pk__in=Service.objects.alias(words=_FullText("words")).filter(words=query).values("pk"))


class _FullText(Func):
    """`words` or `heading` of a service, which PostgreSQL keeps by itself (migration 0002). They are no fields of the
    model, because SQLite has no such type.
    """

    output_field = SearchVectorField()

    def __init__(self, column: str) -> None:
        super().__init__(F("pk"), column=column)  # a field, for the alias of its table

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        (key,) = self.get_source_expressions()
        return f"{compiler.quote_name_unless_alias(key.alias)}.{self.extra['column']}", []


def _letters(word: str, fields: tuple[str, ...]) -> Q:
    """``word`` somewhere in ``fields`` or the tags."""
    found = _has_tag(name__icontains=word)
    for field in fields:
        found |= Q(**{f"{field}__icontains": word})
    return found


def _nearness(text: str) -> Case:
    """How much the name is what was typed: worth more than any rank."""
    return Case(
        When(name__iexact=text, then=Value(3 * RANK_FACTOR)),
        When(name__istartswith=text, then=Value(2 * RANK_FACTOR)),
        When(name__icontains=text, then=Value(RANK_FACTOR)),
        When(_has_tag(name__iexact=text), then=Value(RANK_FACTOR // 2)),
        default=Value(0),
        output_field=IntegerField(),
    )


def _has_tag(**look_up: Any) -> Q:
    return Q(Exists(ServiceTag.objects.filter(service=OuterRef("pk"), **look_up)))


def _users() -> Count:
    live = Q(subscriptions__ended_at=None, subscriptions__application__deleted_at=None)
    return Count("subscriptions__application__account", filter=live, distinct=True)


def _described(account: Account | None) -> QuerySet[Service]:
    """Any services with what a card shows of them."""
    offered = catalogue.on_offer(account).filter(service=OuterRef("pk"))
    services: QuerySet[Service] = Service.objects.annotate(
        number=Subquery(offered.order_by("-id").values("number")[:1]),
        is_public=Exists(offered.filter(publication=ServiceVersion.Publication.MARKETPLACE)),
        users=_users(),
    )
    tags = Prefetch("tags", ServiceTag.objects.order_by("name"))
    return services.select_related("account").prefetch_related(tags).defer("description")
