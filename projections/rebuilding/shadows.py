"""The shadow of a read model: a table like it, in a schema of its own, to be filled unseen and swapped for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from projections.projector import Projector
from projections.statements import statement


def run(stem: str, **parameters: Any) -> tuple[Any, ...]:
    """Run the statement of `sql/<stem>.sql` and return its one row. Raises the database's errors."""
    with connection.cursor() as cursor:
        cursor.execute(statement(stem), parameters)
        row: tuple[Any, ...] = cursor.fetchone()
        return row


def make_shadow(*, projector: Projector[Any]) -> None:
    """Make an empty shadow, in place of one that there may be. Raises what the read model has that it would lose.

    Rows of a read model that changes them are looked up while it is filled, by its key; they come in the key's order,
    so that costs little. All other indexes come at the end.
    """
    run("make_shadow", projection=projector.name, with_primary_key=not projector.append_only)


def has_shadow(*, projector: Projector[Any]) -> bool:
    """Tell whether there is a shadow."""
    return bool(run("shadow_of", projection=projector.name)[1])


def drop_shadow(*, projector: Projector[Any]) -> None:
    """Drop the shadow, if there is one."""
    run("drop_shadow", projection=projector.name)


@contextmanager
def inside_shadow(*, projector: Projector[Any]) -> Iterator[None]:
    """Let a transaction find the shadow, and what it has parked, where everybody else finds the live tables.

    So whatever the engine and the projector read and write is the shadow's. Raises ProgrammingError without a shadow:
    the live read model would be found instead.
    """
    with transaction.atomic(durable=True):
        enter_shadow(projector=projector)
        yield


def enter_shadow(*, projector: Projector[Any]) -> None:
    """Let the rest of the transaction find the shadow, which stays there meanwhile; see `inside_shadow`."""
    schema, _ = run("shadow_of", projection=projector.name)
    shadow = sql.Identifier(schema, projector.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(shadow))
    run("enter_schema", schema=schema)


def leave_shadow() -> None:
    """Let the rest of the transaction find the live tables again."""
    run("leave_schema")
