"""Threads that share calls to PostgreSQL: how many there are, and what becomes of them when a connection breaks."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from eventstore.exceptions import OutcomeUnknown
from eventstore.execution import Execution, load_state
from eventstore.postgres import PostgresEventStore
from tests.integration.eventstore.log_copies import log_copy, raw_connection
from tests.integration.eventstore.test_log_lock import LOG_LOCK, waits_for_the_log
from tests.integration.eventstore.test_unavailable import TERMINATE_THE_WAITING
from tests.polling import wait_until
from tests.unit.eventstore.purses import carry_out, new_purse, putting, stream, taking

CALLERS = 8


class CountingStore(PostgresEventStore):
    """Notes how many commits each append had."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def append(self, commits: Any) -> Any:
        self.sizes.append(len(commits))
        return super().append(commits)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@contextmanager
def held_log() -> Iterator[Callable[[], None]]:
    """Hold the log's lock, and give what lets the next append through, and then holds those after it."""
    with raw_connection() as first, raw_connection() as second, ThreadPoolExecutor(1) as thread:
        first.execute("SELECT pg_advisory_lock(%s)", [LOG_LOCK])

        def let_one_through() -> None:
            # Whoever waits is served in the order in which they came.
            holding_again = thread.submit(second.execute, "SELECT pg_advisory_lock(%s)", [LOG_LOCK])
            wait_until(lambda: _waiting() == 2)
            first.execute("SELECT pg_advisory_unlock(%s)", [LOG_LOCK])
            holding_again.result()

        yield let_one_through


def _waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted", [LOG_LOCK]
        )
        return int(cursor.fetchone()[0])


def patiently(execution: Execution, store: CountingStore) -> Any:
    """Carry a command out in a session that waits for the log for as long as the test holds it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '60s'")
            cursor.execute("SET statement_timeout = '60s'")
        return carry_out(execution, store)
    finally:
        connection.close()


def gathered(threads: ThreadPoolExecutor, store: CountingStore, *executions: Execution) -> list[Future[Any]]:
    """Let commands come one after another, the first of them to an append that waits for the log."""
    futures = [threads.submit(patiently, executions[0], store)]
    wait_until(waits_for_the_log)
    for number, execution in enumerate(executions[1:], start=1):
        futures.append(threads.submit(patiently, execution, store))
        wait_until(partial(_are_waiting, store, number))
    return futures


def _are_waiting(store: CountingStore, number: int) -> bool:
    return store.group.commands_waiting() == number


def test_all_that_came_during_one_append_share_the_next(store):
    purse = new_purse()
    with ThreadPoolExecutor(CALLERS + 1) as threads:
        with held_log():
            futures = gathered(threads, store, *[putting(purse) for _ in range(CALLERS + 1)])
        outcomes = [future.result() for future in futures]
    assert store.sizes == [1, CALLERS]
    assert [outcome.result["version"] for outcome in outcomes] == list(range(1, CALLERS + 2))
    assert load_state(stream=stream(purse), store=store).state == CALLERS + 1


def test_a_connection_that_breaks_under_a_shared_call_loses_nobodys_answer(store):
    purse, other = new_purse(), new_purse()
    executions = [putting(new_purse()), *[putting(purse, key=str(uuid4())) for _ in range(4)], putting(other)]
    with ThreadPoolExecutor(len(executions)) as threads:
        with held_log() as let_one_through:
            futures = gathered(threads, store, *executions)
            let_one_through()
            wait_until(lambda: store.sizes == [1, 5] and waits_for_the_log())
            with connection.cursor() as cursor:
                cursor.execute(TERMINATE_THE_WAITING)
            futures[0].result()
        answers = [future.exception() or future.result() for future in futures[1:]]
    assert sorted(answer.result["version"] for answer in answers[:4]) == [1, 2, 3, 4]
    assert isinstance(answers[4], OutcomeUnknown)
    assert load_state(stream=stream(purse), store=store).state == 4
    assert load_state(stream=stream(other), store=store).version == 0


def test_a_log_that_was_restored_under_what_is_remembered(store):
    purse = new_purse()
    with log_copy(), connection.cursor() as cursor:
        for _ in range(3):
            carry_out(putting(purse, coins=5), store)
        cursor.execute("DELETE FROM events WHERE version > 1")
        cursor.execute("DELETE FROM snapshots")
        assert carry_out(taking(purse, coins=10), store).refused
        assert carry_out(taking(purse, coins=5), store).result == {"version": 2}
        # It has grown to what is remembered, and is something else.
        cursor.execute("UPDATE events SET hash = sha256(hash), data = '{\"coins\": 7}' WHERE version = 2")
        assert carry_out(taking(purse, coins=12), store).result == {"version": 3}
        cursor.execute("TRUNCATE events")
        assert carry_out(taking(purse, coins=1), store).refused
        assert carry_out(putting(purse), store).result == {"version": 1}
