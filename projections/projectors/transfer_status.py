"""Projects every transfer as it is now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from eventstore.records import RecordedEvent
from projections.models import TransferStatus
from transfers.domain.events import TransferFailed, TransferInitiated, TransferStuck
from transfers.domain.exceptions import ImpossibleTransferEvent
from transfers.domain.transfer import Transfer, TransferState
from transfers.event_types import decode
from transfers.repository import PREFIX

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedTransfer:
    """A transfer, and the events that made it so: their number, the first and the last position and time.

    `error` is what it got stuck with, last.
    """

    transfer: Transfer
    version: int
    error: str | None
    first_position: int
    last_position: int
    created_at: datetime
    updated_at: datetime


class TransferStatusProjector:
    """One row for each transfer; see `projections.projector.Projector` for what each method promises."""

    name = "transfer_status"

    def selects(self, *, event: RecordedEvent) -> bool:
        return event.stream_id.startswith(PREFIX)

    def load(self, *, stream_ids: Collection[str]) -> Mapping[str, FollowedTransfer]:
        transfer_ids = [stream_id.removeprefix(PREFIX) for stream_id in stream_ids]
        rows = TransferStatus.objects.filter(transfer_id__in=transfer_ids)
        return {PREFIX + row.transfer_id: _followed(row) for row in rows}

    def initial(self, *, stream_id: str) -> FollowedTransfer:
        return FollowedTransfer(
            transfer=Transfer(),
            version=0,
            error=None,
            first_position=0,
            last_position=0,
            created_at=_NEVER,
            updated_at=_NEVER,
        )

    def apply(self, *, state: FollowedTransfer, event: RecordedEvent) -> FollowedTransfer:
        decoded = decode(event_type=event.event_type, schema_version=event.schema_version, data=event.data)
        if decoded.transfer_id != event.stream_id.removeprefix(PREFIX):
            raise ImpossibleTransferEvent(event=decoded, problem=f"it stands in {event.stream_id}")
        return FollowedTransfer(
            transfer=state.transfer.apply(decoded),
            version=event.version,
            error=decoded.error if isinstance(decoded, TransferStuck) else state.error,
            first_position=state.first_position or event.position,
            last_position=event.position,
            created_at=state.created_at if state.version else event.occurred_at,
            updated_at=event.occurred_at,
        )

    def save(self, *, histories: Sequence[Sequence[FollowedTransfer]]) -> None:
        TransferStatus.objects.bulk_create(
            [_row(history[-1]) for history in histories],
            update_conflicts=True,
            unique_fields=["transfer_id"],
            update_fields=_CHANGING_COLUMNS,
        )

    def delete(self, *, stream_id: str) -> None:
        TransferStatus.objects.filter(transfer_id=stream_id.removeprefix(PREFIX)).delete()


_CHANGING_COLUMNS = (
    "state",
    "failure_code",
    "failure_fields",
    "refunded_to",
    "released_to",
    "attempts",
    "error",
    "version",
    "last_position",
    "updated_at",
)


def _row(followed: FollowedTransfer) -> TransferStatus:
    order, failure = followed.transfer.order, followed.transfer.failure
    return TransferStatus(
        transfer_id=order.transfer_id,
        client_id=order.client_id,
        source_account_id=order.source_account_id,
        destination_account_id=order.destination_account_id,
        amount=order.amount,
        currency=order.currency,
        transaction_id=order.transaction_id,
        description=order.description,
        metadata=dict(order.metadata),
        state=followed.transfer.state.value,
        failure_code=failure.code if failure else None,
        failure_fields=dict(failure.fields) if failure else {},
        refunded_to=failure.refunded_to if failure else None,
        released_to=followed.transfer.released_to,
        attempts=followed.transfer.attempts,
        error=followed.error,
        version=followed.version,
        first_position=followed.first_position,
        last_position=followed.last_position,
        created_at=followed.created_at,
        updated_at=followed.updated_at,
    )


def _followed(row: TransferStatus) -> FollowedTransfer:
    """Return what `row` was made of, but for when the transfer may be taken up next: no later event asks for that."""
    order = TransferInitiated(
        transfer_id=row.transfer_id,
        client_id=row.client_id,
        source_account_id=row.source_account_id,
        destination_account_id=row.destination_account_id,
        amount=row.amount,
        currency=row.currency,
        transaction_id=row.transaction_id,
        description=row.description,
        metadata=row.metadata,
    )
    failure = TransferFailed(
        transfer_id=row.transfer_id,
        code=row.failure_code or "",
        fields=row.failure_fields,
        refunded_to=row.refunded_to,
    )
    transfer = Transfer(
        initiated=order,
        state=TransferState(row.state),
        attempts=row.attempts,
        failure=failure if row.failure_code else None,
        released_to=row.released_to,
    )
    return FollowedTransfer(
        transfer=transfer,
        version=row.version,
        error=row.error,
        first_position=row.first_position,
        last_position=row.last_position,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
