"""Gives tests of transfers a log in memory, of their own."""

from collections.abc import Iterator

import pytest

from eventstore.store import EventStore, event_store


@pytest.fixture
def store(settings) -> Iterator[EventStore]:
    """Let the handlers use a log in memory that begins empty."""
    settings.EVENT_STORE_KIND = "in-memory"
    event_store.cache_clear()
    yield event_store()
    event_store.cache_clear()
