"""A projection of the tests' own that can be rebuilt: it reads streams that nobody else has, and fails if told to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from django.db import connection

from eventstore.records import StreamAppend
from eventstore.store import event_store
from projections.engine import advance
from projections.models import ProjectionCheckpoint, ProjectionFailure, ProjectionRebuild
from tests.factories import NewEventFactory, StreamAppendFactory
from tests.integration.projections.account_log import append
from tests.integration.projections.totals import PREFIX, TotalProjector
from tests.integration.projections.totals import totals_table as totals_table


@dataclass
class OwnTotals(TotalProjector):
    """Sums up the numbers of streams whose ids begin as no others do."""

    stream_prefix: str = field(default_factory=lambda: f"{PREFIX}{uuid4()}-")

    def numbers(self, *values: int, after: StreamAppend | None = None, name: str | None = None) -> StreamAppend:
        """Append a number for each event of a stream."""
        events = tuple(NewEventFactory.build(data={"number": value}) for value in values)
        stream_id = after.stream_id if after else f"{self.stream_prefix}{name or uuid4()}"
        made = StreamAppendFactory.build(stream_id=stream_id, after=after, events=events)
        append(made)
        return made

    def catch_up(self) -> None:
        """Advance up to the head of the log."""
        while (progress := advance(projector=self)) is None or progress.events:
            pass

    def parked(self) -> dict[str, ProjectionFailure]:
        """Return the parked streams by their ids."""
        return {failure.stream_id: failure for failure in ProjectionFailure.objects.filter(projection=self.name)}

    def position(self) -> int:
        """Return the position of the checkpoint."""
        return ProjectionCheckpoint.objects.get(projection=self.name).position


@pytest.fixture
def totals(totals_table) -> Iterator[OwnTotals]:
    """Return a projection that may be rebuilt, and has seen the log as it is now."""
    made = OwnTotals()
    ProjectionCheckpoint.objects.create(projection=made.name, position=event_store().head_position())
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO read_models VALUES (%s, 'thing_totals')", [made.name])
    yield made
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT drop_shadow(%s)", [made.name])
        cursor.execute("DROP TABLE IF EXISTS replaced.thing_totals")
        cursor.execute("DELETE FROM read_models WHERE projection = %s", [made.name])
    ProjectionRebuild.objects.filter(projection=made.name).delete()
