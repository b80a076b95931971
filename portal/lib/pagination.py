"""Lists in pages by key: no OFFSET, no COUNT, and nothing moves when rows are added."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

PAGE_ROWS = 25
INT_MAX = 2**63 - 1  # a bigint of the database

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Row]):
    """One page of a list. ``newer`` and ``older`` link to its neighbours (`?before=…`), empty without one: newer is
    what comes before in the order of the list, whatever the order is.
    """

    rows: list[Row]
    newer: str = ""
    older: str = ""
    is_first: bool = True


@dataclass(frozen=True, kw_only=True)
class Key:
    """A part of an order: a column or an annotation that is never NULL, and how its text in a link is read.

    ``read`` raises ValueError for a text that is none.
    """

    name: str
    read: Callable[[str], Any]
    is_descending: bool = False


def read_text(text: str) -> str:
    """A text as the database takes it."""
    if "\0" in text:
        raise ValueError("no database takes a NUL")
    return text


def read_int(text: str) -> int:
    """A number as the database takes it."""
    number = int(text)
    if abs(number) > INT_MAX:
        raise ValueError("larger than a bigint")
    return number


NEWEST_FIRST = (Key(name="pk", read=UUID, is_descending=True),)


def newest_first(rows: QuerySet[Row], *, query: QueryDict, size: int = PAGE_ROWS) -> Page[Row]:
    """The page of ``rows`` that ``query`` asks for: `before` an id, `after` an id, or neither for the newest.

    Needs a primary key that grows with time. Otherwise as `in_order`.
    """
    return in_order(rows, NEWEST_FIRST, query=query, size=size)


def in_order(rows: QuerySet[Row], keys: Sequence[Key], *, query: QueryDict, size: int = PAGE_ROWS) -> Page[Row]:
    """The page of ``rows``, ordered by ``keys``, that ``query`` asks for: `before` a row or `after` it as time has it,
    so that `before` is what follows in the list; each is the values of the keys of that row, in their order.

    The keys together must tell any two rows apart. The other parameters of ``query`` stay in the links. A cursor that
    is none, or that has less than a page after it, gives the first page, so that this one is always full.
    """
    before, after = _cursor(query, "before", keys), _cursor(query, "after", keys)
    ordered = rows.order_by(*(f"-{key.name}" if key.is_descending else key.name for key in keys))
    if after is not None:
        found = list(ordered.reverse().filter(_beyond(keys, after, back=True))[: size + 1])
        if len(found) > size:
            shown = found[size - 1 :: -1]
            return Page(
                rows=shown,
                newer=_link(query, "after", _values(keys, shown[0])),
                older=_link(query, "before", _values(keys, shown[-1])),
                is_first=False,
            )
    elif before is not None:
        found = list(ordered.filter(_beyond(keys, before))[: size + 1])
        shown = found[:size]
        return Page(
            rows=shown,
            newer=_link(query, "after", _values(keys, shown[0]) if shown else before),
            older=_link(query, "before", _values(keys, shown[-1])) if len(found) > size else "",
            is_first=False,
        )
    found = list(ordered[: size + 1])
    shown = found[:size]
    return Page(rows=shown, older=_link(query, "before", _values(keys, shown[-1])) if len(found) > size else "")


def _beyond(keys: Sequence[Key], values: Sequence[Any], *, back: bool = False) -> Q:
    """The rows that follow the one with ``values``; with ``back`` those that precede it."""
    found = Q()
    same = Q()
    for key, value in zip(keys, values, strict=True):
        look_up = "lt" if key.is_descending != back else "gt"
        found |= same & Q(**{f"{key.name}__{look_up}": value})
        same &= Q(**{key.name: value})
    return found


def _values(keys: Sequence[Key], row: Model) -> list[Any]:
    return [getattr(row, key.name) for key in keys]


def _cursor(query: QueryDict, name: str, keys: Sequence[Key]) -> list[Any] | None:
    texts = query.getlist(name)
    if len(texts) != len(keys):
        return None
    try:
        return [key.read(text) for key, text in zip(keys, texts, strict=True)]
    except ValueError:
        return None


def _link(query: QueryDict, name: str, values: Sequence[Any]) -> str:
    link = query.copy()
    for cursor in ("before", "after"):
        link.pop(cursor, None)
    link.setlist(name, [str(value) for value in values])
    return f"?{link.urlencode()}"
