"""What one turn of all projections reads of the log: each stretch once, for all that stand at the same position."""

from collections.abc import Sequence
from typing import Protocol

from eventstore.records import RecordedEvent
from eventstore.store import EventStore


class LogIsShorter(Exception):
    """The log lacks events that it had a moment ago: it was replaced. The next look begins from what it is now."""


class Log(Protocol):
    """What projecting asks of the event store."""

    def head_position(self) -> int:
        """Return a position up to which the log is complete."""
        ...

    def read_all(
        self, *, after_position: int, limit: int, up_to_position: int, stream_prefix: str
    ) -> Sequence[RecordedEvent]:
        """Return the events after one position and up to another, at least those of streams with that prefix."""
        ...


class Turn:
    """A `Log` that reads of `store` for one turn.

    Events never change, so that those of one stretch serve every projection that stands at its beginning. They are
    those of all streams: most projections read most of them.
    """

    def __init__(self, *, store: EventStore) -> None:
        self._store = store
        self._stretch: tuple[int, int] | None = None
        self._events: Sequence[RecordedEvent] = ()

    def head_position(self) -> int:
        return self._store.head_position()

    def read_all(
        self, *, after_position: int, limit: int, up_to_position: int, stream_prefix: str
    ) -> Sequence[RecordedEvent]:
        if self._stretch != (after_position, up_to_position):
            events = self._store.read_all(after_position=after_position, up_to_position=up_to_position, limit=limit)
            if len(events) != up_to_position - after_position:
                raise LogIsShorter(f"{len(events)} events after position {after_position}, up to {up_to_position}")
            self._stretch, self._events = (after_position, up_to_position), events
        return self._events
