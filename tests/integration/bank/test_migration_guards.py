"""`migrate` on a database of another system, and the rights of the role that serves the bank."""

import subprocess
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from eventstore.postgres_rows import append_parameters
from eventstore.statements import statement
from tests.factories import NOON, CommitFactory, NewCommandFactory, NewEventFactory, StreamAppendFactory
from tests.own_bank import environment, manage

SEED_TABLES = """
    CREATE TABLE schema_migrations (version integer PRIMARY KEY);
    CREATE TABLE events (id bigserial PRIMARY KEY, stream_id text, payload jsonb);
    CREATE TABLE account_summary (account_id text PRIMARY KEY, balance bigint);
    INSERT INTO events (stream_id, payload) VALUES ('account-100000', '{"amount": 15000}');
"""


def connect(database: str) -> psycopg.Connection:
    server = connection.settings_dict
    return psycopg.connect(
        host=server["HOST"],
        port=server["PORT"],
        user=server["USER"],
        password=server["PASSWORD"],
        dbname=database,
        autocommit=True,
    )


@pytest.fixture
def other_database() -> Iterator[str]:
    name = f"other_{uuid4().hex}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield name
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def migrate(database: str, **variables: str) -> subprocess.CompletedProcess[str]:
    server = connection.settings_dict
    address = f"postgres://{server['USER']}:{server['PASSWORD']}@{server['HOST']}:{server['PORT']}/{database}"
    return manage(
        "migrate", "--verbosity=0", env=environment(DATABASE_URL=address, SECRET_KEY="of-this-test-" * 4, **variables)
    )


def test_a_database_of_the_seed_is_refused_and_untouched(other_database):
    with connect(other_database) as session:
        session.execute(SEED_TABLES)

    refused = migrate(other_database)

    assert refused.returncode != 0
    assert refused.stderr.strip().splitlines()[-1].startswith("CommandError: the database other_")
    assert "account_summary, events, schema_migrations" in refused.stderr
    assert "Traceback" not in refused.stderr
    with connect(other_database) as session:
        tables = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        assert tables == [("account_summary",), ("events",), ("schema_migrations",)]
        assert session.execute("SELECT stream_id, payload FROM events").fetchall() == [
            ("account-100000", {"amount": 15000})
        ]


def test_an_empty_database_is_migrated_twice_without_harm(other_database):
    for _ in range(2):
        migrated = migrate(other_database)
        assert (migrated.returncode, migrated.stderr) == (0, "")


@pytest.fixture
def app_role() -> Iterator[str]:
    """A role that `migrate` has given its rights."""
    role = f"app_{uuid4().hex}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}")
        migrated = migrate(connection.settings_dict["NAME"], DB_APP_ROLE=role)
        assert migrated.returncode == 0, migrated.stderr
        yield role
        cursor.execute(f"DROP OWNED BY {role}")
        cursor.execute(f"DROP ROLE {role}")


def test_the_application_role_appends_and_reads(app_role):
    with connect(connection.settings_dict["NAME"]) as session:
        session.execute(f"SET ROLE {app_role}")
        commit = CommitFactory.build(command=NewCommandFactory.build())
        [row] = session.execute(statement("append_events"), append_parameters([commit])).fetchall()
        assert row[1] == "appended"
        read = session.execute(
            statement("read_stream"), {"stream_id": commit.streams[0].stream_id, "after_version": 0, "limit": 5}
        ).fetchall()
        assert len(read) == 1
        forgotten = session.execute(statement("forget_refusals"), {"recorded_before": NOON, "limit": 1}).fetchall()
        assert forgotten == [(0,)]
        session.execute("UPDATE account_summary SET balance = balance WHERE false")


def test_what_its_appends_set_off_is_done_for_the_application_role(app_role):
    debited = NewEventFactory.build(event_type="TransferDebited", data={"resumeAt": "2026-03-22T12:00:00Z"})
    commit = CommitFactory.build(streams=(StreamAppendFactory.build(events=(debited,)),))
    with connect(connection.settings_dict["NAME"]) as session:
        session.execute(f"SET ROLE {app_role}")
        session.execute("BEGIN")
        session.execute(statement("append_events"), append_parameters([commit]))
        listed = session.execute(
            "SELECT resume_at FROM transfers_in_flight WHERE stream_id = %s", [commit.streams[0].stream_id]
        ).fetchall()
        session.execute("ROLLBACK")
    assert listed == [(NOON,)]


@pytest.mark.parametrize(
    "tampering",
    [
        "INSERT INTO events SELECT * FROM events WHERE false",
        "UPDATE events SET data = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "DELETE FROM commands",
        "UPDATE snapshots SET version = 1",
        "DELETE FROM transfers_in_flight",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP FUNCTION append_events",
        "SELECT append_single_event('{}', NULL, 0, now())",
    ],
)
def test_the_application_role_can_do_nothing_else_to_the_log(app_role, tampering):
    with connect(connection.settings_dict["NAME"]) as session:
        session.execute(f"SET ROLE {app_role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(tampering)


def test_no_other_role_can_append(app_role):
    with connect(connection.settings_dict["NAME"]) as session, connection.cursor() as cursor:
        cursor.execute(f"REVOKE EXECUTE ON FUNCTION append_events FROM {app_role}")
        session.execute(f"SET ROLE {app_role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement("append_events"), append_parameters([CommitFactory.build()]))
