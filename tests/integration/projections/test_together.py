"""Projections that stand at one position go on together, by one transaction; others, and what fails, go alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection

from eventstore.store import event_store
from projections import runner
from projections.engine import Progress, advance, advance_together
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.projectors import PROJECTORS
from projections.runner import advance_all, catch_up
from projections.turn import Turn
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account
from tests.integration.projections.totals import TotalProjector, numbers
from tests.integration.projections.totals import projector as projector
from tests.integration.projections.totals import totals_table as totals_table
from tests.round_trips import round_trips


@pytest.fixture
def projectors(projector) -> Sequence[Any]:
    """Return the bank's projectors and the tests' own, all at the head of the log."""
    catch_up()
    ProjectionCheckpoint.objects.filter(projection=projector.name).update(position=event_store().head_position())
    return [*PROJECTORS, projector]


def together(projectors) -> list[Progress] | None:
    store = event_store()
    return advance_together(projectors=projectors, store=Turn(store=store), head=store.head_position())


def positions(projectors) -> list[int]:
    stored = dict(ProjectionCheckpoint.objects.values_list("projection", "position"))
    return [stored[projector.name] for projector in projectors]


@contextmanager
def nothing_changes(projectors) -> Iterator[None]:
    before = positions(projectors)
    yield
    assert positions(projectors) == before
    assert not connection.in_atomic_block


def test_one_transaction_takes_all_to_the_head(projectors, projector):
    begin = event_store().head_position()
    accounts, thing = [busy_account(3) for _ in range(5)], numbers(1, 2)
    append(*accounts)
    head = event_store().head_position()
    assert together(projectors) == [Progress(position=head, events=head - begin)] * len(projectors)
    assert positions(projectors) == [head] * len(projectors)
    assert_read_models_match([stream.stream_id for stream in accounts])
    assert projector.totals(thing) == [(2, 3)]


def test_it_takes_fewer_round_trips_than_each_alone(projectors):
    def alone() -> None:
        turn = Turn(store=store)
        for one in PROJECTORS:
            advance(projector=one, store=turn, head=head)

    def at_once() -> None:
        assert advance_together(projectors=PROJECTORS, store=Turn(store=store), head=head)

    store = event_store()
    taken = {}
    for way in (alone, at_once) * 2:
        append(busy_account(3))
        head = store.head_position()
        taken[way] = round_trips(way)
    # The events, and for two read models of accounts their rows of before and those of after; all begin by one
    # statement, and end by one commit.
    assert taken == {alone: 11, at_once: 7}


def test_those_that_stand_apart_go_alone(projectors, projector):
    ProjectionCheckpoint.objects.filter(projection=projector.name).update(position=event_store().head_position())
    thing = numbers(1, 2)
    advance(projector=projector)
    with nothing_changes(projectors):
        assert together(projectors) is None
    assert projector.totals(thing) == [(2, 3)]


def test_at_the_head_there_is_nothing_to_do_together(projectors):
    with nothing_changes(projectors):
        assert together(projectors) is None


def test_one_that_another_runner_has_in_hand_is_left_to_him_with_all_others(projectors, projector):
    numbers(1)
    with runner_elsewhere(projector), nothing_changes(projectors):
        assert together(projectors) is None
    assert together(projectors) is not None


@contextmanager
def runner_elsewhere(projector: TotalProjector) -> Iterator[None]:
    with psycopg.connect(**connection.get_connection_params()) as session:
        session.execute("SELECT FROM projection_checkpoints WHERE projection = %s FOR UPDATE", [projector.name])
        yield
        session.rollback()


def test_a_refused_row_undoes_it_for_all_and_is_found_by_its_own(projectors, projector):
    projector.refused_totals = {3}
    account, thing = busy_account(3), numbers(1, 2)
    append(account)
    with nothing_changes(projectors):
        assert together(projectors) is None
    advance(projector=projector)
    assert ProjectionFailure.objects.get(projection=projector.name).version == 2
    assert projector.totals(thing) == [(1, 1)]
    catch_up()
    assert_read_models_match([account.stream_id])


def test_a_defect_of_one_undoes_it_for_all(projectors, projector):
    projector.save_error = RuntimeError("a defect")
    append(busy_account(3))
    numbers(1)
    with nothing_changes(projectors):
        assert together(projectors) is None


def test_a_database_that_is_away_is_said(projectors, projector):
    projector.save_error = OperationalError("the database is away")
    numbers(1)
    with nothing_changes(projectors), pytest.raises(OperationalError):
        together(projectors)


def test_a_poison_event_parks_its_stream_and_keeps_nobody(projectors, projector):
    projector.indigestible = {2}
    poisoned, other, account = numbers(1, 2), numbers(5), busy_account(3)
    append(account)
    assert together(projectors) is not None
    assert ProjectionFailure.objects.get(projection=projector.name).stream_id == poisoned.stream_id
    assert_read_models_match([account.stream_id])
    later = numbers(3, after=poisoned)
    assert together(projectors) is not None
    assert projector.totals(poisoned, other) == [(1, 1), (1, 5)]
    assert later.stream_id == poisoned.stream_id


def test_a_runner_goes_on_alone_with_those_that_stand_apart_and_together_again_after(
    projectors, projector, monkeypatch, settings
):
    ways: list[list[Progress] | None] = []

    def watched(**arguments) -> list[Progress] | None:
        ways.append(advance_together(**arguments))
        return ways[-1]

    def slice_up_to(head: int) -> None:
        advance_all(slice_seconds=60, should_stop=lambda: positions(projectors) == [head] * len(projectors))

    monkeypatch.setattr(runner, "PROJECTORS", projectors)
    monkeypatch.setattr(runner, "advance_together", watched)
    settings.PROJECTION_BATCH_EVENTS = 2
    begin = event_store().head_position()
    things = [numbers(1, 2), numbers(3, 4), numbers(5)]
    # It is a batch behind, and the others wait for it at the head.
    for one in PROJECTORS:
        advance(projector=one)
    slice_up_to(begin + 5)
    # Asked once, and not again while they stand apart.
    assert ways[0] is None
    assert all(way is not None for way in ways[1:])
    assert projector.totals(*things) == [(2, 3), (2, 7), (1, 5)]
    ways.clear()
    append(busy_account(2))
    slice_up_to(event_store().head_position())
    assert ways and all(ways)
