"""What a turn of all projections reads of the log."""

from typing import Any

import pytest

from eventstore.postgres import PostgresEventStore
from eventstore.records import RecordedEvent
from eventstore.store import event_store
from projections.engine import Progress, advance
from projections.models import ProjectionCheckpoint
from projections.projectors import PROJECTORS
from projections.runner import catch_up
from projections.turn import LogIsShorter, Turn
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account
from tests.integration.projections.totals import numbers
from tests.integration.projections.totals import projector as projector
from tests.integration.projections.totals import totals_table as totals_table
from tests.round_trips import round_trips


class CountingStore(PostgresEventStore):
    """A log that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.stretches: list[tuple[int, int]] = []

    def read_all(self, **where: Any) -> list[RecordedEvent]:
        self.stretches.append((where["after_position"], where["up_to_position"]))
        return super().read_all(**where)


def test_a_stretch_is_read_once_for_all_projections():
    catch_up()
    begin = event_store().head_position()
    streams = [busy_account(3) for _ in range(5)]
    append(*streams)
    store, head = CountingStore(), event_store().head_position()
    turn = Turn(store=store)
    assert [advance(projector=projector, store=turn, head=head) for projector in PROJECTORS] == [
        Progress(position=head, events=head - begin)
    ] * len(PROJECTORS)
    assert store.stretches == [(begin, head)]
    assert_read_models_match([stream.stream_id for stream in streams])


def test_a_projection_that_stands_elsewhere_gets_its_own_events(projector, settings):
    settings.PROJECTION_BATCH_EVENTS = 2
    catch_up()
    before = event_store().head_position()
    streams = numbers(1), numbers(2), numbers(3)
    ProjectionCheckpoint.objects.update_or_create(projection=projector.name, defaults={"position": before + 1})
    store, head = CountingStore(), before + 3
    turn = Turn(store=store)
    advance(projector=PROJECTORS[0], store=turn, head=head)
    advance(projector=projector, store=turn, head=head)
    assert store.stretches == [(before, before + 2), (before + 1, before + 3)]
    assert advance(projector=PROJECTORS[0], store=turn, head=head) == Progress(position=head, events=1)
    ProjectionCheckpoint.objects.filter(projection=projector.name).update(position=before)
    advance(projector=projector, store=turn, head=head)
    advance(projector=projector, store=turn, head=head)
    assert projector.totals(*streams) == [(1, 1), (1, 2), (1, 3)]


def test_a_turn_that_another_runner_has_overtaken_waits_for_the_next(projector):
    numbers(1)
    catch_up(projectors=[projector])
    turn, head = Turn(store=event_store()), event_store().head_position()
    numbers(2)
    catch_up(projectors=[projector])
    position = event_store().head_position()
    assert advance(projector=projector, store=turn, head=head) == Progress(position=position, events=0)


def test_a_log_that_lost_events_meanwhile_moves_no_checkpoint(projector):
    catch_up(projectors=[projector])
    numbers(1)
    before = ProjectionCheckpoint.objects.get(projection=projector.name).position
    turn, head = Turn(store=event_store()), event_store().head_position() + 1
    with pytest.raises(LogIsShorter, match="1 events after position"):
        advance(projector=projector, store=turn, head=head)
    assert ProjectionCheckpoint.objects.get(projection=projector.name).position == before


def test_savepoints_are_only_for_batches_with_a_refused_row(projector):
    catch_up(projectors=[projector])
    numbers(1, 2)
    taken = round_trips(lambda: advance(projector=projector))
    numbers(1, 2)
    again = round_trips(lambda: advance(projector=projector))
    projector.refused_totals = {3}
    stream = numbers(1, 2)
    refused = round_trips(lambda: advance(projector=projector))
    assert taken == again < refused
    assert projector.totals(stream) == [(1, 1)]
