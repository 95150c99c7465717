"""Fibers that wait for PostgreSQL, on connections of their own."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import OperationalError, connections
from django.db.backends.postgresql.base import DatabaseWrapper

import eventstore.pending
from accounts.domain.commands import CreateAccount, DepositMoney
from accounts.handlers import create_account, deposit_money
from accounts.repository import account_stream_id, load_account
from bank import fibers
from eventstore.exceptions import OutcomeUnknown, StoreUnavailable
from eventstore.records import CommandContext, Outcome
from eventstore.store import event_store
from eventstore.waiting import connection_to, new_waiter
from projections.prepared_reads import account_row
from tests.fiber_scene import scene as scene
from tests.journeys.web_server import database_url
from tests.polling import wait_until

RIGHT_OF_WAY = 4711010


@pytest.fixture
def account_id() -> str:
    account_id = f"acc-{uuid4()}"
    command = CreateAccount(account_id=account_id, owner_id="user-1", currency="USD")
    create_account(command=command, context=CommandContext())
    return account_id


def deposit(account_id: str) -> Outcome:
    command = DepositMoney(account_id=account_id, amount=1, currency="USD")
    return deposit_money(command=command, context=CommandContext())


def pid(alias: str = "default") -> int:
    """Return who serves this thread's own connection."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_commands_of_fibers_are_carried_out_on_a_connection_of_their_own(scene, account_id):
    before = pid()
    outcomes = scene.run(*[lambda: deposit(account_id)] * 5)
    assert sorted(outcome.result["version"] for outcome in outcomes) == [2, 3, 4, 5, 6]
    assert load_account(account_id).state.balance == 5
    assert pid() == before


@pytest.fixture
def postgres(django_db_setup) -> Iterator[psycopg.Connection]:
    """Somebody else on the same database; what he has locked is free at his end."""
    with psycopg.connect(database_url(), autocommit=True) as other:
        yield other


@pytest.mark.parametrize("is_prepared", [False, True])
def test_an_append_that_takes_long_keeps_no_other_fiber_waiting(scene, account_id, is_prepared, postgres):
    """Neither the first that its connection makes, which a cursor waits for, nor any other."""
    seen: list[str] = []
    if is_prepared:
        scene.run(lambda: deposit(account_id))
    postgres.execute("SELECT pg_advisory_lock(%s)", [RIGHT_OF_WAY])

    def slow() -> Outcome:
        outcome = deposit(account_id)
        seen.append("deposited")
        return outcome

    def quick() -> int:
        new_waiter().let_the_ready_go_first()
        seen.append("went on")
        balance: int = load_account(account_id).state.balance
        postgres.execute("SELECT pg_advisory_unlock(%s)", [RIGHT_OF_WAY])
        return balance

    [outcome, balance] = scene.run(slow, quick)
    assert (outcome.result["version"], balance) == (2 + is_prepared, 0 + is_prepared)
    assert seen == ["went on", "deposited"]


def test_a_connection_that_the_server_ended_is_replaced(scene, account_id):
    def end_all_others() -> None:
        with psycopg.connect(database_url(), autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> %s",
                [own],
            )

    own = pid()
    scene.run(lambda: deposit(account_id))
    end_all_others()
    [outcome] = scene.run(lambda: deposit(account_id))
    assert outcome.result["version"] == 3


def test_answers_that_come_late(scene, account_id, monkeypatch):
    monkeypatch.setattr(fibers, "PATIENCE_MS", 0)
    # The first time, a connection prepares its statements, which is a cursor's to wait for.
    scene.run(lambda: deposit(account_id))
    outcomes = scene.run(*[lambda: deposit(account_id)] * 3)
    assert sorted(outcome.result["version"] for outcome in outcomes) == [3, 4, 5]


@pytest.mark.parametrize("patience_ms", [0, 10_000])
def test_what_postgresql_refuses_is_raised_to_the_fiber(scene, account_id, monkeypatch, patience_ms):
    monkeypatch.setattr(fibers, "PATIENCE_MS", patience_ms)

    def read(limit: int) -> int:
        return len(event_store().read_stream(account_stream_id(account_id), limit=limit))

    # Twice, for the first time a connection prepares the statement.
    for _ in range(2):
        [error] = scene.run(lambda: read(-1))
        assert isinstance(error, psycopg.errors.InvalidRowCountInLimitClause)
        assert scene.run(lambda: read(10)) == [1]


def test_fibers_have_a_bounded_number_of_connections(scene, account_id, monkeypatch):
    """Many that read at once wait for one another, not for a database that has no connection left."""
    monkeypatch.setattr(fibers, "PATIENCE_MS", 0)
    monkeypatch.setattr(fibers, "MAX_CONNECTIONS", 2)
    served_by: set[int] = set()

    def read() -> int:
        with connection_to("default") as connection:
            connection.ensure_connection()
            served_by.add(connection.connection.info.backend_pid)
            # It is the same for all that the fiber does with it.
            with connection_to("default") as again:
                assert again is connection
            balance: int = load_account(account_id).state.balance
            return balance

    assert scene.run(*[read] * 20) == [0] * 20
    assert len(served_by) == 2


def test_a_fiber_with_the_right_of_way_appends_while_nobody_else_may(scene, account_id, monkeypatch):
    monkeypatch.setattr(eventstore.pending, "ATTEMPTS_TO_BE_OVERTAKEN", 0)
    outcomes = scene.run(*[lambda: deposit(account_id)] * 3)
    assert sorted(outcome.result["version"] for outcome in outcomes) == [2, 3, 4]
    # It was given back.
    assert deposit(account_id).result["version"] == 5


@pytest.mark.parametrize("patience_ms", [0, 10_000])
def test_a_statement_larger_than_a_socket_takes_at_once(scene, account_id, monkeypatch, patience_ms):
    monkeypatch.setattr(fibers, "PATIENCE_MS", patience_ms)
    scene.run(lambda: deposit(account_id))
    context = CommandContext(metadata={"note": "x" * 20_000_000})
    command = DepositMoney(account_id=account_id, amount=1, currency="USD")
    outcomes = scene.run(lambda: deposit_money(command=command, context=context), lambda: deposit(account_id))
    assert sorted(outcome.result["version"] for outcome in outcomes) == [3, 4]


class TestWhileTheDatabaseIsAway:
    """Nothing was sent, and whoever asked is told so."""

    @pytest.fixture
    def nowhere(self, monkeypatch) -> None:
        """No connection can be made."""

        def refuse(self: DatabaseWrapper, *_: Any) -> Any:
            raise OperationalError("connection refused")

        monkeypatch.setattr(DatabaseWrapper, "get_new_connection", refuse)

    @pytest.mark.parametrize("commands", [1, 3])
    def test_commands(self, scene, account_id, nowhere, commands):
        errors = scene.run(*[lambda: deposit(account_id)] * commands)
        assert [type(error) for error in errors] == [StoreUnavailable] * commands

    def test_commands_with_the_right_of_way(self, scene, account_id, nowhere, monkeypatch):
        monkeypatch.setattr(eventstore.pending, "ATTEMPTS_TO_BE_OVERTAKEN", 0)
        [error] = scene.run(lambda: deposit(account_id))
        assert isinstance(error, StoreUnavailable)

    def test_reads(self, scene, nowhere):
        errors = scene.run(*[lambda: account_row(account_id="acc-1")] * 3)
        assert [type(error) for error in errors] == [OperationalError] * 3


def test_who_finds_no_connection_free_in_time_is_told_so(scene, account_id, monkeypatch, settings):
    monkeypatch.setattr(fibers, "MAX_CONNECTIONS", 1)
    settings.DB_CONNECT_TIMEOUT_SECONDS = 0.01
    told: list[str] = []

    def keeps_it() -> None:
        with connection_to("default"):
            while not told:
                new_waiter().let_the_ready_go_first()

    def finds_none() -> None:
        try:
            deposit(account_id)
        except StoreUnavailable as error:
            told.append(str(error))

    scene.run(keeps_it, finds_none)
    assert told == ["no connection became free"]
    assert deposit(account_id).result["version"] == 2


def test_a_connection_that_breaks_under_an_append_leaves_its_outcome_unknown(scene, account_id, postgres, monkeypatch):
    monkeypatch.setattr(fibers, "PATIENCE_MS", 0)
    scene.run(lambda: deposit(account_id))
    postgres.execute("SELECT pg_advisory_lock(%s)", [RIGHT_OF_WAY])

    def breaks_it() -> None:
        new_waiter().let_the_ready_go_first()
        wait_until(lambda: ended(postgres))

    [error, _] = scene.run(lambda: deposit(account_id), breaks_it)
    assert isinstance(error, OutcomeUnknown)
    postgres.execute("SELECT pg_advisory_unlock(%s)", [RIGHT_OF_WAY])
    assert scene.run(lambda: deposit(account_id))[0].result["version"] == 3


def ended(postgres: psycopg.Connection) -> bool:
    """End whoever waits for the right of way; tell whether there was somebody."""
    waiting = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
    return bool(
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM ({waiting}) AS one", [RIGHT_OF_WAY]).fetchall()
    )
