"""The interface of the event store, and the factory that EVENT_STORE_KIND selects."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from eventstore.records import (
    AppendResult,
    CommandKey,
    Commit,
    Loaded,
    RecordedEvent,
    StreamRequest,
)

if TYPE_CHECKING:
    from eventstore.commit_group import CommitGroup

MAX_POSITION = 2**63 - 1


class EventStore(Protocol):
    """An append-only log of events in streams. Both implementations pass one contract test suite."""

    @property
    def group(self) -> "CommitGroup":
        """Those who execute commands on this log in this process, and what they know of it."""
        ...

    def check_may_append(self) -> None:
        """Raise AppendInsideTransaction in a thread whose appends would have to wait for a transaction of its own."""
        ...

    def append(self, commits: Sequence[Commit]) -> list[AppendResult]:
        """Write `commits` as if one after another, in one transaction of its own; one result for each, in order.

        Raises InvalidAppend (contract broken, nothing written), StoreUnavailable (nothing written) or OutcomeUnknown.
        """
        ...

    def right_of_way(self) -> AbstractContextManager[bool]:
        """Let nobody append to the log while the block runs, but this thread or fiber; to be held as shortly as can be.

        The block is told whether all that others wrote was heard: what is known of streams is hardly stale then.
        Raises StoreUnavailable.
        """
        ...

    def load(
        self,
        streams: Sequence[StreamRequest],
        *,
        command_key: CommandKey | None = None,
        command_keys: Sequence[CommandKey] = (),
    ) -> Loaded:
        """Read snapshot and tail of each stream, each once, and the verdicts under the keys, as of one moment."""
        ...

    def read_stream(self, stream_id: str, *, after_version: int = 0, limit: int) -> list[RecordedEvent]:
        """Return at most `limit` events of one stream after a version, in order."""
        ...

    def read_all(
        self, *, after_position: int, limit: int, up_to_position: int = MAX_POSITION, stream_prefix: str = ""
    ) -> list[RecordedEvent]:
        """Return at most `limit` events of the log after a position, in order, of streams whose ids begin so.

        A reader that goes on from the last position it saw misses none: position order is commit order. For the same
        reason a reader of some streams alone may go on from `up_to_position`, if that is not beyond the head.
        """
        ...

    def head_position(self) -> int:
        """Return the position of the last committed event, 0 in an empty log."""
        ...

    def forget_refusals(self, *, recorded_before: datetime, limit: int) -> int:
        """Forget at most `limit` refusals recorded before a moment, the oldest first, and return how many there were.

        Their keys are as good as new. Commands that were accepted are never forgotten.
        """
        ...


@cache
def event_store() -> EventStore:
    """Return the process's store, of the kind that EVENT_STORE_KIND selects."""
    if settings.EVENT_STORE_KIND == "in-memory":
        from eventstore.memory import MemoryEventStore

        return MemoryEventStore()
    from eventstore.postgres import PostgresEventStore

    return PostgresEventStore()
