"""What is different between a read model and its shadow, row by row, as of one position in the log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.projector import Projector
from projections.rebuild_models import ProjectionRebuild
from projections.rebuilding.shadows import inside_shadow, run
from projections.rebuilding.swapping import catch_up

MAX_EXAMPLES = 10

# Both tables, joined by their key. Rows that differ are known by their keys alone: there may be many.
COMPARE = """
WITH different AS MATERIALIZED (
    SELECT coalesce(live.{key}, shadow.{key}) AS key,
           live.{key} IS NULL AS is_missing, shadow.{key} IS NULL AS is_surplus
    FROM {live} AS live FULL JOIN {shadow} AS shadow ON shadow.{key} = live.{key}
    WHERE ({live_columns}) IS DISTINCT FROM ({shadow_columns})
), first AS (
    SELECT key FROM different ORDER BY key LIMIT %(limit)s
)
SELECT count(*) FILTER (WHERE is_missing), count(*) FILTER (WHERE is_surplus),
       count(*) FILTER (WHERE NOT is_missing AND NOT is_surplus),
       (
           SELECT coalesce(
               jsonb_agg(jsonb_build_array(first.key, to_jsonb(live), to_jsonb(shadow)) ORDER BY first.key), '[]'
           )
           FROM first
           LEFT JOIN {live} AS live ON live.{key} = first.key
           LEFT JOIN {shadow} AS shadow ON shadow.{key} = first.key
       )
FROM different
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferentRow:
    """One row by its key: what it is now, and what it would be; None where it is not. Equal columns are left out."""

    key: str
    now: dict[str, Any] | None
    would_be: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Rows that are missing now, that should not be there, and that are different; and the first of them.

    `parked_now` and `parked_then` are the streams that are parked, and that would be.
    """

    projection: str
    position: int
    missing: int
    surplus: int
    different: int
    examples: tuple[DifferentRow, ...]
    parked_now: int
    parked_then: int

    @property
    def is_equal(self) -> bool:
        """Whether a rebuild would change nothing."""
        return not (self.missing or self.surplus or self.different or self.parked_now != self.parked_then)


def live_position(*, projector: Projector[Any]) -> int:
    """Return the position up to which the live read model has seen every event."""
    checkpoint = ProjectionCheckpoint.objects.filter(projection=projector.name).first()
    return checkpoint.position if checkpoint else 0


def compare(*, projector: Projector[Any], rebuild: ProjectionRebuild) -> Comparison:
    """Bring the shadow, which is not ahead of the live read model, to where that stands, and compare the two there.

    The live projection waits only for the former: what is compared are both tables as they were at that moment.
    """
    while live_position(projector=projector) > rebuild.position + settings.PROJECTION_BATCH_EVENTS:
        catch_up(projector=projector, rebuild=rebuild, until=live_position(projector=projector))
    with _live_projection_held(projector) as (position, release):
        while rebuild.position < position:
            catch_up(projector=projector, rebuild=rebuild, until=position)
        with inside_shadow(projector=projector):
            parked_then = ProjectionFailure.objects.filter(projection=projector.name).count()
        with transaction.atomic(durable=True):
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # The first query takes the snapshot.
            parked_now = ProjectionFailure.objects.filter(projection=projector.name).count()
            release()
            missing, surplus, different, examples = _differences(projector)
    return Comparison(
        projection=projector.name,
        position=position,
        missing=missing,
        surplus=surplus,
        different=different,
        examples=tuple(_example(projector.columns, *example) for example in orjson.loads(examples)),
        parked_now=parked_now,
        parked_then=parked_then,
    )


@contextmanager
def _live_projection_held(projector: Projector[Any]) -> Iterator[tuple[int, Callable[[], None]]]:
    """Lock the live checkpoint, by a connection of its own, and give its position and what releases it."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT position FROM projection_checkpoints WHERE projection = %s FOR UPDATE", [projector.name]
            )
            row = cursor.fetchone()
        yield row[0] if row else 0, other.rollback
    finally:
        other.close()


def _differences(projector: Projector[Any]) -> tuple[int, int, int, str]:
    table = projector.model._meta.db_table
    schema, _ = run("shadow_of", projection=projector.name)

    def columns(alias: str) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(alias, column) for column in projector.columns)

    query = sql.SQL(COMPARE).format(
        key=sql.Identifier(projector.model._meta.pk.attname),
        live=sql.Identifier("public", table),
        shadow=sql.Identifier(schema, table),
        live_columns=columns("live"),
        shadow_columns=columns("shadow"),
    )
    with connection.cursor() as cursor:
        cursor.execute(query, {"limit": MAX_EXAMPLES})
        found: tuple[int, int, int, str] = cursor.fetchone()
        return found


def _example(
    columns: tuple[str, ...], key: Any, now: dict[str, Any] | None, would_be: dict[str, Any] | None
) -> DifferentRow:
    told = [column for column in columns if now is None or would_be is None or now[column] != would_be[column]]
    return DifferentRow(
        key=str(key),
        now=None if now is None else {column: now[column] for column in told},
        would_be=None if would_be is None else {column: would_be[column] for column in told},
    )
