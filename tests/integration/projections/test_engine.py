"""The engine's promises, with a projector that does nothing but count: exactly once, in order, one stream alone."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection

from eventstore.postgres import PostgresEventStore
from eventstore.records import RecordedEvent
from eventstore.store import event_store
from projections.engine import CheckpointAheadOfLog, Progress, advance
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.streams import rebuild_stream
from tests.factories import StreamAppendFactory
from tests.integration.projections.account_log import append
from tests.integration.projections.totals import ThingTotal, TotalProjector, checkpoint_held, numbers
from tests.integration.projections.totals import projector as projector
from tests.integration.projections.totals import totals_table as totals_table


class ForgetfulStore(PostgresEventStore):
    """A log that does not show one of its events."""

    def __init__(self, *, stream_id: str, version: int) -> None:
        super().__init__()
        self.hidden = (stream_id, version)

    def read_all(self, **where: Any) -> list[RecordedEvent]:
        events = super().read_all(**where)
        return [event for event in events if (event.stream_id, event.version) != self.hidden]


def project(projector: TotalProjector) -> None:
    """Advance up to the head of the log."""
    while (progress := advance(projector=projector)) is None or progress.events:
        pass


def checkpoint(projector: TotalProjector) -> int:
    return ProjectionCheckpoint.objects.get(projection=projector.name).position


def failures(projector: TotalProjector) -> dict[str, ProjectionFailure]:
    return {failure.stream_id: failure for failure in ProjectionFailure.objects.filter(projection=projector.name)}


def test_batches_follow_each_other_up_to_the_head(projector, settings):
    settings.PROJECTION_BATCH_EVENTS = 2
    before = checkpoint(projector)
    stream = numbers(1, 2, 3)

    assert advance(projector=projector) == Progress(position=before + 2, events=2)
    assert projector.totals(stream) == [(2, 3)]
    assert advance(projector=projector) == Progress(position=before + 3, events=1)
    assert advance(projector=projector) == Progress(position=before + 3, events=0)
    assert projector.totals(stream) == [(3, 6)]
    assert checkpoint(projector) == before + 3


def test_a_checkpoint_ahead_of_the_log_is_said_and_nothing_is_passed_over(projector):
    """It would be silent about every event up to there."""
    project(projector)
    ahead = event_store().head_position() + 5
    ProjectionCheckpoint.objects.filter(projection=projector.name).update(position=ahead)
    with pytest.raises(CheckpointAheadOfLog):
        advance(projector=projector)
    numbers(1)
    with pytest.raises(CheckpointAheadOfLog):
        advance(projector=projector)
    assert checkpoint(projector) == ahead


def test_a_projection_that_never_ran_begins_at_the_first_event(totals_table, settings):
    settings.PROJECTION_BATCH_EVENTS = 1
    numbers(1)
    projector = TotalProjector()
    assert advance(projector=projector) == Progress(position=1, events=1)


def test_events_that_are_in_the_read_model_already_are_skipped(projector):
    before = checkpoint(projector)
    stream = numbers(1, 2)
    project(projector)
    numbers(3, after=stream)
    ProjectionCheckpoint.objects.filter(projection=projector.name).update(position=before)
    project(projector)
    assert projector.totals(stream) == [(3, 6)]
    assert failures(projector) == {}


def test_streams_that_the_projector_does_not_select_only_move_the_checkpoint(projector):
    append(StreamAppendFactory.build(stream_id=f"other-{uuid4()}"))
    project(projector)
    assert not ThingTotal.objects.exists()
    assert checkpoint(projector) == event_store().head_position()


def test_a_gap_parks_its_stream_alone(projector):
    stream, other = numbers(1, 2, 3), numbers(10, 20)
    advance(projector=projector, store=ForgetfulStore(stream_id=stream.stream_id, version=2))

    assert projector.totals(stream, other) == [(1, 1), (2, 30)]
    failure = failures(projector)[stream.stream_id]
    assert (failure.version, failure.error) == (3, "StreamGap: version 3 came after version 1")
    assert checkpoint(projector) == event_store().head_position()

    assert rebuild_stream(projector=projector, stream_id=stream.stream_id).error is None
    assert projector.totals(stream) == [(3, 6)]
    assert failures(projector) == {}


def test_a_poison_event_parks_its_stream_and_no_other(projector, caplog):
    projector.indigestible = {3}
    stream, other = numbers(1, 2, 3, 4), numbers(10)
    project(projector)

    assert projector.totals(stream, other) == [(2, 3), (1, 10)]
    [failure] = failures(projector).values()
    poison = event_store().read_stream(stream.stream_id, after_version=2, limit=1)[0]
    assert (failure.stream_id, failure.version) == (stream.stream_id, 3)
    assert (failure.position, failure.event_id) == (poison.position, poison.event_id)
    assert (failure.error, failure.attempts) == ("KeyError: 3", 1)
    assert "in apply" in failure.traceback
    [logged] = [entry for entry in caplog.records if entry.levelname == "ERROR"]
    assert f"{projector.name}: stream {stream.stream_id} is parked at version 3" in logged.getMessage()


def test_later_events_of_a_parked_stream_wait(projector):
    projector.indigestible = {2}
    stream = numbers(1, 2)
    project(projector)
    projector.indigestible = set()
    other = numbers(10)
    numbers(3, after=stream)
    project(projector)

    assert projector.totals(stream, other) == [(1, 1), (1, 10)]
    assert failures(projector)[stream.stream_id].attempts == 1


def test_rebuilding_heals_a_parked_stream_once_its_cause_is_mended(projector, settings):
    settings.PROJECTION_BATCH_EVENTS = 2
    projector.indigestible = {3}
    stream = numbers(1, 2, 3, 4, 5)
    project(projector)
    first = failures(projector)[stream.stream_id]

    assert rebuild_stream(projector=projector, stream_id=stream.stream_id).error
    again = failures(projector)[stream.stream_id]
    assert (again.attempts, again.version, again.first_failed_at) == (2, 3, first.first_failed_at)
    assert again.last_failed_at > first.last_failed_at
    assert projector.totals(stream) == [(2, 3)]

    projector.indigestible = set()
    assert rebuild_stream(projector=projector, stream_id=stream.stream_id).error is None
    assert projector.totals(stream) == [(5, 15)]
    assert failures(projector) == {}
    numbers(6, after=stream)
    project(projector)
    assert projector.totals(stream) == [(6, 21)]


def test_rebuilding_goes_no_further_than_the_checkpoint(projector):
    stream = numbers(1, 2)
    project(projector)
    numbers(3, after=stream)
    assert rebuild_stream(projector=projector, stream_id=stream.stream_id).error is None
    assert projector.totals(stream) == [(2, 3)]


def test_rebuilding_a_stream_without_events_leaves_nothing_of_it(projector):
    thing_id = str(uuid4())
    ThingTotal.objects.create(thing_id=thing_id, version=9, total=99)
    assert rebuild_stream(projector=projector, stream_id=f"thing-{thing_id}").error is None
    assert not ThingTotal.objects.exists()


def test_a_refused_row_parks_its_stream_at_the_very_event(projector):
    projector.refused_totals = {6, 10}
    stream, other = numbers(1, 2, 3, 4), numbers(100, 200)
    project(projector)

    assert projector.totals(stream, other) == [(2, 3), (2, 300)]
    [failure] = failures(projector).values()
    assert (failure.stream_id, failure.version) == (stream.stream_id, 3)
    assert failure.error.startswith("IntegrityError: ")
    assert checkpoint(projector) == event_store().head_position()

    projector.refused_totals = set()
    assert rebuild_stream(projector=projector, stream_id=stream.stream_id).error is None
    assert projector.totals(stream) == [(4, 10)]


@pytest.mark.parametrize("total", [10**30, 2**63, "NUL \0", "\ud800", {1}, 1.5, None], ids=ascii)
def test_a_row_that_cannot_be_written_parks_its_stream_alone(projector, total):
    projector.strange_totals = {6: total}
    stream, other = numbers(1, 2, 3), numbers(100, 200)
    project(projector)
    assert projector.totals(stream, other) == [(2, 3), (2, 300)]
    assert failures(projector)[stream.stream_id].version == 3
    assert failures(projector).keys() == {stream.stream_id}


def test_a_stream_whose_rows_cannot_be_made_is_parked_alone(projector, monkeypatch):
    make = projector.rows

    def clumsy(*, history):
        if history[-1].total == 6:
            raise KeyError("nothing")
        return make(history=history)

    monkeypatch.setattr(projector, "rows", clumsy)
    stream, other = numbers(1, 2, 3), numbers(100, 200)
    project(projector)
    assert projector.totals(stream, other) == [(2, 3), (2, 300)]
    assert failures(projector)[stream.stream_id].error == "KeyError: 'nothing'"


def test_a_row_refused_before_a_poison_event_is_what_the_stream_is_parked_at(projector):
    projector.refused_totals = {3}
    projector.indigestible = {4}
    stream = numbers(1, 2, 4)
    project(projector)
    assert failures(projector)[stream.stream_id].version == 2


def test_a_database_that_is_away_parks_nothing(projector):
    before = checkpoint(projector)
    projector.save_error = OperationalError("the database is away")
    stream = numbers(1)
    with pytest.raises(OperationalError):
        advance(projector=projector)
    assert failures(projector) == {}
    assert checkpoint(projector) == before

    projector.save_error = None
    project(projector)
    assert projector.totals(stream) == [(1, 1)]


def test_a_second_runner_steps_aside(projector):
    stream = numbers(1)
    with checkpoint_held(projector.name):
        assert advance(projector=projector) is None
    project(projector)
    assert projector.totals(stream) == [(1, 1)]


def test_rebuilding_waits_for_the_checkpoint(projector):
    stream = numbers(1)
    project(projector)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 50")
    with checkpoint_held(projector.name), pytest.raises(OperationalError):
        rebuild_stream(projector=projector, stream_id=stream.stream_id)
    assert projector.totals(stream) == [(1, 1)]
