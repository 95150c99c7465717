"""How the rows of read models are read and written: set-wise, by statements made from what a projector declares."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

import orjson
import psycopg
from django.db import connection
from django.db.models import JSONField, Model
from psycopg import sql

from projections.projector import Projector, Row
from projections.statements import rows_of


def load_rows(*, model: type[Model], columns: tuple[str, ...], by: str, ids: Collection[str]) -> Iterable[Row]:
    """Return the rows whose column `by` holds one of `ids`, in no order."""
    if connection.vendor != "postgresql":
        return model._default_manager.filter(**{f"{by}__in": list(ids)}).values_list(*columns)
    json_columns = _json_columns(model, columns)
    rows = rows_of(sql=_select(model, columns, by), parameters={"ids": list(ids)})
    return [_with_documents(row, json_columns) for row in rows] if json_columns else rows


def write_rows(*, projector: Projector[Any], rows: Sequence[Row]) -> None:
    """Write rows by one statement, inside a transaction. Raises what the database refuses them with, or TypeError."""
    rows = rows if projector.append_only else _last_of_each_key(projector, rows)
    if not rows:
        return
    if connection.vendor != "postgresql":
        _write_by_the_orm(projector, rows)
        return
    statement = _insert(projector.model, projector.columns, projector.append_only)
    # One document, made in one go: psycopg would make an array for each column value by value.
    documents = orjson.dumps([dict(zip(projector.columns, row, strict=True)) for row in rows]).decode()
    rows_of(sql=statement, parameters={"rows": documents})


def copy_rows(*, projector: Projector[Any], rows: Sequence[Row]) -> None:
    """Add rows, none of which is there, by COPY: PostgreSQL alone. Raises what the database refuses them with."""
    rows = rows if projector.append_only else _last_of_each_key(projector, rows)
    table = sql.Identifier(projector.model._meta.db_table)
    copy_in = sql.SQL("COPY {} ({}) FROM STDIN").format(table, _names(projector.columns))
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        with cursor.copy(copy_in) as copy:
            for row in _stored(projector, rows):
                copy.write_row(row)


def delete_rows(*, projector: Projector[Any], entity_id: str) -> None:
    """Remove all rows of one entity."""
    projector.model._default_manager.filter(**{projector.stream_column: entity_id}).delete()


def _last_of_each_key(projector: Projector[Any], rows: Sequence[Row]) -> Sequence[Row]:
    key = projector.columns.index(projector.model._meta.pk.attname)
    return list({row[key]: row for row in rows}.values())


def _write_by_the_orm(projector: Projector[Any], rows: Sequence[Row]) -> None:
    model, columns = projector.model, projector.columns
    instances = [model(**dict(zip(columns, row, strict=True))) for row in rows]
    if projector.append_only:
        model._default_manager.bulk_create(instances)
        return
    key = model._meta.pk.attname
    others = [column for column in columns if column != key]
    model._default_manager.bulk_create(instances, update_conflicts=True, unique_fields=[key], update_fields=others)


def _stored(projector: Projector[Any], rows: Iterable[Row]) -> Iterable[Sequence[Any]]:
    """Return rows as PostgreSQL takes them: documents as text."""
    json_columns = _json_columns(projector.model, projector.columns)
    return (_with_texts(row, json_columns) for row in rows) if json_columns else rows


def _with_texts(row: Row, json_columns: tuple[int, ...]) -> list[Any]:
    stored = list(row)
    for index in json_columns:
        document = stored[index]
        # Most are empty.
        stored[index] = orjson.dumps(document).decode() if document else "{}" if document == {} else _text(document)
    return stored


def _text(document: Any) -> str | None:
    return None if document is None else orjson.dumps(document).decode()


def _with_documents(row: Row, json_columns: tuple[int, ...]) -> Row:
    read = list(row)
    for index in json_columns:
        if read[index] is not None:
            read[index] = orjson.loads(read[index])
    return tuple(read)


@cache
def _json_columns(model: type[Model], columns: tuple[str, ...]) -> tuple[int, ...]:
    fields = [model._meta.get_field(column) for column in columns]
    return tuple(index for index, field in enumerate(fields) if isinstance(field, JSONField))


@cache
def _select(model: type[Model], columns: tuple[str, ...], by: str) -> str:
    """Read the rows of some entities; locks nothing."""
    select = sql.SQL("SELECT {columns} FROM {table} WHERE {by} = ANY(%(ids)s::text[])").format(
        columns=sql.SQL(", ").join([_read(model, column) for column in columns]),
        table=sql.Identifier(model._meta.db_table),
        by=sql.Identifier(by),
    )
    return select.as_string(None)


@cache
def _insert(model: type[Model], columns: tuple[str, ...], append_only: bool) -> str:
    """Write rows, a document for each; locks those whose place is taken."""
    insert = sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM json_to_recordset(%(rows)s::json) AS new ({types})"
    ).format(
        table=sql.Identifier(model._meta.db_table),
        columns=_names(columns),
        types=sql.SQL(", ").join([_typed(model, column) for column in columns]),
    )
    return (insert if append_only else sql.Composed([insert, _in_place(model, columns)])).as_string(None)


def _in_place(model: type[Model], columns: tuple[str, ...]) -> sql.Composed:
    key = model._meta.pk.attname
    changes = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in columns if column != key]
    return sql.SQL(" ON CONFLICT ({key}) DO UPDATE SET {changes}").format(
        key=sql.Identifier(key), changes=sql.SQL(", ").join(changes)
    )


def _read(model: type[Model], column: str) -> sql.Composed:
    is_document = isinstance(model._meta.get_field(column), JSONField)
    return sql.SQL("{}::text" if is_document else "{}").format(sql.Identifier(column))


def _typed(model: type[Model], column: str) -> sql.Composed:
    # The type comes from the model, which is ours.
    kind = sql.SQL(str(model._meta.get_field(column).db_type(connection)))
    return sql.Composed([sql.Identifier(column), sql.SQL(" "), kind])


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
