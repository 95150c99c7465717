"""The kinds of streams whose events a verification can fold, by the beginnings of their ids."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.repository import account_stream
from eventstore.execution import StreamKind
from eventstore.records import RecordedEvent
from projections.projectors.account_streams import PREFIX as ACCOUNT_PREFIX
from projections.projectors.account_streams import account_after
from transfers.domain.exceptions import ImpossibleTransferEvent
from transfers.domain.transfer import Transfer
from transfers.event_types import decode
from transfers.repository import PREFIX as TRANSFER_PREFIX
from transfers.repository import progress_stream, transfer_stream


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedKind:
    """How streams of one kind are read: what their ids begin with, and what they are before their first event.

    `after(state, event)` returns the state after a recorded event, and the event as it is now understood; it raises for
    what cannot follow. `snapshot_kinds` has every way in which snapshots are made of such streams.
    """

    prefix: str
    initial: Callable[[], Any]
    after: Callable[[Any, RecordedEvent], tuple[Any, Any]]
    snapshot_kinds: tuple[StreamKind, ...]


def _transfer_after(transfer: Transfer, event: RecordedEvent) -> tuple[Transfer, Any]:
    decoded = decode(event_type=event.event_type, schema_version=event.schema_version, data=event.data)
    if decoded.transfer_id != event.stream_id.removeprefix(TRANSFER_PREFIX):
        raise ImpossibleTransferEvent(event=decoded, problem=f"it stands in {event.stream_id}")
    return transfer.apply(decoded), decoded


ACCOUNTS = FoldedKind(
    prefix=ACCOUNT_PREFIX,
    initial=account_stream("").kind.initial,
    after=account_after,
    snapshot_kinds=(account_stream("").kind,),
)
TRANSFERS = FoldedKind(
    prefix=TRANSFER_PREFIX,
    initial=Transfer,
    after=_transfer_after,
    snapshot_kinds=(transfer_stream("").kind, progress_stream("").kind),
)


def kind_of(stream_id: str) -> FoldedKind | None:
    """Return the kind of a stream; None if it is one that nobody folds, such as the acts of operators."""
    return next((kind for kind in (ACCOUNTS, TRANSFERS) if stream_id.startswith(kind.prefix)), None)
