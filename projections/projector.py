"""What the engine asks of a projector: which streams it reads, how they fold, and which rows that makes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from django.db.models import Model

from eventstore.records import RecordedEvent


class ProjectedState(Protocol):
    """What a stream has come to in one read model."""

    @property
    def version(self) -> int:
        """The version of the last event that is in it, 0 before the first."""
        ...


State = TypeVar("State", bound=ProjectedState)

Row: TypeAlias = tuple[Any, ...]
"""A row of a read model: the values of `Projector.columns`, in their order, as Django reads and writes them."""


class Projector(Protocol[State]):
    """Turns events into one read model. Only `load` touches the database; the engine writes what `rows` makes."""

    @property
    def name(self) -> str:
        """What the projection and its checkpoint are called."""
        ...

    @property
    def model(self) -> type[Model]:
        """The read model."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the read model that rows fill, the key among them."""
        ...

    @property
    def append_only(self) -> bool:
        """Whether rows are only ever added, as to a statement: one that is there already is then refused.

        Otherwise a row takes the place of the one with its key.
        """
        ...

    @property
    def stream_prefix(self) -> str:
        """What the ids of the streams that it reads begin with; the rest of such an id is the id of the entity."""
        ...

    @property
    def stream_column(self) -> str:
        """The column that holds the id of the row's entity."""
        ...

    def load(self, *, stream_ids: Collection[str]) -> Mapping[str, State]:
        """Return what these streams have come to by their rows, those that have come to something."""
        ...

    def initial(self, *, stream_id: str) -> State:
        """Return what the stream is before its first event."""
        ...

    def apply(self, *, state: State, event: RecordedEvent) -> State:
        """Return the state after `event`; pure. Whatever it raises parks the stream."""
        ...

    def rows(self, *, history: Sequence[State]) -> Sequence[Row]:
        """Return the rows that a stream's new events make; pure. `history` has the state after each, in order.

        A stream's history from its first event makes all of its rows, however it is cut into pieces: of several rows
        with one key the last counts.
        """
        ...


def selects(*, projector: Projector[Any], stream_id: str) -> bool:
    """Tell whether the stream is one that the projector reads."""
    return stream_id.startswith(projector.stream_prefix)


def entity_id(*, projector: Projector[Any], stream_id: str) -> str:
    """Return the id of the entity whose events the stream holds: what `stream_column` has in its rows."""
    return stream_id.removeprefix(projector.stream_prefix)
