"""Histories as fibers: short pages by the fibers' own connections, and all that may take long in a request's thread."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

import orjson
import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper

from accounts.domain.access import EVERY_ACCOUNT, AccountReach
from accounts.domain.commands import DepositMoney
from accounts.domain.exceptions import AccountNotFound
from accounts.handlers import deposit_money
from bank import fibers
from eventstore.exceptions import VersionConflict
from eventstore.records import CommandContext, Outcome
from eventstore.waiting import connection_to
from projections.prepared_reads import PAGES_AT_ONCE
from projections.runner import catch_up
from projections.statement_reads import MOST_LINES_ON_THE_WAY, MOST_SHORT_LINES, Selection, read_statement
from tests.fiber_scene import Scene
from tests.fiber_scene import scene as scene
from tests.integration.projections.account_log import created, deposited, new_account_id, record, withdrawn
from tests.journeys.web_server import database_url

Told: TypeAlias = tuple[Any, int]

LINES = 5
NOTES = {"line": 'a "quote", a \\ and \u2028', "\u00fc\U0001f3e6": "</script>"}


@pytest.fixture
def account_id() -> str:
    """An account with lines of every kind, all of them in the read model."""
    account_id = new_account_id()
    record(
        created(account_id, client_id="client-1", metadata=NOTES),
        deposited(account_id, 5, transaction_id="tx-1", description="a\u00a0b", metadata=NOTES),
        withdrawn(account_id, 3),
        deposited(account_id, 2**53 - 3),
        withdrawn(account_id, 1),
    )
    catch_up()
    return account_id


@pytest.fixture
def postgres(django_db_setup) -> Iterator[psycopg.Connection]:
    """Somebody else on the same database; what he has locked is free at his end."""
    with psycopg.connect(database_url()) as other:
        yield other


@pytest.fixture
def in_threads(scene, monkeypatch) -> list[Callable[[], Any]]:
    """What was given to the threads of requests."""
    given: list[Callable[[], Any]] = []
    submit = scene.threads.submit

    def noted(*call: Any) -> Any:
        given.append(call[-1])
        return submit(*call)

    monkeypatch.setattr(scene.threads, "submit", noted)
    return given


def selection(
    *, descending: bool = False, offset: int = 0, limit: int = MOST_SHORT_LINES, **conditions: Any
) -> Selection:
    """Return a selection whose conditions are named as Django names them."""
    by_column = {tuple(name.rsplit("__", 1)): value for name, value in conditions.items()}
    return Selection(conditions=by_column, descending=descending, offset=offset, limit=limit)  # type: ignore[arg-type]


def history(account_id: str, selected: Selection, *, reach: AccountReach = EVERY_ACCOUNT, min_version: int = 0) -> Told:
    """Return the lines as they are told, and the version."""
    page = read_statement(account_id=account_id, selection=selected, reach=reach, min_version=min_version)
    return orjson.loads(orjson.dumps(page.entries, default=str)), page.version


def told_to_fibers(scene: Scene, *tasks: Callable[[], Told]) -> list[Any]:
    """Return what fibers are told, of which none may use the connection of the loop's thread."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("all other fibers would wait for this")

    with connection.execute_wrapper(refuse):
        return scene.run(*tasks)


SHORT = {
    "oldest first": selection(),
    "newest first": selection(descending=True),
    "one line": selection(limit=1, offset=2),
    "nothing": selection(offset=LINES),
    "after a line": selection(stream_version__gt=3),
    "before a line": selection(stream_version__lt=3, descending=True),
    "as far as may be": selection(offset=MOST_LINES_ON_THE_WAY - MOST_SHORT_LINES),
}
LONG = {
    "one line more": selection(limit=MOST_SHORT_LINES + 1),
    "one line farther": selection(offset=MOST_LINES_ON_THE_WAY - MOST_SHORT_LINES + 1),
    "of one kind": selection(event_type__exact="MoneyWithdrawn"),
    "since a moment": selection(occurred_at__gte=datetime(2026, 3, 22, 12, 2, tzinfo=UTC)),
    "until a moment": selection(occurred_at__lt=datetime(2026, 3, 22, 12, 2, tzinfo=UTC), stream_version__gt=1),
}


@pytest.mark.parametrize("selected", [*SHORT.values(), *LONG.values()], ids=[*SHORT, *LONG])
def test_fibers_are_told_what_threads_are(scene, account_id, in_threads, selected):
    expected = history(account_id, selected)
    assert expected[1] == LINES
    # Twice, for the first time a connection prepares the statement.
    for _ in range(2):
        assert told_to_fibers(scene, *[partial(history, account_id, selected)] * 6) == [expected] * 6
    assert len(in_threads) == (0 if selected in SHORT.values() else 12)


def test_what_a_history_says_is_as_it_was_sent(scene, account_id):
    [[lines, _]] = told_to_fibers(scene, partial(history, account_id, selection()))
    assert [line.get("metadata") for line in lines] == [NOTES, NOTES, None, None, None]
    assert lines[1]["description"] == "a\u00a0b"
    assert [line["balance"] for line in lines] == [0, 5, 2, 2**53 - 1, 2**53 - 2]


def test_an_account_that_is_not_there_or_somebody_else_s(scene, account_id, in_threads):
    of_client = AccountReach(client_id="client-1")
    of_another = AccountReach(client_id="client-2")
    told = told_to_fibers(
        scene,
        partial(history, new_account_id(), selection()),
        partial(history, account_id, selection(), reach=of_another),
        partial(history, account_id, selection(), reach=of_another, min_version=LINES + 1),
        partial(history, account_id, selection(), min_version=LINES + 1),
        partial(history, account_id, selection(), reach=of_client),
    )
    assert [type(error) for error in told[:4]] == [AccountNotFound, AccountNotFound, AccountNotFound, VersionConflict]
    assert told[4] == history(account_id, selection())
    assert in_threads == []


@pytest.mark.parametrize("selected", [*SHORT.values(), *LONG.values()], ids=[*SHORT, *LONG])
def test_lines_that_the_read_model_does_not_have_yet_are_made_in_a_thread(scene, account_id, in_threads, selected):
    outcome = deposit_money(
        command=DepositMoney(account_id=account_id, amount=1, currency="USD"), context=CommandContext()
    )
    version = outcome.result["version"]
    expected = history(account_id, selected, min_version=version)
    assert expected[1] == version
    in_threads.clear()
    [told] = told_to_fibers(scene, partial(history, account_id, selected, min_version=version))
    assert told == expected
    assert len(in_threads) == (1 if selected in SHORT.values() else 2)


@pytest.mark.parametrize("is_prepared", [False, True])
def test_histories_that_the_database_keeps_waiting_keep_nobody_else(
    scene, account_id, postgres, monkeypatch, is_prepared
):
    """Neither from the loop, for which no patience is left here, nor from a connection, nor from a thread apart."""
    monkeypatch.setattr(fibers, "MAX_CONNECTIONS", PAGES_AT_ONCE + 1)
    seen: list[str] = []

    def slow() -> Told:
        told = history(account_id, selection())
        seen.append("told")
        return told

    def deposit() -> Outcome:
        command = DepositMoney(account_id=account_id, amount=1, currency="USD")
        outcome = deposit_money(command=command, context=CommandContext())
        seen.append("deposited")
        postgres.rollback()
        return outcome

    if is_prepared:
        monkeypatch.setattr(fibers, "PATIENCE_MS", 0)
        scene.run(*[partial(history, account_id, selection())] * 20)
        monkeypatch.setattr(fibers, "PATIENCE_MS", 20_000)
    expected = history(account_id, selection())
    postgres.execute("LOCK TABLE account_statement IN ACCESS EXCLUSIVE MODE")
    *told, outcome = scene.run(*[slow] * 20, deposit)
    assert told == [expected] * 20
    assert outcome.result["version"] == LINES + 1
    assert seen == ["deposited", *["told"] * 20]


def test_a_history_is_not_read_by_the_connection_of_the_loop_s_thread(scene, account_id):
    def served_by() -> int:
        with connection_to("default") as lent:
            history(account_id, selection())
            pid: int = lent.connection.info.backend_pid
            return pid

    connection.ensure_connection()
    assert scene.run(served_by) != [connection.connection.info.backend_pid]


def test_while_the_database_is_away(scene, account_id, monkeypatch):
    def refuse(self: DatabaseWrapper, *_: Any) -> Any:
        raise OperationalError("connection refused")

    monkeypatch.setattr(DatabaseWrapper, "get_new_connection", refuse)
    short, long = (partial(history, account_id, selected) for selected in (SHORT["nothing"], LONG["of one kind"]))
    errors = scene.run(*[short] * 10, *[long] * 3)
    assert [type(error) for error in errors] == [OperationalError] * 13
