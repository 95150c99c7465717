"""The contract of the event store, kept by the one in PostgreSQL."""

import pytest

from eventstore.postgres import PostgresEventStore
from eventstore.store import EventStore
from tests.eventstore_contract import EventStoreContract


class TestPostgresEventStore(EventStoreContract):
    """The whole contract, in PostgreSQL."""

    @pytest.fixture
    def store(self) -> EventStore:
        return PostgresEventStore()
