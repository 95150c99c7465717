"""Rows of many streams in the order of the streams' ids: read from a server's cursor, a page at a time."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Generic, TypeVar

import psycopg
from django.db import connection
from django.db.models import DateTimeField, JSONField, Model
from psycopg import sql

from projections.projector import Projector, Row
from projections.statements import statement
from projections.verification.canonical import canonical_text

PAGE_ROWS = 2_000
"""How many rows of a table are in memory at a time."""

# What does not fit into a datetime must not end the verification: it comes as a time that no row has.
_TIME = "CASE WHEN {0} NOT BETWEEN '0002-01-01Z' AND '9998-12-31Z' THEN '9999-01-01Z' ELSE {0} END"

_numbers = count()

Of = TypeVar("Of")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRange:
    """Streams by their ids, which compare by their bytes: from `least` up to and with `most`, or without an end."""

    least: str = ""
    most: str | None = None

    @classmethod
    def after(cls, stream_id: str) -> "StreamRange":
        """Return all streams after one."""
        # NUL being nowhere, nothing comes between the two.
        return cls(least=f"{stream_id}\x01" if stream_id else "")

    @classmethod
    def of(cls, stream_id: str) -> "StreamRange":
        """Return one stream."""
        return cls(least=stream_id, most=stream_id)

    def within(self, prefix: str) -> "StreamRange | None":
        """Return which ids without their prefix are those of this range; None if it has no stream with the prefix."""
        if self.most is not None and self.most < prefix:
            return None
        if self.least > prefix and not self.least.startswith(prefix):
            return None
        ends_within = self.most is not None and self.most.startswith(prefix)
        return StreamRange(
            least=self.least.removeprefix(prefix) if self.least > prefix else "",
            most=self.most.removeprefix(prefix) if self.most is not None and ends_within else None,
        )


class SortedRows(Generic[Of]):
    """What comes in the order of streams' ids: `next_id` is the stream that is next, None at the end."""

    def __init__(self, rows: Generator[tuple[str, Of], None, None]) -> None:
        self._rows = rows
        self.next_id: str | None = None
        self._advance()

    def of(self, stream_id: str) -> Iterator[Of]:
        """Yield what there is of a stream, all streams before which have been read to their ends."""
        while self.next_id == stream_id:
            row = self._next
            self._advance()
            yield row

    def skip(self, stream_id: str) -> None:
        """Pass over all of a stream."""
        for _ in self.of(stream_id):
            pass

    def close(self) -> None:
        """Let go of the cursor."""
        self._rows.close()

    def _advance(self) -> None:
        found = next(self._rows, None)
        if found is None:
            self.next_id = None
        else:
            self.next_id, self._next = found


def statement_rows(*, stem: str, streams: StreamRange) -> Generator[Row, None, None]:
    """Yield what `sql/<stem>.sql` reads of a range of streams."""
    yield from _read(statement(stem), {"least": streams.least, "most": streams.most})


def read_model_rows(*, projector: Projector[Any], streams: StreamRange) -> Generator[tuple[str, Row], None, None]:
    """Yield the rows of a read model by stream, those of one by their keys; documents are canonical text."""
    entities = streams.within(projector.stream_prefix)
    if entities is None:
        return
    model, columns = projector.model, projector.columns
    entity = columns.index(projector.stream_column)
    select = sql.SQL("SELECT {values} FROM {table} WHERE {by} >= %(least)s {until} ORDER BY {by}, {key}").format(
        values=sql.SQL(", ").join([_value(model, column) for column in columns]),
        table=sql.Identifier(model._meta.db_table),
        by=sql.SQL('{} COLLATE "C"').format(sql.Identifier(projector.stream_column)),
        until=sql.SQL("" if entities.most is None else 'AND {} COLLATE "C" <= %(most)s').format(
            sql.Identifier(projector.stream_column)
        ),
        key=sql.Identifier(model._meta.pk.attname),
    )
    json_columns = json_columns_of(model, columns)
    for row in _read(select, {"least": entities.least, "most": entities.most}):
        stored = with_documents(row=row, json_columns=json_columns, text_of=canonical_text)
        yield projector.stream_prefix + row[entity], stored


@cache
def json_columns_of(model: type[Model], columns: tuple[str, ...]) -> tuple[int, ...]:
    """Return where the documents are among `columns`."""
    return tuple(index for index, column in enumerate(columns) if isinstance(model._meta.get_field(column), JSONField))


def with_documents(*, row: Row, json_columns: tuple[int, ...], text_of: Callable[[Any], str]) -> Row:
    """Return a row whose documents are what `text_of` makes of them."""
    if not json_columns:
        return row
    texts = list(row)
    for index in json_columns:
        document = texts[index]
        # Most are empty.
        if document is not None:
            texts[index] = "{}" if document in ({}, "{}") else text_of(document)
    return tuple(texts)


def _read(query: str | sql.Composed, parameters: Mapping[str, Any]) -> Generator[Row, None, None]:
    # In binary, where times and UUIDs take less to read. A name of its own each: several are open at once.
    with psycopg.ServerCursor(connection.connection, f"verification_{next(_numbers)}") as cursor:
        cursor.itersize = PAGE_ROWS
        cursor.execute(query, parameters, binary=True)
        yield from cursor


def _value(model: type[Model], column: str) -> sql.Composed:
    field = model._meta.get_field(column)
    if isinstance(field, JSONField):
        return sql.SQL("{}::text").format(sql.Identifier(column))
    return sql.SQL(_TIME if isinstance(field, DateTimeField) else "{0}").format(sql.Identifier(column))
