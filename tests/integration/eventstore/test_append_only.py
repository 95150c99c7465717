"""The database itself keeps the log append-only, whatever Python does."""

import psycopg
import pytest
from django.db import connection, transaction

from eventstore.exceptions import AppendInsideTransaction
from eventstore.postgres import PostgresEventStore
from eventstore.postgres_rows import append_parameters
from eventstore.statements import statement
from tests.factories import CommitFactory, NewCommandFactory

DIRECT_INSERT = """
    INSERT INTO events
    SELECT position + 1, stream_id, version + 1, event_id, event_type, schema_version, data, metadata, occurred_at,
           recorded_at, hash
    FROM events ORDER BY position DESC LIMIT 1
"""

SOUND_STREAM = append_parameters([CommitFactory.build()])["streams"].removeprefix("[").removesuffix("]")


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE events SET data = '{}'",
        "UPDATE events SET data = '{}' WHERE position < 0",
        "DELETE FROM events",
        "TRUNCATE events",
        "TRUNCATE events CASCADE",
        DIRECT_INSERT,
        "SELECT set_config('bank.append', 'on', false); " + DIRECT_INSERT,
        "SELECT set_config('bank.import', 'on', false); " + DIRECT_INSERT,
        # The text of a statement is part of the call stack, but not its end.
        f"DO $$ BEGIN {DIRECT_INSERT} /*\nPL/pgSQL function import_events(text[]) line 1 at SQL statement*/; END $$",
        f"DO $$ BEGIN {DIRECT_INSERT} /*\nPL/pgSQL function append_events(text[]) line 1 at SQL statement*/; END $$",
        "MERGE INTO events USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
        # A part of append_events is not to be had without it.
        f"SELECT append_single_event('{SOUND_STREAM}', NULL, (SELECT max(position) FROM events), now())",
    ],
)
def test_tampering_is_refused_with_a_state_of_its_own(tampering):
    store = PostgresEventStore()
    store.append([CommitFactory.build()])
    before = store.head_position()
    last = store.read_all(after_position=before - 1, limit=1)

    with connection.cursor() as cursor, pytest.raises(Exception, match="append") as refused:
        cursor.execute(tampering)

    assert isinstance(refused.value.__cause__, psycopg.Error)
    assert refused.value.__cause__.sqlstate == "BK001"
    assert store.head_position() == before
    assert store.read_all(after_position=before - 1, limit=1) == last


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE commands SET refused = true",
        "UPDATE commands SET result = '{}' WHERE refused",
        "DELETE FROM commands",
        "DELETE FROM commands WHERE NOT refused",
        "TRUNCATE commands",
        "MERGE INTO commands USING (SELECT 1) AS one ON NOT refused WHEN MATCHED THEN DELETE",
    ],
)
def test_verdicts_stay_as_they_are(tampering):
    command = NewCommandFactory.build()
    store = PostgresEventStore()
    store.append([CommitFactory.build(command=command)])

    with connection.cursor() as cursor, pytest.raises(Exception, match="verdicts are append-only") as refused:
        cursor.execute(tampering)

    assert refused.value.__cause__.sqlstate == "BK001"
    assert store.load([], command_key=command.key).command.result == command.result


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_no_isolation_level_but_read_committed(level):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        with pytest.raises(psycopg.Error) as refused, psycopg.Cursor(connection.connection) as raw:
            raw.execute(statement("append_events"), append_parameters([CommitFactory.build()]))
        transaction.set_rollback(True)
    assert refused.value.sqlstate == "BK002"


def test_append_refuses_to_join_a_transaction():
    store = PostgresEventStore()
    before = store.head_position()
    with transaction.atomic(), pytest.raises(AppendInsideTransaction):
        store.append([CommitFactory.build()])
    assert store.head_position() == before


@pytest.mark.parametrize(
    "column, value",
    [
        ("position", "0"),
        ("version", "0"),
        ("schema_version", "0"),
        ("stream_id", "''"),
        ("event_type", "''"),
        ("data", "'[]'"),
        ("metadata", "'1'"),
        ("hash", "'\\x00'"),
    ],
)
def test_each_column_is_constrained(column, value):
    PostgresEventStore().append([CommitFactory.build()])
    with connection.cursor() as cursor:
        # A copy of the table has its constraints, and no trigger that would refuse first.
        cursor.execute("CREATE TEMPORARY TABLE untriggered (LIKE events INCLUDING ALL)")
        try:
            cursor.execute("INSERT INTO untriggered SELECT * FROM events ORDER BY position DESC LIMIT 1")
            with pytest.raises(Exception, match=f"events_{column}_check"):
                cursor.execute(f"UPDATE untriggered SET {column} = {value}")
        finally:
            cursor.execute("DROP TABLE untriggered")
