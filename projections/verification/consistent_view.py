"""One moment of the database for a slice of a verification: log, checkpoints and rows that belong together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection, transaction
from psycopg import sql

from projections.models import ProjectionCheckpoint
from projections.projector import Projector
from projections.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The moment by the database's clock, the last position of the log, and the one that each projection is at."""

    moment: datetime
    head: int
    positions: dict[str, int]


@contextmanager
def consistent_view(*, projectors: Sequence[Projector[Any]]) -> Iterator[View]:
    """Let the block see one moment of the database, in a transaction that it may also write in.

    Raises the database's errors; OperationalError among them if it writes what somebody else has changed meanwhile.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SET LOCAL lock_timeout = '30s'")
            # Before the first look, which is the moment: a table that is put in the place of a read model later has
            # rows that this moment does not see. Whoever wants to do that waits for the first lock until the block
            # ends. The others are against those who do not know of it.
            cursor.execute(statement("begin_verification"))
        _lock(projectors)
        for stem in ("take_time", "pin_index_order"):
            with connection.cursor() as cursor:
                cursor.execute(statement(stem))
        positions = dict(ProjectionCheckpoint.objects.values_list("projection", "position"))
        moment, head = _moment_and_head()
        yield View(moment=moment, head=head, positions={one.name: positions.get(one.name, 0) for one in projectors})


@contextmanager
def enough_time() -> Iterator[None]:
    """Let the block's statements take as long as those of a view, in a transaction that sees each its own moment."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(statement("take_time"))
        yield


def _lock(projectors: Sequence[Projector[Any]]) -> None:
    """Lock the read models against being replaced, and against nothing else."""
    tables = [sql.Identifier(projector.model._meta.db_table) for projector in projectors]
    lock = sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.SQL(", ").join(tables))
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(lock)


def _moment_and_head() -> tuple[datetime, int]:
    with connection.cursor() as cursor:
        cursor.execute(statement("moment_and_head"))
        moment, head = cursor.fetchone()
    return moment, int(head)
