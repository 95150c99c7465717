"""Projections that stand at one position go on together, by one transaction; others, and what fails, go alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

from eventstore.exceptions import StoreUnavailable
from eventstore.store import event_store
from projections import runner
from projections.engine import Progress, advance, advance_together
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.projectors import PROJECTORS
from projections.runner import advance_all, catch_up
from projections.turn import Turn
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account
from tests.integration.projections.totals import checkpoint_held, numbers
from tests.integration.projections.totals import projector as projector
from tests.integration.projections.totals import totals_table as totals_table
from tests.round_trips import round_trips


@pytest.fixture
def projectors(projector) -> Sequence[Any]:
    """Return the bank's projectors and the tests' own, all at the head of the log and with no stream parked."""
    catch_up()
    ProjectionFailure.objects.all().delete()
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


def test_a_runner_goes_on_with_the_others_while_a_read_model_is_locked(projectors, projector, monkeypatch, caplog):
    monkeypatch.setattr(runner, "PROJECTORS", projectors)
    summary, *others = projectors
    account, thing = busy_account(3), numbers(1)
    append(account)
    head = event_store().head_position()
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    with psycopg.connect(**connection.get_connection_params()) as session:
        # As an index does that is made on it.
        session.execute("LOCK TABLE account_summary IN SHARE MODE")
        advance_all(slice_seconds=60, should_stop=lambda: positions(others) == [head] * len(others))
        session.rollback()
    assert positions([summary])[0] < head
    assert projector.totals(thing) == [(1, 1)]
    assert "projection account_summary stopped; the next slice tries again" in caplog.messages
    catch_up()
    assert_read_models_match([account.stream_id])


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
    with checkpoint_held(projector.name), nothing_changes(projectors):
        assert together(projectors) is None
    assert together(projectors) is not None


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


def test_a_read_model_that_is_locked_keeps_nobody_from_the_others(projectors, projector):
    account, thing = busy_account(3), numbers(1)
    append(account)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 50")
    with psycopg.connect(**connection.get_connection_params()) as session:
        # As an index that is made holds it.
        session.execute("LOCK TABLE thing_totals IN SHARE MODE")
        with nothing_changes(projectors):
            assert together(projectors) is None
        for one in PROJECTORS:
            assert advance(projector=one)
        assert_read_models_match([account.stream_id])
        session.rollback()
    advance(projector=projector)
    assert projector.totals(thing) == [(1, 1)]


def test_a_session_that_is_lost_undoes_it_and_the_next_one_goes_on(projectors, projector, monkeypatch):
    load = projector.load

    def unlucky(*, stream_ids):
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
            pid = connection.connection.info.backend_pid
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return load(stream_ids=stream_ids)

    thing = numbers(1)
    with monkeypatch.context() as patch, nothing_changes(projectors):
        patch.setattr(projector, "load", unlucky)
        assert together(projectors) is None
    assert together(projectors)
    assert projector.totals(thing) == [(1, 1)]


def test_a_log_that_is_away_is_said(projectors, monkeypatch):
    def away(*_, **__):
        raise StoreUnavailable("away")

    numbers(1)
    with monkeypatch.context() as patch, nothing_changes(projectors), pytest.raises(StoreUnavailable):
        patch.setattr(Turn, "read_all", away)
        together(projectors)


def test_a_poison_event_parks_its_stream_and_keeps_nobody(projectors, projector):
    projector.indigestible = {2}
    poisoned, other, account = numbers(1, 2), numbers(5), busy_account(3)
    append(account)
    assert together(projectors) is not None
    assert ProjectionFailure.objects.get(projection=projector.name).stream_id == poisoned.stream_id
    assert_read_models_match([account.stream_id])
    numbers(3, after=poisoned)
    assert together(projectors) is not None
    assert projector.totals(poisoned, other) == [(1, 1), (1, 5)]
    assert ProjectionFailure.objects.get(projection=projector.name).version == 2


def test_a_runner_goes_on_one_by_one_while_they_stand_apart_and_together_again_after(
    projectors, projector, monkeypatch, settings
):
    ways: list[list[Progress] | None] = []
    account = busy_account(2)

    def watched(**arguments) -> list[Progress] | None:
        ways.append(advance_together(**arguments))
        return ways[-1]

    def all_are_done() -> bool:
        is_done = positions(projectors) == [event_store().head_position()] * len(projectors)
        if is_done and len(ways) == 1:
            # They met, and there is more within the same slice.
            append(account)
            return False
        return is_done

    monkeypatch.setattr(runner, "PROJECTORS", projectors)
    monkeypatch.setattr(runner, "advance_together", watched)
    settings.PROJECTION_BATCH_EVENTS = 2
    things = [numbers(1, 2), numbers(3, 4), numbers(5)]
    # The others are a batch ahead of the tests' own.
    for one in PROJECTORS:
        advance(projector=one)
    advance_all(slice_seconds=60, should_stop=all_are_done)
    # Asked once, not again while they stood apart, and again for what came after they met.
    assert ways[0] is None
    assert ways[1:] and all(ways[1:])
    assert projector.totals(*things) == [(2, 3), (2, 7), (1, 5)]
    assert_read_models_match([account.stream_id])
