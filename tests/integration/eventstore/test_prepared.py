"""Statements by libpq's own call: the rows, the errors and the transactions that a cursor would have given."""

from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection, transaction
from psycopg.pq import Format, TransactionStatus

import eventstore.prepared
from eventstore.prepared import _begun_and_executed, fetch_prepared, run_prepared
from tests.round_trips import round_trips

MANY_KINDS = """
SELECT %(text)s::text, %(number)s::bigint, %(nothing)s::text, %(moment)s::timestamptz, %(id)s::uuid, %(link)s::bytea,
       %(texts)s::text[], %(links)s::bytea[], %(text)s || ' 100%%', %(yes)s::boolean
"""


@pytest.fixture
def session():
    """A session that has prepared nothing."""
    connection.close()
    connection.ensure_connection()
    return connection.connection


def fetch(session, statement: str, binary: bool = False, **parameters):
    return fetch_prepared(session=session, statement=statement, parameters=parameters, binary=binary)


def test_it_gives_what_a_cursor_gives_in_one_round_trip_each_time(session):
    values: dict[str, Any] = {
        "text": 'ä"\\',
        "number": -5,
        "nothing": None,
        "moment": datetime(2026, 3, 22, 10, 5, tzinfo=UTC),
        "id": uuid4(),
        "link": b"\x00\xff",
        "texts": ['a"b', None, "{}", "\\"],
        "links": [b"\x00", b"\\"],
        "yes": True,
    }
    expected = session.execute(MANY_KINDS, values).fetchall()
    seen = []
    for _ in range(3):
        assert round_trips(lambda: seen.append(fetch(session, MANY_KINDS, **values))) == 1
        assert round_trips(lambda: seen.append(fetch(session, MANY_KINDS, binary=True, **values))) == 1
    assert seen == [expected] * 6
    assert fetch(session, MANY_KINDS, **values | {"number": 7})[0][1] == 7


def test_a_statement_without_parameters_or_rows(session):
    for _ in range(2):
        assert fetch(session, "SELECT 1 WHERE false") == []
        assert run_prepared(session=session, statement="SELECT 7", parameters={}).get_value(0, 0) == b"7"


@pytest.mark.parametrize("times_before", [0, 1])
def test_texts_come_back_as_they_went_and_one_with_a_nul_does_not_go(session, times_before):
    statement = "SELECT %(text)s::text, %(other)s::text"
    for _ in range(times_before):
        fetch(session, statement, text="", other=None)
    assert fetch(session, statement, text="", other=None) == [("", None)]
    assert fetch(session, statement, text="ü\n", other="'") == [("ü\n", "'")]
    with pytest.raises(psycopg.DataError):
        fetch(session, statement, text="a\x00b", other=None)


@pytest.mark.parametrize("times_before", [0, 1])
def test_errors_are_psycopgs_and_leave_the_session_usable(session, times_before):
    statement = "SELECT %(text)s::text::integer"
    for _ in range(times_before):
        assert fetch(session, statement, text="5") == [(5,)]
    with pytest.raises(psycopg.errors.InvalidTextRepresentation) as refused:
        fetch(session, statement, text="x")
    assert refused.value.sqlstate == "22P02"
    assert fetch(session, statement, text="6") == [(6,)]


@pytest.mark.parametrize("times_before", [0, 1])
def test_a_session_that_ended_is_an_operational_error(session, times_before):
    for _ in range(times_before):
        fetch(session, "SELECT 1")
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [session.info.backend_pid])
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            fetch(session, "SELECT 1")
    assert session.closed


@pytest.mark.parametrize("inside", [False, True])
def test_other_threads_go_on_while_it_waits(session, inside):
    statement = "SELECT pg_advisory_xact_lock(%(key)s::bigint)::text"
    key, went_on = uuid4().int % 2**60, Event()
    fetch(session, statement, key=0)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [key])

        def let_go() -> None:
            # Runs only if the waiting thread has let go of Python.
            while not _is_waiting(other, session):
                pass
            went_on.set()
            other.rollback()

        helper = Thread(target=let_go)
        helper.start()
        with transaction.atomic() if inside else nullcontext():
            fetch(session, statement, key=key)
        helper.join()
    assert went_on.is_set()


def _is_waiting(other, session) -> bool:
    [[waits]] = other.execute(
        "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", [session.info.backend_pid]
    ).fetchall()
    return waits == 1


@pytest.mark.parametrize("times_before", [0, 1])
def test_inside_a_transaction_it_is_part_of_it(session, times_before):
    statement = "SELECT set_config('bank.test', %(value)s, true), pg_current_xact_id_if_assigned() IS NULL"
    for _ in range(times_before):
        fetch(session, statement, value="before")
    with transaction.atomic():
        fetch(session, statement, value="inside")
        assert fetch(session, "SELECT current_setting('bank.test')") == [("inside",)]
    assert fetch(session, "SELECT current_setting('bank.test', true)")[0][0] != "inside"


def test_a_transaction_begins_with_its_first_statement_in_one_round_trip(session):
    statement = "SELECT %(text)s::text::integer"
    fetch(session, statement, text="1")

    def in_a_transaction() -> None:
        with transaction.atomic():
            assert fetch(session, statement, text="5") == [(5,)]
            assert session.pgconn.transaction_status == TransactionStatus.INTRANS

    # The other one ends it.
    assert round_trips(in_a_transaction) == 2
    with pytest.raises(psycopg.errors.InvalidTextRepresentation), transaction.atomic():
        fetch(session, statement, text="x")
    assert round_trips(in_a_transaction) == 2


def test_a_session_that_ended_cannot_begin_a_transaction(session):
    fetch(session, "SELECT 1")
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [session.info.backend_pid])
    with pytest.raises(psycopg.OperationalError), transaction.atomic():
        fetch(session, "SELECT 1")
    assert session.closed
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_who_is_stopped_as_a_transaction_begins_leaves_no_answer_behind(session):
    statement, waiting = "SELECT pg_advisory_xact_lock(%(key)s::bigint)::text", uuid4().int % 2**60
    fetch(session, statement, key=0)
    interrupted: Any = InterruptedAsItWaits(session.pgconn)
    with pytest.raises(KeyboardInterrupt):
        _begun_and_executed(
            interrupted, eventstore.prepared._names[session][statement], [str(waiting).encode()], Format.TEXT
        )
    assert session.closed


class InterruptedAsItWaits:
    """A session of libpq's whose thread is interrupted before the second result."""

    def __init__(self, pgconn: Any) -> None:
        self._pgconn = pgconn
        self._results = 0

    def get_result(self) -> Any:
        self._results += 1
        if self._results == 2:
            raise KeyboardInterrupt
        return self._pgconn.get_result()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pgconn, name)


def bank_statements(session) -> int:
    [[count]] = session.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'bank%'").fetchall()
    return count


def test_what_was_written_in_a_transaction_goes_with_it(session):
    session.execute("CREATE TEMPORARY TABLE kept (n integer)")
    insert, read = "INSERT INTO kept VALUES (%(n)s::integer) RETURNING n", "SELECT n FROM kept"
    # The first time it is prepared, inside what is rolled back; the second time it begins the transaction itself.
    for _ in range(2):
        with suppress(RuntimeError), transaction.atomic():
            assert fetch(session, insert, n="1") == [(1,)]
            with suppress(RuntimeError), transaction.atomic():
                assert fetch(session, insert, n="2") == [(2,)]
                raise RuntimeError
            assert fetch(session, read) == [(1,)]
            raise RuntimeError
        assert fetch(session, read) == []
    with transaction.atomic():
        assert fetch(session, insert, n="3") == [(3,)]
    assert fetch(session, read) == [(3,)]


def test_in_a_transaction_that_failed_it_fails_until_that_is_rolled_back(session):
    statement = "SELECT %(text)s::text::integer"
    assert fetch(session, statement, text="5") == [(5,)]
    with transaction.atomic():
        point = transaction.savepoint()
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            fetch(session, statement, text="x")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            fetch(session, statement, text="6")
        transaction.savepoint_rollback(point)
        assert fetch(session, statement, text="7") == [(7,)]
    assert fetch(session, statement, text="8") == [(8,)]


def test_a_transaction_of_another_kind_is_begun_as_that(session):
    statement = "SELECT current_setting('transaction_isolation')"
    assert fetch(session, statement) == [("read committed",)]
    session.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    try:
        with transaction.atomic():
            assert fetch(session, statement) == [("serializable",)]
    finally:
        session.isolation_level = None


@pytest.mark.parametrize("inside", [False, True])
def test_after_a_column_has_changed_its_type_only_a_transaction_fails(session, inside):
    session.execute("CREATE TEMPORARY TABLE kept AS SELECT 1::integer AS n")
    for _ in range(2):
        assert fetch(session, "SELECT n FROM kept") == [(1,)]
    session.execute("ALTER TABLE kept ALTER COLUMN n TYPE text")
    if inside:
        with pytest.raises(psycopg.errors.FeatureNotSupported), transaction.atomic():
            fetch(session, "SELECT n FROM kept")
    for _ in range(2):
        with transaction.atomic() if inside else nullcontext():
            assert fetch(session, "SELECT n FROM kept") == [("1",)]


def test_a_statement_that_the_server_forgot_is_prepared_again(session):
    for _ in range(2):
        assert fetch(session, "SELECT 1") == [(1,)]
    session.execute("DEALLOCATE ALL")
    assert fetch(session, "SELECT 1") == [(1,)]


def test_what_is_refused_the_first_time_is_prepared_once(session):
    before = bank_statements(session)
    for _ in range(3):
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            fetch(session, "SELECT %(text)s::text::integer + 1", text="x")
    assert bank_statements(session) == before + 1
    assert fetch(session, "SELECT %(text)s::text::integer + 1", text="1") == [(2,)]


def test_one_that_cannot_be_prepared_is_not_taken_for_prepared(session):
    before = bank_statements(session)
    for _ in range(2):
        with pytest.raises(psycopg.errors.UndefinedTable):
            fetch(session, "SELECT 1 FROM there_is_no_such_table")
    assert bank_statements(session) == before


def test_it_reads_the_table_that_the_search_path_finds_first(session):
    read = "SELECT n FROM kept"
    session.execute("CREATE TEMPORARY TABLE kept AS SELECT 1::integer AS n")
    assert fetch(session, read) == [(1,)]
    with transaction.atomic():
        session.execute("CREATE SCHEMA shadow; CREATE TABLE shadow.kept AS SELECT 2::integer AS n")
        session.execute("SET LOCAL search_path = shadow, pg_temp")
        assert fetch(session, read) == [(2,)]
        transaction.set_rollback(True)
    assert fetch(session, read) == [(1,)]
