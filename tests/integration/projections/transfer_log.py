"""Puts transfer events into the log, with no accounts behind them, and tells by their names alone what they come to."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from eventstore.records import RecordedEvent, StreamAppend
from projections.models import TransferStatus
from tests.integration.projections.account_log import stored_append
from transfers.domain.events import (
    TransferCompleted,
    TransferDebited,
    TransferEvent,
    TransferFailed,
    TransferInitiated,
)
from transfers.event_types import encode
from transfers.repository import PREFIX, transfer_stream_id

NEVER = "2999-01-01T00:00:00.000000+00:00"
"""Nobody takes these transfers up."""

STATES = {
    "TransferInitiated": "INITIATED",
    "TransferDebited": "PENDING",
    "TransferCompleted": "COMPLETED",
    "TransferFailed": "FAILED",
}


ROW_COLUMNS = (
    "version",
    "first_position",
    "last_position",
    "source_account_id",
    "destination_account_id",
    "amount",
    "currency",
    "state",
    "failure_code",
    "refunded_to",
)


def transfer_append(*events: TransferEvent, after: StreamAppend | None = None) -> StreamAppend:
    """Return the append of `events` to their transfer: a new one, or the one that `after` left."""
    return stored_append(transfer_stream_id(events[0].transfer_id), map(encode, events), after=after)


def begun_transfer(dice: random.Random) -> StreamAppend:
    """Return the append of a new transfer whose money is in flight."""
    transfer_id = f"transfer-{uuid4()}"
    initiated = TransferInitiated(
        transfer_id=transfer_id,
        source_account_id=f"acc-{uuid4()}",
        destination_account_id=f"acc-{uuid4()}",
        amount=dice.randint(1, 999),
        currency="USD",
    )
    return transfer_append(initiated, TransferDebited(transfer_id=transfer_id, resume_at=NEVER))


def ended_transfer(dice: random.Random, begun: StreamAppend) -> StreamAppend:
    """Return the append of the end of a transfer, one or the other."""
    transfer_id = begun.stream_id.removeprefix(PREFIX)
    ends = [
        TransferCompleted(transfer_id=transfer_id),
        TransferFailed(transfer_id=transfer_id, code="account_frozen", fields={}, refunded_to="acc-refund"),
    ]
    return transfer_append(dice.choice(ends), after=begun)


def transfer_rows(stream_id: str) -> list[tuple[Any, ...]]:
    """Return a transfer's row, if it has one, beginning with the version that it knows."""
    rows = TransferStatus.objects.filter(transfer_id=stream_id.removeprefix(PREFIX))
    return list(rows.values_list(*ROW_COLUMNS))


def expected_transfer_rows(events: Sequence[RecordedEvent]) -> list[tuple[Any, ...]]:
    """Return the row that a transfer should have after `events`."""
    if not events:
        return []
    first, last = events[0], events[-1]
    asked = [first.data[name] for name in ("sourceAccountId", "destinationAccountId", "amount", "currency")]
    ended = (STATES[last.event_type], last.data.get("code"), last.data.get("refundedTo"))
    return [(last.version, first.position, last.position, *asked, *ended)]
