"""The sample bank: made once, through the handlers, with nothing refused, and all of it in the past."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from accounts.domain.commands import WithdrawMoney
from accounts.domain.money import currency_exponent
from accounts.serializers import IDENTIFIER
from bank import sample_data
from bank.sample_data import SCOPE, seed_sample_data
from eventstore import execution
from eventstore.execution import load_state
from eventstore.memory import MemoryEventStore
from eventstore.records import CommandKey
from tests.transfer_books import books_of
from transfers.domain.commands import InitiateTransfer
from transfers.domain.transfer import TransferState
from transfers.repository import transfer_stream


@pytest.fixture
def store(monkeypatch) -> MemoryEventStore:
    store = MemoryEventStore()
    monkeypatch.setattr(sample_data, "event_store", lambda: store)
    monkeypatch.setattr(execution, "event_store", lambda: store)
    return store


def test_it_looks_like_a_small_bank(store):
    seed_sample_data()
    events = store.read_all(after_position=0, limit=10_000)
    created = [event for event in events if event.event_type == "AccountCreated"]
    assert len(created) == 12
    assert len({event.data["ownerId"] for event in created}) < len(created)
    assert {currency_exponent(event.data["currency"]) for event in created} == {0, 2, 3}
    kinds = Counter(event.event_type for event in events)
    assert kinds["MoneyDeposited"] + kinds["MoneyWithdrawn"] > 300
    assert kinds["AccountFrozen"] == 1
    assert {event.stream_id for event in events}.isdisjoint({"account-acc-1", "account-acc-2", "transfer-trf-1"})
    assert all(event.data["ownerId"] != "user-1" for event in created)


def test_it_lies_in_the_past_in_order_and_over_months(store):
    seed_sample_data()
    times = [event.occurred_at for event in store.read_all(after_position=0, limit=10_000)]
    assert times == sorted(times)
    assert times[-1] <= datetime.now(UTC)
    assert times[-1] - times[0] > timedelta(days=150)


def test_nothing_in_it_is_refused_but_two_transfers(store):
    seed_sample_data()
    steps = {step.key: step.command for step in sample_data._steps()}
    records = [store.load([], command_key=CommandKey(SCOPE, key)).command for key in steps]
    assert all(records)
    refused = [record for record in records if record.refused]
    assert {record.result["code"] for record in refused} == {"account_frozen", "insufficient_funds"}
    assert all(isinstance(steps[record.key.key], InitiateTransfer) for record in refused)
    assert len(refused) == 2


@pytest.mark.parametrize("way", ["together", "apart"])
def test_its_transfers_can_be_asked_for_by_name(store, settings, way):
    settings.TRANSFER_STEPS = way
    seed_sample_data()
    orders = [step.command for step in sample_data._steps() if isinstance(step.command, InitiateTransfer)]
    states = Counter(load_state(stream=transfer_stream(order.transfer_id)).state.state for order in orders)
    assert states.keys() == {TransferState.COMPLETED, TransferState.FAILED}
    assert states[TransferState.COMPLETED] > 30
    assert all(IDENTIFIER.fullmatch(order.transfer_id) for order in orders)
    assert books_of(store.read_all(after_position=0, limit=10_000)).balance()


def test_it_is_seeded_once_and_goes_on_where_it_was_interrupted(store, monkeypatch):
    handler = sample_data.HANDLERS[WithdrawMoney]
    calls = iter(range(50))

    def interrupted(**arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return handler(**arguments)

    with monkeypatch.context() as interruption:
        interruption.setitem(sample_data.HANDLERS, WithdrawMoney, interrupted)
        with pytest.raises(KeyboardInterrupt):
            seed_sample_data()
    interrupted_at = store.head_position()

    seed_sample_data()
    head = store.head_position()
    assert 0 < interrupted_at < head / 2
    # Each step was made once. What else there is are legs and ends of transfers.
    events = store.read_all(after_position=0, limit=10_000)
    rest = sum(event.event_type in ("TransferCompleted", "TransferFailed") for event in events)
    legs = sum("transferId" in event.data and event.stream_id.startswith("account-") for event in events)
    assert head - rest - legs == sum(1 for _ in sample_data._steps())
    seed_sample_data()
    assert store.head_position() == head
