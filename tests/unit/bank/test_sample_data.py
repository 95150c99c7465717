"""The sample bank: made once, through the handlers, with nothing refused, and all of it in the past."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from accounts.domain.commands import WithdrawMoney
from accounts.domain.money import currency_exponent
from bank import sample_data
from bank.sample_data import SCOPE, seed_sample_data
from eventstore import execution
from eventstore.memory import MemoryEventStore
from eventstore.records import CommandKey


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
    assert {event.stream_id for event in events}.isdisjoint({"account-acc-1", "account-acc-2"})
    assert all(event.data["ownerId"] != "user-1" for event in created)


def test_it_lies_in_the_past_in_order_and_over_months(store):
    seed_sample_data()
    times = [event.occurred_at for event in store.read_all(after_position=0, limit=10_000)]
    assert times == sorted(times)
    assert times[-1] <= datetime.now(UTC)
    assert times[-1] - times[0] > timedelta(days=150)


def test_nothing_in_it_is_refused(store):
    seed_sample_data()
    keys = [CommandKey(SCOPE, step.key) for step in sample_data._steps()]
    records = [store.load([], command_key=key).command for key in keys]
    assert all(record is not None and not record.refused for record in records)


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
    assert 0 < store.head_position() < 300

    seed_sample_data()
    head = store.head_position()
    assert head == sum(1 for _ in sample_data._steps())
    seed_sample_data()
    assert store.head_position() == head
