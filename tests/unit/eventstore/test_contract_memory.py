"""The contract of the event store, kept by the one in memory."""

import sys
from collections.abc import Iterator

import pytest

from eventstore.memory import MemoryEventStore
from eventstore.store import EventStore
from tests.eventstore_contract import EventStoreContract


class TestMemoryEventStore(EventStoreContract):
    """The whole contract, in memory."""

    @pytest.fixture
    def store(self) -> EventStore:
        return MemoryEventStore()

    @pytest.fixture(autouse=True)
    def busy_threads(self) -> Iterator[None]:
        """Let threads take turns every few microseconds: at the usual pace a missing lock would seldom be noticed."""
        interval_seconds = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(interval_seconds)

    def test_a_log_begins_empty(self, store: EventStore):
        assert store.head_position() == 0
        assert store.read_all(after_position=0, limit=10) == []
