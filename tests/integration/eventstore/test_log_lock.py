"""The lock that makes position order the commit order, shown without luck: with it, and what happens without it."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
from django.db import connection

from eventstore.postgres import PostgresEventStore
from eventstore.postgres_rows import append_parameters
from eventstore.statements import statement
from tests.factories import CommitFactory
from tests.integration.eventstore.log_copies import log_copy, raw_connection
from tests.polling import wait_until

# The real function without its lock, handing out positions as a sequence would: the usual design of such stores.
WITHOUT_LOCK = (
    ("PERFORM pg_advisory_xact_lock(log_lock);", ""),
    ("coalesce((SELECT e.position FROM events AS e ORDER BY e.position DESC LIMIT 1), 0)", "nextval('positions') - 1"),
)

LOG_LOCK = 4711001
WAITING_FOR_THE_LOG = """
    SELECT count(*)
    FROM pg_locks AS l
    JOIN pg_database AS d ON d.oid = l.database
    WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = %s AND NOT l.granted
"""


def append(session: psycopg.Connection, commit) -> int:
    """Append on `session` and return the position, whatever transaction it is in."""
    [row] = session.execute(statement("append_events"), append_parameters([commit])).fetchall()
    assert row[1] == "appended"
    return row[3]


def append_in_thread(commit) -> int | None:
    try:
        [result] = PostgresEventStore().append([commit])
        return result.last_position
    finally:
        connection.close()


def waits_for_the_log() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITING_FOR_THE_LOG, [LOG_LOCK])
        [waiting] = cursor.fetchone()
    return waiting == 1


def test_a_later_append_waits_for_an_earlier_one_to_commit():
    store = PostgresEventStore()
    before = store.head_position()
    with raw_connection() as first, ThreadPoolExecutor(1) as pool:
        first.execute("BEGIN")
        first_position = append(first, CommitFactory.build())
        later = pool.submit(append_in_thread, CommitFactory.build())
        wait_until(waits_for_the_log)

        assert not later.done()
        assert store.read_all(after_position=before, limit=10) == []

        first.execute("COMMIT")
        assert (first_position, later.result()) == (before + 1, before + 2)
    assert [event.position for event in store.read_all(after_position=before, limit=10)] == [before + 1, before + 2]


def test_a_rolled_back_append_leaves_no_hole():
    store = PostgresEventStore()
    with raw_connection() as session:
        session.execute("BEGIN")
        lost = append(session, CommitFactory.build())
        session.execute("ROLLBACK")
    [appended] = store.append([CommitFactory.build()])
    assert appended.last_position == lost


def test_without_the_lock_a_reader_loses_an_event():
    store = PostgresEventStore()
    with (
        log_copy(alterations=WITHOUT_LOCK) as schema,
        raw_connection(schema=schema) as first,
        raw_connection(schema=schema) as second,
    ):
        first.execute("BEGIN")
        assert append(first, CommitFactory.build()) == 1
        assert append(second, CommitFactory.build()) == 2

        checkpoint = store.read_all(after_position=0, limit=10)[-1].position
        first.execute("COMMIT")

        assert checkpoint == 2
        assert store.read_all(after_position=checkpoint, limit=10) == []
        assert [event.position for event in store.read_all(after_position=0, limit=10)] == [1, 2]
