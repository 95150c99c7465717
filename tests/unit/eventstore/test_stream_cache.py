"""What a process remembers of streams saves reading them, and is never believed where the log says otherwise."""

from dataclasses import replace

import pytest

from eventstore.exceptions import VersionConflict
from eventstore.execution import load_state
from tests.unit.eventstore.purses import HeldStore, carry_out, elsewhere, new_purse, putting, stream, taking


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
def purse(store) -> str:
    """Return a purse of five coins in three events, which this process knows."""
    stream_id = new_purse()
    for coins in (1, 2, 2):
        carry_out(putting(stream_id, coins=coins), store)
    store.loads = 0
    return stream_id


def restore(store: HeldStore, stream_id: str, *, events: int) -> None:
    """Bring the log back to a time when the stream had so many events."""
    del store._streams[stream_id][events:]
    store._log = [event for event in store._log if event.stream_id != stream_id or event.version <= events]


def test_a_stream_that_is_at_hand_is_not_read(store, purse):
    assert carry_out(taking(purse, coins=5), store).result == {"version": 4}
    assert carry_out(taking(purse, coins=1), store).refused
    assert store.loads == 0


def test_a_retry_on_a_stream_at_hand_is_found_by_the_append(store, purse):
    first = carry_out(taking(purse, coins=5, key="k"), store)
    again = carry_out(taking(purse, coins=5, key="k"), store)
    assert again.replayed
    assert again.result == first.result
    assert store.loads == 0


def test_a_refusal_on_something_stale_is_no_verdict(store, purse):
    elsewhere(putting(purse, coins=5), store)
    assert carry_out(taking(purse, coins=10), store).result == {"version": 5}
    assert store.loads == 1


def test_a_permission_on_something_stale_is_none(store, purse):
    elsewhere(taking(purse, coins=5), store)
    assert carry_out(taking(purse, coins=5), store).refused
    assert store.coins(purse) == [1, 2, 2, -5]


def test_an_expected_version_is_never_refused_on_something_stale(store, purse):
    elsewhere(putting(purse), store)
    assert carry_out(putting(purse, expected_versions={purse: 4}), store).result == {"version": 5}
    with pytest.raises(VersionConflict) as conflict:
        carry_out(putting(purse, expected_versions={purse: 4}), store)
    assert conflict.value.actual_version == 5


@pytest.mark.parametrize("unseen_events", [1, 200, 201, 450])
def test_however_much_others_wrote(store, purse, unseen_events):
    for _ in range(unseen_events):
        elsewhere(putting(purse), store)
    store.loads = 0
    assert carry_out(taking(purse, coins=5 + unseen_events), store).result == {"version": 4 + unseen_events}
    assert store.loads == (unseen_events > 200)


class TestRestoredLog:
    """The log went back to an earlier time under processes that remember a later one."""

    def test_it_is_shorter_than_what_is_remembered(self, store, purse):
        restore(store, purse, events=1)
        assert carry_out(taking(purse, coins=2), store).refused
        assert carry_out(taking(purse, coins=1), store).result == {"version": 2}

    def test_it_is_gone(self, store, purse):
        restore(store, purse, events=0)
        assert carry_out(putting(purse), store).result == {"version": 1}

    @pytest.mark.parametrize("rewritten_events", [2, 3, 230])
    def test_it_has_grown_again_to_something_else(self, store, purse, rewritten_events):
        restore(store, purse, events=1)
        for _ in range(rewritten_events):
            elsewhere(putting(purse, coins=10), store)
        coins = 1 + 10 * rewritten_events
        assert carry_out(taking(purse, coins=coins + 1), store).refused
        assert carry_out(taking(purse, coins=coins), store).result == {"version": 2 + rewritten_events}
        assert load_state(stream=stream(purse), store=store).state == 0


class TestBounds:
    """How much is kept."""

    def test_the_streams_used_last_are_kept(self, store, settings):
        settings.EXECUTE_CACHE_STREAMS = 2
        oldest, used, newest = new_purse(), new_purse(), new_purse()
        for stream_id in (oldest, used, oldest, newest, used):
            carry_out(putting(stream_id), store)
        store.loads = 0
        carry_out(putting(used, newest), store)
        assert store.loads == 0
        carry_out(putting(oldest), store)
        assert store.loads == 1
        assert len(store.group.cache._known) == 2

    def test_none_are_kept_if_none_may(self, store, purse, settings):
        settings.EXECUTE_CACHE_STREAMS = 0
        carry_out(putting(purse), store)
        store.loads = 0
        for expected_loads in (1, 2):
            carry_out(putting(purse), store)
            assert store.loads == expected_loads

    def test_without_any_a_rival_is_still_noticed(self, store, purse, settings):
        settings.EXECUTE_CACHE_STREAMS = 0
        store.before = [lambda: elsewhere(taking(purse, coins=5), store)]
        assert carry_out(taking(purse, coins=5), store).refused


class TestReads:
    """What is shown comes from the log."""

    def test_a_read_is_never_answered_from_memory(self, store, purse):
        elsewhere(putting(purse), store)
        assert load_state(stream=stream(purse), store=store).version == 4
        restore(store, purse, events=2)
        assert load_state(stream=stream(purse), store=store).version == 2

    def test_what_was_read_need_not_be_read_again(self, store, purse):
        elsewhere(putting(purse), store)
        load_state(stream=stream(purse), store=store)
        store.loads, store.sizes = 0, []
        carry_out(taking(purse, coins=6), store)
        assert (store.loads, store.sizes) == (0, [1])

    def test_a_read_of_something_earlier_takes_nothing_away(self, store, purse):
        earlier = store.load
        loaded = []

        def slow_load(*args, **keywords):
            loaded.append(earlier(*args, **keywords))
            if len(loaded) == 1:
                carry_out(putting(purse), store)
            return loaded[0]

        store.load = slow_load
        assert load_state(stream=stream(purse), store=store).version == 3
        store.sizes = []
        carry_out(putting(purse), store)
        assert store.sizes == [1]


class TestPresumedNew:
    """A stream that is about to be created is not looked up."""

    def presuming(self, execution):
        return replace(execution, streams=[replace(one, presumed_new=True) for one in execution.streams])

    def test_it_is_new(self, store):
        assert carry_out(self.presuming(putting(new_purse(), key="k")), store).result == {"version": 1}
        assert store.loads == 0

    @pytest.mark.parametrize("is_known", [True, False])
    def test_it_is_not(self, store, purse, is_known):
        if not is_known:
            store.group.begin_anew()
        assert carry_out(self.presuming(putting(purse)), store).result == {"version": 4}

    def test_a_retry_is_found(self, store):
        purse = new_purse()
        first = carry_out(self.presuming(putting(purse, key="k")), store)
        store.group.begin_anew()
        again = carry_out(self.presuming(putting(purse, key="k")), store)
        assert again.replayed
        assert again.result == first.result
