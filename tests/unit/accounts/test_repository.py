"""How an account is loaded from its stream, with and without snapshots."""

from dataclasses import replace

import orjson
import pytest

from accounts.domain.account import Account, AccountStatus
from accounts.domain.money import MAX_AMOUNT
from accounts.repository import SNAPSHOT_SCHEMA_VERSION, account_stream, load_account
from eventstore.chain import check_json
from eventstore.execution import load_state
from eventstore.records import StreamRequest
from eventstore.store import EventStore
from tests.keyed_account_commands import deposit, opened_with


def test_an_account_has_a_stream_of_its_name():
    assert account_stream("acc-1").stream_id == "account-acc-1"


@pytest.mark.parametrize("status", AccountStatus)
@pytest.mark.parametrize("client_id", [None, "app-7"])
def test_a_snapshot_gives_back_the_account(status, client_id):
    account = Account(
        account_id="acc-1", owner_id="user-1", client_id=client_id, currency="USD", balance=MAX_AMOUNT, status=status
    )
    kind = account_stream("acc-1").kind
    state = kind.to_snapshot(account)
    check_json(state, path="state")
    assert kind.from_snapshot(orjson.loads(orjson.dumps(state))) == account


def test_an_account_that_nobody_opened_is_new(store: EventStore):
    stored = load_account("acc-nobody")
    assert (stored.version, stored.state) == (0, Account())


def test_an_account_is_loaded_from_its_last_snapshot(store: EventStore, settings):
    settings.SNAPSHOT_EVERY_EVENTS = 10
    account_id = opened_with(1000)
    for amount in range(1, 34):
        deposit(account_id, amount)
    stored = load_account(account_id)
    assert (stored.version, stored.snapshot_version) == (35, 30)
    assert stored.state.balance == 1000 + sum(range(1, 34))
    [loaded] = store.load(
        [StreamRequest(stream_id=stored.stream_id, snapshot_schema_version=SNAPSHOT_SCHEMA_VERSION)]
    ).streams.values()
    assert [event.version for event in loaded.tail] == [31, 32, 33, 34, 35]


def test_a_release_with_another_shape_of_snapshots_folds_the_whole_history(store: EventStore, settings):
    settings.SNAPSHOT_EVERY_EVENTS = 10
    account_id = opened_with(1000)
    for _ in range(20):
        deposit(account_id, 1)
    stream = account_stream(account_id)
    newer = replace(stream, kind=replace(stream.kind, snapshot_schema_version=SNAPSHOT_SCHEMA_VERSION + 1))
    assert load_state(stream=newer) == replace(load_account(account_id), snapshot_version=0)
