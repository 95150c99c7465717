"""How far a read model has come: told with all that is read from it, by the same query."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models.expressions import RawSQL

from eventstore.store import event_store
from projections.models import ProjectionCheckpoint
from projections.statements import column, statement


@dataclass(frozen=True, slots=True)
class Freshness:
    """The position in the log up to which a projection has seen every event, and how old that knowledge is.

    `age_ms` is the time since the first event that it has not seen was recorded; 0 at the head of the log.
    """

    position: int
    age_ms: int


def freshness_column(*, projection: str) -> Mapping[str, RawSQL]:
    """Return the column that brings a query's rows with their freshness; none where the log is not in the database."""
    if connection.vendor != "postgresql":
        return {}
    return {"freshness": column(stem="projection_freshness", parameters=(projection,))}


def freshness_of(*, projection: str, rows: Sequence[Mapping[str, Any]] = ()) -> Freshness:
    """Return the freshness that `rows` brought with them; where they could not, it takes a query of its own."""
    if connection.vendor != "postgresql":
        return _freshness_by_the_store(projection)
    if rows:
        return Freshness(*rows[0]["freshness"])
    with connection.cursor() as cursor:
        cursor.execute(statement("projection_freshness"), [projection])
        [freshness] = cursor.fetchone()
        return Freshness(*freshness)


def page_with_freshness(
    *, projection: str, read: Callable[[], list[dict[str, Any]]]
) -> tuple[list[dict[str, Any]], Freshness]:
    """Return the rows that `read` reads and their freshness.

    An empty page brings none. What is told of it must not be newer than its look at the rows, or it would vouch for
    events that the look missed: so the freshness is asked, and the page is read again.
    """
    if rows := read():
        return rows, freshness_of(projection=projection, rows=rows)
    freshness = freshness_of(projection=projection)
    rows = read()
    return rows, freshness_of(projection=projection, rows=rows) if rows else freshness


def _freshness_by_the_store(projection: str) -> Freshness:
    checkpoint = ProjectionCheckpoint.objects.filter(projection=projection).first()
    position = checkpoint.position if checkpoint else 0
    unseen = event_store().read_all(after_position=position, limit=1)
    age = datetime.now(UTC) - unseen[0].recorded_at if unseen else None
    return Freshness(position, int(age.total_seconds() * 1000) if age else 0)
