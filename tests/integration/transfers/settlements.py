"""Keeps transfers from going on, so that tests find them stopped."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from eventstore.exceptions import StoreUnavailable
from eventstore.postgres import PostgresEventStore


@contextmanager
def no_settlements() -> Iterator[None]:
    """Keep the second of two steps from being done."""
    append = PostgresEventStore.append

    def refuse(self, commits):
        if commits[0].command and commits[0].command.key.scope == "saga":
            raise StoreUnavailable("stopped by the test")
        return append(self, commits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresEventStore, "append", refuse)
        yield
