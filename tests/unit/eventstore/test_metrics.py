"""What an execution counts, as it goes well, meets rivals, repeats itself or is given up."""

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from eventstore.exceptions import Contention
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
