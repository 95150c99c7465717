"""Projects every transfer as it is now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from eventstore.records import RecordedEvent
from projections.models import TransferStatus
from projections.projector import Row
from projections.read_models import load_rows
from transfers.domain.events import TransferFailed, TransferInitiated, TransferStuck
from transfers.domain.exceptions import ImpossibleTransferEvent
from transfers.domain.transfer import Transfer, TransferState
from transfers.event_types import decode
from transfers.repository import PREFIX

_NEVER = datetime.min.replace(tzinfo=UTC)


class FollowedTransfer(NamedTuple):
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
    model = TransferStatus
    columns = (
        "transfer_id",
        "client_id",
        "source_account_id",
        "destination_account_id",
        "amount",
        "currency",
        "transaction_id",
        "description",
        "metadata",
        "state",
        "failure_code",
        "failure_fields",
        "refunded_to",
        "released_to",
        "attempts",
        "error",
        "version",
        "first_position",
        "last_position",
        "created_at",
        "updated_at",
    )
    append_only = False
    stream_prefix = PREFIX
    stream_column = "transfer_id"

    def load(self, *, stream_ids: Collection[str]) -> Mapping[str, FollowedTransfer]:
        transfer_ids = [stream_id.removeprefix(PREFIX) for stream_id in stream_ids]
        rows = load_rows(model=self.model, columns=self.columns, by="transfer_id", ids=transfer_ids)
        return {PREFIX + row[0]: _followed(**dict(zip(self.columns, row, strict=True))) for row in rows}

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

    def rows(self, *, history: Sequence[FollowedTransfer]) -> Sequence[Row]:
        return [_row(history[-1])]


def _row(followed: FollowedTransfer) -> Row:
    transfer, order, failure = followed.transfer, followed.transfer.order, followed.transfer.failure
    return (
        order.transfer_id,
        order.client_id,
        order.source_account_id,
        order.destination_account_id,
        order.amount,
        order.currency,
        order.transaction_id,
        order.description,
        order.metadata,
        transfer.state.value,
        failure.code if failure else None,
        failure.fields if failure else {},
        failure.refunded_to if failure else None,
        transfer.released_to,
        transfer.attempts,
        followed.error,
        followed.version,
        followed.first_position,
        followed.last_position,
        followed.created_at,
        followed.updated_at,
    )


def _followed(**row: Any) -> FollowedTransfer:
    """Return what a row was made of, but for when the transfer may be taken up next: no later event asks for that."""
    order = TransferInitiated(**{field.name: row[field.name] for field in fields(TransferInitiated)})
    failure = TransferFailed(
        transfer_id=order.transfer_id,
        code=row["failure_code"] or "",
        fields=row["failure_fields"],
        refunded_to=row["refunded_to"],
    )
    transfer = Transfer(
        initiated=order,
        state=TransferState(row["state"]),
        attempts=row["attempts"],
        failure=failure if row["failure_code"] else None,
        released_to=row["released_to"],
    )
    return FollowedTransfer(
        transfer=transfer,
        version=row["version"],
        error=row["error"],
        first_position=row["first_position"],
        last_position=row["last_position"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
