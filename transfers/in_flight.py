"""Which transfers have stopped on their way: from the event store alone, so that a projection that lags hides none."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from eventstore.statements import statement
from eventstore.store import event_store
from transfers.domain.transfer import IN_FLIGHT, Transfer, TransferState
from transfers.repository import PREFIX, load_transfer

SQL_DIRECTORY = Path(__file__).parent / "sql"
BATCH_EVENTS = 1_000


def due_transfers(*, limit: int) -> list[str]:
    """Return the ids of at most `limit` transfers that may be taken up now, the longest due first."""
    if settings.EVENT_STORE_KIND == "postgres":
        return _ids("due_transfers", {"limit": limit})
    now = datetime.now(UTC)
    due = [transfer for _, transfer in _all_transfers() if transfer.is_due(now)]
    return [transfer.order.transfer_id for transfer in sorted(due, key=lambda due: due.resume_at or "")][:limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """How many transfers have money in flight, how many of them are stuck, and how long ago the oldest began."""

    transfers: int
    stuck: int
    oldest_age_seconds: float


def measure_in_flight() -> InFlight:
    """Return what stands in flight at this moment; the age is 0 if nothing does."""
    if settings.EVENT_STORE_KIND == "postgres":
        [(transfers, stuck, oldest_age_seconds)] = _rows("measure_in_flight", {})
        return InFlight(transfers=transfers, stuck=stuck, oldest_age_seconds=oldest_age_seconds)
    now = datetime.now(UTC)
    in_flight = [(began_at, transfer) for began_at, transfer in _all_transfers() if transfer.state in IN_FLIGHT]
    return InFlight(
        transfers=len(in_flight),
        stuck=sum(transfer.state is TransferState.STUCK for _, transfer in in_flight),
        oldest_age_seconds=max(((now - began_at).total_seconds() for began_at, _ in in_flight), default=0.0),
    )


def stuck_transfers() -> list[str]:
    """Return the ids of the transfers that were given up and wait for an operator."""
    if settings.EVENT_STORE_KIND == "postgres":
        return _ids("stuck_transfers", {})
    stuck = [transfer for _, transfer in _all_transfers() if transfer.state is TransferState.STUCK]
    return sorted(transfer.order.transfer_id for transfer in stuck)


def _ids(stem: str, parameters: dict[str, Any]) -> list[str]:
    return [stream_id.removeprefix(PREFIX) for (stream_id,) in _rows(stem, parameters)]


def _rows(stem: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement(stem, directory=SQL_DIRECTORY).decode(), parameters)
        return list(cursor.fetchall())


def _all_transfers() -> Iterator[tuple[datetime, Transfer]]:
    """Yield every transfer of a log in memory, which keeps no list of those in flight, and when it was begun."""
    store, position = event_store(), 0
    while events := store.read_all(after_position=position, limit=BATCH_EVENTS):
        position = events[-1].position
        for event in events:
            if event.stream_id.startswith(PREFIX) and event.version == 1:
                yield event.recorded_at, load_transfer(event.stream_id.removeprefix(PREFIX)).state
