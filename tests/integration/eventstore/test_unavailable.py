"""What the database's failures mean to a caller: nothing written, outcome unknown, or a broken contract."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from eventstore.exceptions import InvalidAppend, OutcomeUnknown, StoreUnavailable
from eventstore.postgres import PostgresEventStore
from eventstore.postgres_rows import append_parameters
from eventstore.records import Appended
from eventstore.statements import statement
from tests.factories import CommitFactory, StreamAppendFactory
from tests.integration.eventstore.log_copies import raw_connection
from tests.polling import wait_until

TERMINATE_THE_WAITING = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
    " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
)


@pytest.fixture
def held_log() -> Iterator[None]:
    """Somebody is appending and does not finish."""
    with raw_connection() as session:
        session.execute("BEGIN")
        session.execute(statement("append_events"), append_parameters([CommitFactory.build()]))
        yield
        session.execute("ROLLBACK")


@pytest.mark.parametrize("timeout", ["lock_timeout", "statement_timeout"])
def test_an_append_that_waits_too_long_wrote_nothing(held_log, timeout):
    commit = CommitFactory.build()
    with connection.cursor() as cursor:
        cursor.execute(f"SET {timeout} = '50ms'")
    with pytest.raises(StoreUnavailable) as unavailable:
        PostgresEventStore().append([commit])
    assert not isinstance(unavailable.value, OutcomeUnknown)
    assert PostgresEventStore().read_stream(commit.streams[0].stream_id, limit=1) == []


def test_a_standby_takes_no_append():
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    with pytest.raises(StoreUnavailable):
        PostgresEventStore().append([CommitFactory.build()])


def test_a_connection_that_breaks_under_an_append_leaves_its_outcome_unknown(held_log):
    def append() -> None:
        try:
            PostgresEventStore().append([CommitFactory.build()])
        finally:
            connection.close()

    def terminate() -> bool:
        cursor.execute(TERMINATE_THE_WAITING)
        return bool(cursor.fetchall())

    with ThreadPoolExecutor(1) as pool, connection.cursor() as cursor:
        appending = pool.submit(append)
        wait_until(terminate)
        with pytest.raises(OutcomeUnknown):
            appending.result()


def test_a_read_on_a_broken_connection_fails_and_the_next_does_not():
    store = PostgresEventStore()
    store.append([CommitFactory.build()])
    with raw_connection() as session:
        session.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    with pytest.raises(StoreUnavailable):
        store.head_position()
    assert store.head_position() > 0


def test_what_postgres_refuses_is_a_broken_contract():
    # Beyond what an index entry can hold, and no two characters alike enough to be compressed.
    stream_id = "".join(map(chr, range(0x4E00, 0x4E00 + 8_000)))
    with pytest.raises(InvalidAppend):
        PostgresEventStore().append([CommitFactory.build(streams=(StreamAppendFactory.build(stream_id=stream_id),))])
    [appended] = PostgresEventStore().append([CommitFactory.build()])
    assert isinstance(appended, Appended)
