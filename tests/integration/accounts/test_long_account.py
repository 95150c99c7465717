"""An account with a long history is loaded from its snapshot, and no answer depends on there being one."""

from dataclasses import replace
from datetime import datetime

import pytest
from django.db import connection

from accounts.event_types import draft
from accounts.repository import SNAPSHOT_SCHEMA_VERSION, account_stream, account_stream_id, load_account
from eventstore.execution import NewId, States, execute
from eventstore.postgres import PostgresEventStore
from eventstore.records import Decision, StreamRequest
from eventstore.store import event_store
from tests.factories import DepositMoneyFactory
from tests.keyed_account_commands import OPEN, deposit, opened_with, withdraw
from tests.round_trips import round_trips

VERSIONS = 10_050
DEPOSITS_PER_COMMIT = 99


def decide_many_deposits(states: States, account_id: str, now: datetime, new_id: NewId) -> Decision:
    account = states[account_stream_id(account_id)].state
    [event] = account.deposit(DepositMoneyFactory.build(account_id=account_id, amount=3))
    drafts = tuple(draft(event=event, event_id=new_id()) for _ in range(DEPOSITS_PER_COMMIT))
    return Decision(events={account_stream_id(account_id): drafts})


def account_with_long_history() -> str:
    account_id = opened_with(0)
    while load_account(account_id).version + DEPOSITS_PER_COMMIT <= VERSIONS:
        execute(streams=[account_stream(account_id)], command=account_id, decide=decide_many_deposits, context=OPEN)
    while load_account(account_id).version < VERSIONS:
        deposit(account_id, 3)
    return account_id


def change_snapshots(statement: str, account_id: str) -> int:
    """Run `statement` on the account's snapshots, around the store, and return how many it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {"stream_id": account_stream_id(account_id)})
        return int(cursor.rowcount)


@pytest.fixture(scope="module")
def long_account(django_db_setup, django_db_blocker) -> str:
    """Return an account that no test changes."""
    with django_db_blocker.unblock():
        return account_with_long_history()


def test_it_loads_in_one_round_trip(long_account):
    load_account(long_account)
    assert round_trips(lambda: load_account(long_account)) == 1


@pytest.mark.parametrize("is_at_hand", [True, False])
def test_a_command_on_it_takes_one_round_trip_and_another_if_it_is_not_at_hand(long_account, is_at_hand):
    withdraw(opened_with(1), 1)
    load_account(long_account)
    if not is_at_hand:
        event_store().group.begin_anew()
    outcomes = []
    assert round_trips(lambda: outcomes.append(withdraw(long_account, 10**9))) == 2 - is_at_hand
    assert outcomes[0].result["code"] == "insufficient_funds"


def test_it_loads_one_snapshot_and_at_most_100_events(long_account):
    request = StreamRequest(stream_id=account_stream_id(long_account), snapshot_schema_version=SNAPSHOT_SCHEMA_VERSION)
    [loaded] = PostgresEventStore().load([request]).streams.values()
    assert len(loaded.tail) <= 100
    assert loaded.snapshot is not None
    assert loaded.snapshot.version + len(loaded.tail) == VERSIONS
    stored = load_account(long_account)
    assert (stored.version, stored.state.balance) == (VERSIONS, 3 * (VERSIONS - 1))


def test_a_snapshot_of_another_schema_version_is_ignored():
    account_id = opened_with(1)
    for _ in range(110):
        deposit(account_id, 1)
    with_snapshot = load_account(account_id)
    assert with_snapshot.snapshot_version == 100
    changed = change_snapshots(
        """UPDATE snapshots SET schema_version = schema_version + 1, state = '{"balance": "of another shape"}'
           WHERE stream_id = %(stream_id)s""",
        account_id,
    )
    assert changed == 1
    assert load_account(account_id) == replace(with_snapshot, snapshot_version=0)
    assert deposit(account_id, 1).result["balance"] == 112


def test_losing_every_snapshot_changes_no_answer():
    long_account = account_with_long_history()
    before = load_account(long_account)
    assert before.snapshot_version > 0
    assert change_snapshots("DELETE FROM snapshots WHERE stream_id = %(stream_id)s", long_account) == 1
    assert load_account(long_account) == replace(before, snapshot_version=0)

    refused = withdraw(long_account, before.state.balance + 1)
    assert refused.result["fields"]["balance"] == before.state.balance
    accepted = withdraw(long_account, 1)
    assert (accepted.result["version"], accepted.result["balance"]) == (VERSIONS + 1, before.state.balance - 1)
    assert load_account(long_account).snapshot_version == VERSIONS + 1
