"""Several clients want the same money at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, local
from typing import TypeAlias

import pytest
from django.db import connection

from accounts.repository import account_stream_id, load_account
from eventstore.chain import event_hash
from eventstore.postgres import PostgresEventStore
from eventstore.records import Outcome
from tests.keyed_account_commands import assert_replayed, deposit, keyed, opened_with, withdraw

CLIENTS = 2
AtOnce: TypeAlias = Callable[[Callable[[], Outcome]], list[Outcome]]


@pytest.fixture
def at_once(monkeypatch) -> AtOnce:
    """Let every client do the same, none appending before all have loaded: all but one decide on a stale state."""
    load = PostgresEventStore.load
    all_have_loaded = Barrier(CLIENTS, timeout=10)
    this_client = local()

    def load_with_the_others(*args, **keywords):
        loaded = load(*args, **keywords)
        if not hasattr(this_client, "has_loaded"):
            this_client.has_loaded = True
            all_have_loaded.wait()
        return loaded

    def run(action: Callable[[], Outcome]) -> list[Outcome]:
        def act(_: int) -> Outcome:
            try:
                return action()
            finally:
                connection.close()

        with monkeypatch.context() as patch, ThreadPoolExecutor(CLIENTS) as clients:
            patch.setattr(PostgresEventStore, "load", load_with_the_others)
            return list(clients.map(act, range(CLIENTS)))

    return run


def test_the_last_money_is_withdrawn_once(at_once: AtOnce):
    account_id = opened_with(100)
    first, second = sorted(at_once(lambda: withdraw(account_id, 100)), key=lambda outcome: outcome.refused)
    assert (first.refused, first.result["balance"], first.result["version"]) == (False, 0, 3)
    assert second.refused
    assert second.result == {
        "code": "insufficient_funds",
        "fields": {"accountId": account_id, "balance": 0, "amount": 100, "currency": "USD"},
    }
    stored = load_account(account_id)
    assert (stored.version, stored.state.balance) == (3, 0)


def test_one_command_sent_twice_at_once_is_done_once(at_once: AtOnce):
    account_id = opened_with(100)
    context = keyed()
    first, again = sorted(at_once(lambda: withdraw(account_id, 60, context)), key=lambda outcome: outcome.replayed)
    assert_replayed(first, again)
    assert load_account(account_id).state.balance == 40


def test_deposits_at_once_all_count_and_keep_the_chain(at_once: AtOnce):
    account_id = opened_with(0)
    outcomes = at_once(lambda: deposit(account_id, 5))
    assert sorted(outcome.result["balance"] for outcome in outcomes) == [5, 10]
    link = b""
    for event in PostgresEventStore().read_stream(account_stream_id(account_id), limit=10):
        link = event_hash(previous_hash=link, stream_id=event.stream_id, version=event.version, event=event)
        assert event.hash == link
