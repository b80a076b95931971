"""Queries whose SQL is made once. To build and compile one through the ORM takes several times as long as to ask it,
which counts where it is asked a hundred times a second; and the ORM stays the only place that says what it means.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet, UUIDField

Value = str | UUID | datetime
Rows = QuerySet[Any, tuple[Any, ...]]

_uuid_field: "UUIDField[UUID, UUID]" = UUIDField()


class _Parameter(NamedTuple):
    """A place in the SQL: for the value called ``name``, or for what is always the same."""

    name: str
    constant: Any = None


class _Column(NamedTuple):
    """A column whose values have to be made Python's, and how."""

    number: int
    expression: Any
    converters: Sequence[Callable[[Any, Any, BaseDatabaseWrapper], Any]]


class _Statement(NamedTuple):
    sql: str
    parameters: tuple[_Parameter, ...]
    columns: tuple[_Column, ...]


class Prepared:
    """The query that ``build`` makes of its values, each a text, an id or a time as the keywords ``types`` say.

    ``build`` is called once, with examples: what it makes may depend on the values only where it passes them on. It
    returns ``values_list(…)`` of some rows.
    """

    def __init__(self, build: Callable[..., Rows], **types: type[Value]) -> None:
        self._build = build
        self._types = types
        self._statement: _Statement | None = None
        self._lock = threading.Lock()

    def rows(self, **values: Value) -> list[tuple[Any, ...]]:
        """The rows for ``values``."""
        connection = connections[DEFAULT_DB_ALIAS]
        statement = self._statement or self._prepare(connection)
        given = {name: _adapted(value, connection) for name, value in values.items()}
        parameters = [given[place.name] if place.name else place.constant for place in statement.parameters]
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, parameters)
            found = cursor.fetchall()
        return [_converted(row, statement.columns, connection) for row in found]

    def row(self, **values: Value) -> tuple[Any, ...] | None:
        """The one row for ``values``; None where there is none."""
        return next(iter(self.rows(**values)), None)

    def _prepare(self, connection: BaseDatabaseWrapper) -> _Statement:
        with self._lock:
            examples = {name: _example(name, kind) for name, kind in self._types.items()}
            compiler = self._build(**examples).query.get_compiler(connection=connection)
            sql, parameters = compiler.as_sql()
            known = {_adapted(value, connection): name for name, value in examples.items()}
            places = tuple(_Parameter(known.get(value, ""), value) for value in parameters)
            if unused := examples.keys() - {place.name for place in places}:
                raise ValueError(f"The query does not pass on {', '.join(sorted(unused))}.")
            converters = cast(
                "Mapping[int, tuple[Any, Any]]",
                compiler.get_converters([column[0] for column in compiler.select]),
            )
            columns = tuple(_Column(number, column, each) for number, (each, column) in converters.items())
            self._statement = _Statement(sql, places, columns)
            return self._statement


def _example(name: str, kind: type[Value]) -> Value:
    """A value that no query has but for this place."""
    digest = hashlib.sha256(name.encode()).digest()
    if kind is UUID:
        return UUID(bytes=digest[:16])
    if kind is datetime:
        return datetime(9000, 1, 1, microsecond=int.from_bytes(digest[:2]), tzinfo=UTC)
    return f"example:{name}"


def _adapted(value: Value, connection: BaseDatabaseWrapper) -> Any:
    """``value`` as the driver of the database wants it."""
    if isinstance(value, UUID):
        return _uuid_field.get_db_prep_value(value, connection)
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def _converted(row: Sequence[Any], columns: Sequence[_Column], connection: BaseDatabaseWrapper) -> tuple[Any, ...]:
    values = list(row)
    for number, expression, converters in columns:
        for convert in converters:
            values[number] = convert(values[number], expression, connection)
    return tuple(values)
