"""What the engine asks of a projector: which events it takes, how they fold, where the result is kept."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from eventstore.records import RecordedEvent


class ProjectedState(Protocol):
    """What a stream has come to in one read model."""

    @property
    def version(self) -> int:
        """The version of the last event that is in it, 0 before the first."""
        ...


State = TypeVar("State", bound=ProjectedState)


class Projector(Protocol[State]):
    """Turns events into one read model. Only `load`, `save` and `delete` touch the database, each set-wise."""

    name: str
    """Names the projection, its checkpoint and its read model."""

    def selects(self, *, event: RecordedEvent) -> bool:
        """Tell whether the event's stream is one that this projector reads; the same for all events of a stream."""
        ...

    def load(self, *, stream_ids: Collection[str]) -> Mapping[str, State]:
        """Return what these streams have come to, those that have come to something."""
        ...

    def initial(self, *, stream_id: str) -> State:
        """Return what the stream is before its first event."""
        ...

    def apply(self, *, state: State, event: RecordedEvent) -> State:
        """Return the state after `event`; pure. Whatever it raises parks the stream."""
        ...

    def save(self, *, histories: Sequence[Sequence[State]]) -> None:
        """Write what streams have come to: for each, the states after each of its new events, in order."""
        ...

    def delete(self, *, stream_id: str) -> None:
        """Remove all that is kept of one stream."""
        ...
