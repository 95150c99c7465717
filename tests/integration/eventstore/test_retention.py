"""How long verdicts are kept."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from eventstore import tasks
from eventstore.exceptions import StoreUnavailable
from eventstore.postgres import PostgresEventStore
from eventstore.records import CommandKey, NewCommand
from eventstore.store import event_store
from tests.factories import CommitFactory, NewCommandFactory, StreamAppendFactory


def recorded(*, refused: bool) -> CommandKey:
    """Append a verdict and return its key."""
    command: NewCommand = NewCommandFactory.build(refused=refused)
    event_store().append([CommitFactory.build(streams=(StreamAppendFactory.build(),), command=command)])
    return command.key


def is_kept(key: CommandKey) -> bool:
    return event_store().load([], command_key=key).command is not None


def test_refusals_are_kept_for_as_long_as_the_setting_says(settings, monkeypatch):
    monkeypatch.setattr(tasks, "BATCH_REFUSALS", 2)
    success, *refusals = (recorded(refused=refused) for refused in (False, True, True, True))
    settings.REFUSALS_KEPT_DAYS = 1
    tasks.forget_refusals()
    assert all(is_kept(key) for key in (success, *refusals))

    settings.REFUSALS_KEPT_DAYS = 0
    tasks.forget_refusals()
    assert connection.connection is None
    assert [is_kept(key) for key in (success, *refusals)] == [True, False, False, False]


def test_refusals_wait_for_a_store_that_is_away(settings, monkeypatch, caplog):
    def away(*args, **kwargs):
        raise StoreUnavailable("gone")

    settings.REFUSALS_KEPT_DAYS = 0
    refusal = recorded(refused=True)
    monkeypatch.setattr(PostgresEventStore, "forget_refusals", away)
    tasks.forget_refusals()
    assert "old refusals wait for the store: gone" in caplog.text
    assert is_kept(refusal)


def test_two_that_forget_at_once_share_the_work():
    first, second = recorded(refused=True), recorded(refused=True)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    with locked(first):
        assert event_store().forget_refusals(recorded_before=soon, limit=100_000) >= 1
    assert (is_kept(first), is_kept(second)) == (True, False)


def test_none_is_forgotten_while_an_append_may_be_looking_at_it():
    refusal = recorded(refused=True)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 50")
    try:
        with connection.copy().cursor() as appending:
            appending.execute("BEGIN")
            appending.execute("SELECT pg_advisory_xact_lock(4711001)")
            with pytest.raises(StoreUnavailable):
                event_store().forget_refusals(recorded_before=soon, limit=100_000)
            appending.execute("ROLLBACK")
            appending.connection.close()
    finally:
        connection.close()
    assert is_kept(refusal)


@contextmanager
def locked(key: CommandKey):
    """Hold a verdict's row as another process would that is about to forget it."""
    with connection.copy().cursor() as other:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM commands WHERE scope = %s AND key = %s FOR UPDATE", [key.scope, key.key])
        assert other.fetchall() == [(1,)]
        yield
        other.execute("ROLLBACK")
        other.connection.close()


@pytest.mark.parametrize("batches", [1, 3])
def test_one_run_is_bounded(settings, monkeypatch, batches):
    settings.REFUSALS_KEPT_DAYS = 0
    tasks.forget_refusals()
    monkeypatch.setattr(tasks, "BATCH_REFUSALS", 1)
    monkeypatch.setattr(tasks, "MAX_BATCHES", batches)
    refusals = [recorded(refused=True) for _ in range(4)]
    tasks.forget_refusals()
    assert [is_kept(key) for key in refusals] == [False] * batches + [True] * (4 - batches)
