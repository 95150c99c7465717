"""A projection of the tests' own: it sums up the numbers of each stream, and fails as it is told to."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

import psycopg
import pytest
from django.apps.registry import Apps
from django.db import connection, models

from eventstore.records import RecordedEvent, StreamAppend
from eventstore.store import event_store
from projections.models import ProjectionCheckpoint
from projections.projector import Row
from projections.read_models import load_rows
from tests.factories import NewEventFactory, StreamAppendFactory
from tests.integration.projections.account_log import append

PREFIX = "thing-"
REFUSED = -1


class ThingTotal(models.Model):
    """The sum of a stream's numbers; the table is there for as long as a test needs it."""

    thing_id = models.TextField(primary_key=True)
    version = models.BigIntegerField()
    total = models.BigIntegerField()

    objects: ClassVar[models.Manager["ThingTotal"]] = models.Manager()

    class Meta:
        apps = Apps()
        app_label = "tests"
        db_table = "thing_totals"
        constraints = (models.CheckConstraint(condition=models.Q(total__gte=0), name="thing_totals_total_check"),)


@dataclass(frozen=True)
class Total:
    """The sum of a stream's numbers."""

    stream_id: str
    version: int = 0
    total: int = 0


@dataclass
class TotalProjector:
    """Chokes on `indigestible` numbers, makes rows that the database refuses, or finds the database away."""

    name: str = field(default_factory=lambda: f"totals-{uuid4()}")
    indigestible: set[int] = field(default_factory=set)
    refused_totals: set[int] = field(default_factory=set)
    strange_totals: dict[int, Any] = field(default_factory=dict)
    save_error: Exception | None = None

    model = ThingTotal
    columns = ("thing_id", "version", "total")
    append_only = False
    stream_prefix = PREFIX
    stream_column = "thing_id"

    def load(self, *, stream_ids: Collection[str]) -> Mapping[str, Total]:
        thing_ids = [stream_id.removeprefix(PREFIX) for stream_id in stream_ids]
        rows = load_rows(model=self.model, columns=self.columns, by="thing_id", ids=thing_ids)
        return {PREFIX + thing_id: Total(PREFIX + thing_id, version, total) for thing_id, version, total in rows}

    def initial(self, *, stream_id: str) -> Total:
        return Total(stream_id)

    def apply(self, *, state: Total, event: RecordedEvent) -> Total:
        number = event.data["number"]
        if number in self.indigestible:
            raise KeyError(number)
        return Total(state.stream_id, event.version, state.total + number)

    def rows(self, *, history: Sequence[Total]) -> Sequence[Row]:
        if self.save_error:
            raise self.save_error
        last = history[-1]
        total = REFUSED if last.total in self.refused_totals else self.strange_totals.get(last.total, last.total)
        return [(last.stream_id.removeprefix(PREFIX), last.version, total)]

    def totals(self, *streams: StreamAppend) -> list[tuple[int, int]]:
        """Return version and total of each stream."""
        rows = self.load(stream_ids=[stream.stream_id for stream in streams])
        return [(rows[stream.stream_id].version, rows[stream.stream_id].total) for stream in streams]


@pytest.fixture
def totals_table(db) -> Iterator[None]:
    """The projection's own table."""
    with connection.schema_editor() as editor:
        editor.create_model(ThingTotal)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(ThingTotal)


@pytest.fixture
def projector(totals_table) -> TotalProjector:
    """Return a projector that has seen the log as it is now."""
    made = TotalProjector()
    ProjectionCheckpoint.objects.create(projection=made.name, position=event_store().head_position())
    return made


def numbers(*values: int, after: StreamAppend | None = None) -> StreamAppend:
    """Append a number for each event of a stream."""
    events = tuple(NewEventFactory.build(data={"number": value}) for value in values)
    made = StreamAppendFactory.build(after=after, events=events)
    append(made)
    return made


@contextmanager
def checkpoint_held(projection: str) -> Iterator[None]:
    """Let another runner hold the checkpoint of a projection."""
    with psycopg.connect(**connection.get_connection_params()) as session:
        session.execute("SELECT FROM projection_checkpoints WHERE projection = %s FOR UPDATE", [projection])
        yield
        session.rollback()
