"""The long part of a rebuild: every stream from its first event, one stream after the other, written by COPY.

In the order of streams there is one state to be kept at a time, however many streams there are, and each stream's rows
are written once. The log's index on streams gives that order.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, transaction

from eventstore.postgres_rows import recorded_event
from eventstore.records import RecordedEvent
from projections.engine import REFUSED_ROWS, Failure, Step, fold, save
from projections.parking import park, parked
from projections.projector import Projector
from projections.read_models import copy_rows
from projections.rebuild_models import RebuildPart
from projections.rebuilding.shadows import inside_shadow
from projections.statements import statement


class Copying:
    """Fills a part of a projection's shadow, from where that stands; `next_batch` tells whether there is another."""

    def __init__(self, *, projector: Projector[Any], part: RebuildPart) -> None:
        self._projector = projector
        self._part = part
        # What the stream that the last batch ended in has come to; not known after an interruption.
        self._state: Any = None

    def next_batch(self) -> bool:
        """Project a batch of events into the shadow, with the note of it; tell whether there are more.

        Raises the database's errors; a stream that cannot be projected is parked.
        """
        with inside_shadow(projector=self._projector):
            part, events = self._part, self._read()
            if events:
                self._project(events)
                part.stream_id, part.stream_version = events[-1].stream_id, events[-1].version
                part.events_done += len(events)
            part.is_done = len(events) < settings.REBUILD_BATCH_EVENTS
            part.save(force_update=True)
        return not part.is_done

    def _read(self) -> list[RecordedEvent]:
        parameters = {
            "stream_id": self._part.stream_id,
            "version": self._part.stream_version,
            "before": self._part.before,
            "until_position": self._part.rebuild.until_position,
            "limit": settings.REBUILD_BATCH_EVENTS,
        }
        with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
            # As text, times would be read by Django's way, which takes ten times as long.
            query = cursor.execute(statement("events_of_streams"), parameters, binary=True)
            rows = query.fetchall()
        return [recorded_event(row) for row in rows]

    def _project(self, events: Sequence[RecordedEvent]) -> None:
        streams = [(stream_id, list(own)) for stream_id, own in groupby(events, key=lambda event: event.stream_id)]
        failures: list[Failure] = []
        if self._part.stream_version and streams[0][0] == self._part.stream_id:
            failures += self._go_on(*streams.pop(0))
        failures += self._begin(streams)
        for failure in failures:
            park(projection=self._projector.name, event=failure.event, error=failure.error)

    def _go_on(self, stream_id: str, events: Sequence[RecordedEvent]) -> list[Failure]:
        """Project more of the stream that the last batch ended in; it may have rows, which the new ones change."""
        projector = self._projector
        if parked(projection=projector.name, stream_ids=[stream_id]):
            return []
        if self._state is None:
            rows = projector.load(stream_ids=[stream_id]).get(stream_id)
            self._state = projector.initial(stream_id=stream_id) if rows is None else rows
        steps, failure = fold(projector=projector, state=self._state, events=events)
        if steps:
            self._state = steps[-1].state
        return _first_of_each_stream([failure] if failure else [], save(projector=projector, histories=[steps]))

    def _begin(self, streams: Sequence[tuple[str, Sequence[RecordedEvent]]]) -> list[Failure]:
        """Project streams of which the shadow has nothing yet."""
        projector = self._projector
        histories: list[Sequence[Step[Any]]] = []
        failures: list[Failure] = []
        for stream_id, events in streams:
            steps, failure = fold(projector=projector, state=projector.initial(stream_id=stream_id), events=events)
            if failure:
                failures.append(failure)
            if steps:
                histories.append(steps)
            self._state = steps[-1].state if steps else None
        return _first_of_each_stream(failures, self._copy(histories))

    def _copy(self, histories: Sequence[Sequence[Step[Any]]]) -> list[Failure]:
        projector = self._projector
        try:
            with transaction.atomic():
                rows = [row for steps in histories for row in projector.rows(history=[step.state for step in steps])]
                copy_rows(projector=projector, rows=rows)
        except REFUSED_ROWS:
            # Which one it was, the engine finds out.
            return save(projector=projector, histories=histories)
        return []


def _first_of_each_stream(unfolded: Sequence[Failure], refused: Sequence[Failure]) -> list[Failure]:
    """Return the failure to park each stream with: a row refused is of an earlier event than one that did not fold."""
    return list({failure.event.stream_id: failure for failure in (*unfolded, *refused)}.values())
