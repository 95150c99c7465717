"""Whoever is overtaken again and again gets its turn, and cannot keep it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import connection
from prometheus_client import REGISTRY

from eventstore.all_or_nothing import all_or_nothing
from eventstore.contended_streams import OVERTAKEN_TIMES
from eventstore.exceptions import StoreUnavailable
from eventstore.postgres import PostgresEventStore
from eventstore.postgres_rows import append_parameters
from eventstore.records import CommandContext
from eventstore.statements import statement
from tests.factories import CommitFactory, NewEventFactory, StreamAppendFactory
from tests.integration.eventstore.log_copies import raw_connection
from tests.polling import wait_until
from tests.unit.eventstore.purses import carry_out, elsewhere, new_purse, putting


@pytest.fixture
def rival() -> Iterator[psycopg.Connection[Any]]:
    """The session of another process, which waits for nobody."""
    with raw_connection() as session:
        session.execute("SET lock_timeout = '100ms'")
        yield session


@pytest.fixture
def unhurried(monkeypatch) -> None:
    """What is contended stays so, however slow the machine is."""
    monkeypatch.setattr("eventstore.contended_streams.CONTENDED_SECONDS", float("inf"))


class OvertakenStore(PostgresEventStore):
    """Before each append a rival appends to the same stream, if it may."""

    def __init__(self, stream_id: str, rival: psycopg.Connection[Any]) -> None:
        super().__init__()
        self._stream_id, self._rival = stream_id, rival
        self.overtaken, self.appends = 0, 0

    def append(self, commits: Any) -> Any:
        self.appends += 1
        version = len(self.read_stream(self._stream_id, limit=1_000))
        event = NewEventFactory.build(event_type="Taken", data={"coins": 1}, occurred_at=datetime.now(UTC))
        stream = StreamAppendFactory.build(stream_id=self._stream_id, expected_version=version, events=(event,))
        try:
            [row] = append_by(self._rival, CommitFactory.build(streams=(stream,)))
            self.overtaken += row[1] == "appended"
        except psycopg.errors.LockNotAvailable:
            pass
        return super().append(commits)


def append_by(session: psycopg.Connection[Any], commit: Any) -> Any:
    return session.execute(statement("append_events"), append_parameters([commit])).fetchall()


def test_who_is_overtaken_every_time_gets_its_turn(rival):
    purse = new_purse()
    store = OvertakenStore(purse, rival)
    carry_out(putting(purse), PostgresEventStore())
    assert carry_out(putting(purse), store).result == {"version": 4}
    assert (store.overtaken, store.appends) == (2, 3)
    # And then it lets the others go on.
    [row] = append_by(rival, CommitFactory.build())
    assert row[1] == "appended"


def test_whoever_was_overtaken_a_few_times_has_it_at_once(rival, unhurried):
    purse = new_purse()
    store = OvertakenStore(purse, rival)
    carry_out(putting(purse), PostgresEventStore())
    for _ in range(OVERTAKEN_TIMES):
        carry_out(putting(purse), store)
    store.appends = store.overtaken = 0
    carry_out(putting(purse), store)
    assert (store.appends, store.overtaken) == (1, 0)


def test_who_has_it_at_once_need_not_load_what_is_known(unhurried):
    store, purse = PostgresEventStore(), new_purse()
    carry_out(putting(purse), store)
    for _ in range(OVERTAKEN_TIMES):
        elsewhere(putting(purse), store)
        store.group.contended.overtaken(purse)
    before = loads_and_conflicts()
    assert carry_out(putting(purse), store).result == {"version": 2 + OVERTAKEN_TIMES}
    assert loads_and_conflicts() == before


def loads_and_conflicts() -> list[float | None]:
    return [REGISTRY.get_sample_value(name) for name in ("eventstore_cache_misses_total", "eventstore_conflicts_total")]


@pytest.mark.parametrize("events, is_heard", [(0, True), (1, True), (500, True), (501, False)])
def test_with_it_comes_what_others_wrote_unless_it_is_too_much(events, is_heard):
    store, purse = PostgresEventStore(), new_purse()
    carry_out(putting(purse), store)
    parts = [putting(new_purse()) for _ in range(events)]
    if parts:
        elsewhere(all_or_nothing(parts=parts, context=CommandContext()), store)
    with store.right_of_way() as has_heard_all:
        assert has_heard_all is is_heard
        assert (store.group.cache.heard_position() == store.head_position()) is is_heard


def test_who_knows_nothing_has_not_heard_all():
    store = PostgresEventStore()
    store.group.begin_anew()
    with store.right_of_way() as has_heard_all:
        assert not has_heard_all


def test_it_ends_with_a_session_in_which_it_could_not_be_had(rival, monkeypatch):
    def taken_and_broken(store: PostgresEventStore, stem: str, parameters: Any, **options: Any) -> Any:
        run(store, stem, parameters, **options)
        raise StoreUnavailable("odd")

    run = PostgresEventStore._run
    monkeypatch.setattr(PostgresEventStore, "_run", taken_and_broken)
    with pytest.raises(StoreUnavailable), PostgresEventStore().right_of_way():
        raise AssertionError("it was not had")
    wait_until(lambda: appends(rival))


def test_it_ends_with_the_block_whatever_happens_there(rival):
    with pytest.raises(RuntimeError), PostgresEventStore().right_of_way():
        with pytest.raises(psycopg.errors.LockNotAvailable):
            append_by(rival, CommitFactory.build())
        raise RuntimeError("odd")
    assert append_by(rival, CommitFactory.build())[0][1] == "appended"


def test_it_ends_with_a_session_that_breaks(rival):
    with PostgresEventStore().right_of_way():
        rival.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        wait_until(lambda: appends(rival))
    assert PostgresEventStore().head_position() > 0


def test_who_waits_for_it_too_long_wrote_nothing(rival):
    purse = new_purse()
    with rival.transaction():
        append_by(rival, CommitFactory.build())
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        with pytest.raises(StoreUnavailable), PostgresEventStore().right_of_way():
            raise AssertionError("there is an append under way")
    connection.close()
    assert PostgresEventStore().read_stream(purse, limit=1) == []


def test_who_stands_still_with_it_loses_it(rival):
    with raw_connection() as standing_still:
        standing_still.execute(statement("take_right_of_way"), {"at_most_idle": "200ms", "seen_position": None})
        with pytest.raises(psycopg.errors.LockNotAvailable):
            append_by(rival, CommitFactory.build())
        wait_until(lambda: appends(rival))
        with pytest.raises(psycopg.OperationalError):
            standing_still.execute("SELECT 1")


def test_a_session_that_gave_it_back_may_idle_as_before():
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_session_timeout")
        before = cursor.fetchone()
        with PostgresEventStore().right_of_way():
            cursor.execute("SHOW idle_session_timeout")
            assert cursor.fetchone() == ("2s",)
        cursor.execute("SHOW idle_session_timeout")
        assert cursor.fetchone() == before


def appends(session: psycopg.Connection[Any]) -> bool:
    try:
        return bool(append_by(session, CommitFactory.build())[0][1] == "appended")
    except psycopg.errors.LockNotAvailable:
        return False
