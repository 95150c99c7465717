"""Transfers as their readers may see them: from the read model, or from the store where that is behind."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet

from accounts.domain.access import AccountReach
from accounts.repository import load_account
from eventstore.exceptions import VersionConflict
from eventstore.records import StoredState
from eventstore.store import event_store
from projections.freshness import Freshness, freshness_column, page_with_freshness
from projections.models import AccountSummary, TransferStatus
from transfers.domain.exceptions import TransferNotFound
from transfers.domain.transfer import Transfer, TransferState
from transfers.repository import load_transfer

TRANSFER_COLUMNS = (
    "transfer_id",
    "state",
    "source_account_id",
    "destination_account_id",
    "amount",
    "currency",
    "transaction_id",
    "description",
    "metadata",
    "failure_code",
    "refunded_to",
    "released_to",
    "version",
    "created_at",
    "updated_at",
)


def visible_transfers(*, reach: AccountReach) -> QuerySet[TransferStatus]:
    """Return the transfers that somebody with `reach` may see.

    Those that he asked for or that draw on his accounts; and those that have reached his accounts. One of whose first
    commit the read model has seen but a part is not there yet.
    """
    transfers = TransferStatus.objects.exclude(state=TransferState.INITIATED.value)
    if reach.client_id is None:
        return transfers
    opened = AccountSummary.objects.filter(client_id=reach.client_id).values("account_id")

    def is_own(end: str) -> Q:
        return Q(**{f"{end}__in": opened}) | Q(**{f"{end}__in": reach.granted})

    completed = Q(state=TransferState.COMPLETED.value)
    return transfers.filter(
        Q(client_id=reach.client_id) | is_own("source_account_id") | (completed & is_own("destination_account_id"))
    )


def read_transfer(*, transfer_id: str, reach: AccountReach, min_version: int) -> tuple[Mapping[str, Any], Freshness]:
    """Return the transfer at `min_version` or later, and how fresh the read model is.

    It is the read model's row, or if that is behind `min_version`, or not there yet, what the store says at once.
    Raises TransferNotFound, also for one that is not to be seen, or VersionConflict if it never was at `min_version`.
    """
    fresh = freshness_column(projection="transfer_status")
    wanted = visible_transfers(reach=reach).filter(transfer_id=transfer_id).annotate(**fresh)
    rows, freshness = page_with_freshness(
        projection="transfer_status", read=lambda: list(wanted.values(*TRANSFER_COLUMNS, *fresh))
    )
    if rows and rows[0]["version"] >= min_version:
        return rows[0], freshness
    stored = load_transfer(transfer_id)
    if not stored.version or not _is_visible(stored.state, reach):
        raise TransferNotFound(transferId=transfer_id)
    if stored.version < min_version:
        raise VersionConflict(stream_id=stored.stream_id, expected_version=min_version, actual_version=stored.version)
    return _stored_row(stored), freshness


def _is_visible(transfer: Transfer, reach: AccountReach) -> bool:
    order = transfer.order
    ends = [order.source_account_id]
    if transfer.state is TransferState.COMPLETED:
        ends.append(order.destination_account_id)
    return reach.client_id in (None, order.client_id) or any(
        reach.includes(account_id=end, client_id=load_account(end).state.client_id) for end in ends
    )


def _stored_row(stored: StoredState) -> dict[str, Any]:
    transfer: Transfer = stored.state
    order, failure = transfer.order, transfer.failure
    [initiation] = event_store().read_stream(stored.stream_id, limit=1)
    return {
        "transfer_id": order.transfer_id,
        "state": transfer.state.value,
        "source_account_id": order.source_account_id,
        "destination_account_id": order.destination_account_id,
        "amount": order.amount,
        "currency": order.currency,
        "transaction_id": order.transaction_id,
        "description": order.description,
        "metadata": dict(order.metadata),
        "failure_code": failure.code if failure else None,
        "refunded_to": failure.refunded_to if failure else None,
        "released_to": transfer.released_to,
        "version": stored.version,
        "created_at": initiation.occurred_at,
        "updated_at": stored.occurred_at,
    }
