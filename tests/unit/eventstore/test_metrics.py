"""What an execution counts, as it goes well, meets rivals, repeats itself or is given up."""

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from eventstore.exceptions import Contention, Overloaded
from tests.unit.eventstore.purses import Crowd, carry_out, new_purse, putting
from tests.unit.eventstore.test_execution import InterruptedStore, Purse

COUNTERS = ("appends", "events_appended", "conflicts", "retries", "duplicates", "contention")


def counts() -> dict[str, float]:
    return {name: REGISTRY.get_sample_value(f"eventstore_{name}_total") or 0.0 for name in COUNTERS}


def counted(action: Callable[[], object]) -> dict[str, float]:
    """Return what `action` has counted, without the zeros."""
    before = counts()
    action()
    return {name: value - before[name] for name, value in counts().items() if value != before[name]}


@pytest.fixture
def purse() -> Purse:
    purse = Purse(store=InterruptedStore())
    purse.put(5)
    return purse


def test_a_commit_and_its_events(purse):
    assert counted(lambda: purse.put(5)) == {"appends": 1, "events_appended": 1}


def test_a_refusal_is_a_commit_without_events(purse):
    refusals = {"code": ""}
    before = REGISTRY.get_sample_value("eventstore_refusals_total", refusals) or 0.0
    assert counted(lambda: purse.take(99)) == {"appends": 1}
    assert REGISTRY.get_sample_value("eventstore_refusals_total", refusals) == before + 1


def test_a_repetition_is_a_duplicate_and_no_commit(purse):
    purse.put(5, key="k")
    assert counted(lambda: purse.put(5, key="k")) == {"duplicates": 1}


def test_a_rival_is_a_conflict_and_a_retry(purse):
    rival = Purse(store=purse.store, stream_id=purse.stream_id)
    purse.store.before_append = [lambda: rival.put(1)]
    assert counted(lambda: purse.put(5)) == {"appends": 2, "events_appended": 2, "conflicts": 1, "retries": 1}


def test_a_rival_with_the_same_key_is_neither(purse):
    rival = Purse(store=purse.store, stream_id=purse.stream_id)
    purse.store.before_append = [lambda: rival.put(5, key="k")]
    assert counted(lambda: purse.put(5, key="k")) == {"appends": 1, "events_appended": 1, "duplicates": 1}


def test_endless_rivals_end_in_contention(purse, settings):
    settings.EXECUTE_MAX_ATTEMPTS = 3
    rival = Purse(store=purse.store, stream_id=purse.stream_id)
    rival_puts: list[Callable[[], object]] = [lambda: rival.put(1)] * 6
    # Every other append is the rival's own, which nothing may interrupt.
    purse.store.before_append = [step for put in rival_puts for step in (put, lambda: None)]

    def give_up() -> None:
        with pytest.raises(Contention):
            purse.put(5)

    assert counted(give_up) == {
        "appends": 3,
        "events_appended": 3,
        "conflicts": 3,
        "retries": 2,
        "contention": 1,
    }


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(f"eventstore_{name}") or 0.0


def test_what_came_together_and_what_went_on_waiting(settings):
    settings.EXECUTE_BATCH_COMMANDS = 3
    before = {name: sample(name) for name in ("batch_commands_sum", "batch_commands_count", "queue_commands_sum")}
    Crowd().together(*[putting(new_purse()) for _ in range(5)])
    counted = {name: sample(name) - value for name, value in before.items()}
    # One alone, three of the five, and the two that were left.
    assert counted == {"batch_commands_sum": 6, "batch_commands_count": 3, "queue_commands_sum": 2}


def test_streams_at_hand_and_streams_that_were_not(purse):
    before = sample("cache_hits_total"), sample("cache_misses_total")
    purse.put(5)
    Purse(store=purse.store).put(5)
    assert (sample("cache_hits_total") - before[0], sample("cache_misses_total") - before[1]) == (1, 1)


def test_who_is_turned_away(settings):
    settings.EXECUTE_QUEUE_COMMANDS = 1
    before, crowd = sample("overloaded_total"), Crowd()

    def come_too_late() -> None:
        with pytest.raises(Overloaded):
            carry_out(putting(new_purse()), crowd.store)

    crowd.together(putting(new_purse()), meanwhile=come_too_late)
    assert sample("overloaded_total") == before + 1
