"""What other processes write is heard with the next append, and need not be met as a conflict."""

import pytest
from prometheus_client import REGISTRY

from eventstore.all_or_nothing import all_or_nothing
from eventstore.execution import load_state
from eventstore.records import CommandContext
from tests.integration.eventstore.test_shared_calls import CountingStore
from tests.unit.eventstore.purses import carry_out, elsewhere, new_purse, putting, stream, taking


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def purse(store) -> str:
    """Return a purse of five coins that this process knows."""
    stream_id = new_purse()
    carry_out(putting(stream_id, coins=5), store)
    return stream_id


def conflicts() -> float:
    return REGISTRY.get_sample_value("eventstore_conflicts_total") or 0.0


def rounds_of(store: CountingStore, execution) -> tuple[dict, int]:
    """Return what a command comes to, and how many appends it took."""
    store.sizes = []
    result = carry_out(execution, store).result
    return dict(result), len(store.sizes)


def test_what_others_wrote_is_heard_with_the_next_append(store, purse):
    for _ in range(3):
        elsewhere(putting(purse), store)
    carry_out(putting(new_purse()), store)
    before = conflicts()
    assert rounds_of(store, taking(purse, coins=8)) == ({"version": 5}, 1)
    assert conflicts() == before
    assert load_state(stream=stream(purse), store=store).state == 0


def test_what_was_not_heard_is_met_as_a_conflict(store, purse):
    elsewhere(putting(purse), store)
    assert rounds_of(store, taking(purse, coins=6)) == ({"version": 3}, 2)
    # And it is not heard again.
    assert rounds_of(store, putting(purse)) == ({"version": 4}, 1)


@pytest.mark.parametrize("events, appends", [(100, 1), (101, 1), (500, 1), (501, 2)])
def test_a_stream_that_others_write_to_all_the_time_is_let_go(store, purse, events, appends):
    for first in range(0, events, 100):
        parts = [putting(purse) for _ in range(first, min(first + 100, events))]
        elsewhere(all_or_nothing(parts=parts, context=CommandContext()), store)
    carry_out(putting(new_purse()), store)
    # It was heard of, or is loaded; of more than can be told nothing was, and it is met as a conflict.
    assert rounds_of(store, taking(purse, coins=5 + events)) == ({"version": 2 + events}, appends)


def test_what_does_not_follow_from_what_is_known_is_not_believed(store, purse):
    cache = store.group.cache
    known = cache.get(stream(purse))
    elsewhere(putting(purse), store)
    carry_out(putting(new_purse()), store)
    # As if the log had been restored: what is remembered is of another history than what is heard.
    [held] = [held for key, held in cache._known.items() if key[0] == purse]
    assert len(held.news) == 1
    held.state = type(known)(
        stream_id=purse, version=1, hash=bytes(32), occurred_at=known.occurred_at, snapshot_version=0, state=99
    )
    assert cache.get(stream(purse)) is None
    assert carry_out(taking(purse, coins=7), store).refused


def test_what_is_heard_twice_counts_once(store, purse):
    elsewhere(putting(purse), store)
    carry_out(putting(new_purse()), store)
    [held] = [held for key, held in store.group.cache._known.items() if key[0] == purse]
    held.news = [*held.news, *held.news]
    assert rounds_of(store, taking(purse, coins=6)) == ({"version": 3}, 1)


def test_who_knows_nothing_hears_nothing(store, purse, settings):
    store.group.begin_anew()
    assert store.group.cache.heard_position() is None
    settings.EXECUTE_CACHE_STREAMS = 0
    carry_out(putting(purse), store)
    assert store.group.cache.heard_position() is None
