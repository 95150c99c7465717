"""Which transfers have stopped on their way: from the event store alone, so that a projection that lags hides none."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import connection

from eventstore.execution import load_state
from eventstore.statements import statement
from eventstore.store import EventStore, event_store
from transfers.domain.transfer import IN_FLIGHT, Transfer, TransferState
from transfers.repository import PREFIX, progress_stream

SQL_DIRECTORY = Path(__file__).parent / "sql"
BATCH_EVENTS = 1_000


def due_transfers(*, limit: int) -> list[str]:
    """Return the ids of at most `limit` transfers that may be taken up now, the longest due first."""
    if settings.EVENT_STORE_KIND == "postgres":
        return _ids("due_transfers", {"limit": limit})
    now = datetime.now(UTC)
    due = [one for one in _in_flight_in_memory() if one.transfer.is_due(now)]
    return [one.transfer_id for one in sorted(due, key=lambda one: one.transfer.resume_at or "")][:limit]


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
    in_flight = _in_flight_in_memory()
    return InFlight(
        transfers=len(in_flight),
        stuck=sum(one.transfer.state is TransferState.STUCK for one in in_flight),
        oldest_age_seconds=max(((now - one.began_at).total_seconds() for one in in_flight), default=0.0),
    )


def stuck_transfers() -> list[str]:
    """Return the ids of the transfers that were given up and wait for an operator."""
    if settings.EVENT_STORE_KIND == "postgres":
        return _ids("stuck_transfers", {})
    return sorted(one.transfer_id for one in _in_flight_in_memory() if one.transfer.state is TransferState.STUCK)


def _ids(stem: str, parameters: dict[str, Any]) -> list[str]:
    return [stream_id.removeprefix(PREFIX) for (stream_id,) in _rows(stem, parameters)]


def _rows(stem: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement(stem, directory=SQL_DIRECTORY).decode(), parameters)
        return list(cursor.fetchall())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """A transfer in flight of a log in memory: how it stands, and when it was begun."""

    transfer_id: str
    transfer: Transfer
    began_at: datetime


@dataclass(slots=True)
class _List:
    """What the trigger of PostgreSQL keeps, for a log in memory: which transfers are in flight at `position`."""

    position: int = 0
    began_at: dict[str, datetime] = field(default_factory=dict)

    def catch_up(self, store: EventStore) -> None:
        while events := store.read_all(after_position=self.position, limit=BATCH_EVENTS):
            for event in events:
                transfer_id = event.stream_id.removeprefix(PREFIX)
                if event.event_type == "TransferDebited":
                    self.began_at[transfer_id] = event.recorded_at
                elif event.event_type in ("TransferCompleted", "TransferFailed"):
                    self.began_at.pop(transfer_id, None)
            self.position = events[-1].position


_lists: WeakKeyDictionary[EventStore, _List] = WeakKeyDictionary()
_lists_lock = Lock()


def _in_flight_in_memory() -> list[_Listed]:
    store = event_store()
    # Requests and the thread that resumes ask at once; each event may be listed once.
    with _lists_lock:
        listed = _lists.setdefault(store, _List())
        listed.catch_up(store)
        began_at = dict(listed.began_at)
    standing = {one: load_state(stream=progress_stream(one)).state for one in began_at}
    # One may have ended meanwhile.
    return [
        _Listed(transfer_id=one, transfer=transfer, began_at=began_at[one])
        for one, transfer in standing.items()
        if transfer.state in IN_FLIGHT
    ]
