"""A transfer as a stream of the event store: its id, how it is folded, and its snapshot."""

from typing import Any

from eventstore.execution import Stream, StreamKind, load_state
from eventstore.records import JsonObject, StoredState
from transfers.domain.events import TransferEvent
from transfers.domain.transfer import Transfer, TransferState
from transfers.event_types import decode, encode

SNAPSHOT_SCHEMA_VERSION = 1
"""Raise it whenever the fields of Transfer or their meaning change: snapshots of other versions are ignored."""

PREFIX = "transfer-"


def transfer_stream_id(transfer_id: str) -> str:
    """Return the id of the stream that holds the transfer's events."""
    return f"{PREFIX}{transfer_id}"


def transfer_stream(transfer_id: str) -> Stream:
    """Return the transfer's stream, which folds to a Transfer."""
    return Stream(stream_id=transfer_stream_id(transfer_id), kind=_TRANSFERS)


def load_transfer(transfer_id: str) -> StoredState:
    """Return the transfer as it is now, a Transfer in `state`; version 0 and state NEW if there is none."""
    return load_state(stream=transfer_stream(transfer_id))


def _apply(transfer: Transfer, event_type: str, schema_version: int, data: JsonObject) -> Transfer:
    return transfer.apply(decode(event_type=event_type, schema_version=schema_version, data=data))


def _to_snapshot(transfer: Transfer) -> JsonObject:
    return {
        "initiated": _stored(transfer.initiated),
        "state": transfer.state.value,
        "attempts": transfer.attempts,
        "resumeAt": transfer.resume_at,
        "failure": _stored(transfer.failure),
        "releasedTo": transfer.released_to,
    }


def _from_snapshot(state: JsonObject) -> Transfer:
    return Transfer(
        initiated=_read(state["initiated"]),
        state=TransferState(state["state"]),
        attempts=state["attempts"],
        resume_at=state["resumeAt"],
        failure=_read(state["failure"]),
        released_to=state["releasedTo"],
    )


def _stored(event: TransferEvent | None) -> list[Any] | None:
    return list(encode(event)) if event else None


def _read(stored: list[Any] | None) -> Any:
    if stored is None:
        return None
    event_type, schema_version, data = stored
    return decode(event_type=event_type, schema_version=schema_version, data=data)


_TRANSFERS = StreamKind(
    snapshot_schema_version=SNAPSHOT_SCHEMA_VERSION,
    initial=Transfer,
    apply=_apply,
    to_snapshot=_to_snapshot,
    from_snapshot=_from_snapshot,
)
