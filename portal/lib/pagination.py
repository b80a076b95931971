"""Lists in pages by key, newest first: no OFFSET, no COUNT, and nothing moves when rows are added."""

from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import QueryDict

PAGE_ROWS = 25

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Row]):
    """One page of a list. ``newer`` and ``older`` are links to its neighbours (`?before=…`), empty without one."""

    rows: list[Row]
    newer: str = ""
    older: str = ""
    is_first: bool = True


def newest_first(rows: QuerySet[Row], *, query: QueryDict, size: int = PAGE_ROWS) -> Page[Row]:
    """The page of ``rows`` that ``query`` asks for: `before` an id, `after` an id, or neither for the newest.

    Needs a primary key that grows with time. The other parameters of ``query`` stay in the links. A cursor that is no
    id, or that has less than a page after it, gives the first page, so that this one is always full.
    """
    before, after = _cursor(query, "before"), _cursor(query, "after")
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        if len(found) > size:
            shown = found[size - 1 :: -1]
            return Page(
                rows=shown,
                newer=_link(query, "after", shown[0].pk),
                older=_link(query, "before", shown[-1].pk),
                is_first=False,
            )
    elif before is not None:
        found = list(rows.filter(pk__lt=before).order_by("-pk")[: size + 1])
        shown = found[:size]
        return Page(
            rows=shown,
            newer=_link(query, "after", shown[0].pk if shown else before),
            older=_link(query, "before", shown[-1].pk) if len(found) > size else "",
            is_first=False,
        )
    found = list(rows.order_by("-pk")[: size + 1])
    shown = found[:size]
    return Page(rows=shown, older=_link(query, "before", shown[-1].pk) if len(found) > size else "")


def _cursor(query: QueryDict, name: str) -> UUID | None:
    try:
        return UUID(str(query[name]))
    except (KeyError, ValueError):
        return None


def _link(query: QueryDict, name: str, value: object) -> str:
    link = query.copy()
    for cursor in ("before", "after"):
        link.pop(cursor, None)
    link[name] = str(value)
    return f"?{link.urlencode()}"
