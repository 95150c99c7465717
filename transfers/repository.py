"""A transfer as a stream of the event store: its id, how it is folded, and its snapshot."""

from dataclasses import replace
from typing import Any

from eventstore.execution import Stream, StreamKind, load_state
from eventstore.records import JsonObject, StoredState
from transfers.domain.events import TransferEvent
from transfers.domain.transfer import Transfer, TransferState
from transfers.event_types import decode, encode

SNAPSHOT_SCHEMA_VERSION = 1
"""Raise it whenever the fields of Transfer or their meaning change: snapshots of other versions are ignored."""

PROGRESS_SNAPSHOT_SCHEMA_VERSION = 10_001
"""The same for what `progress_stream` folds; snapshots of both are kept beside each other."""

PREFIX = "transfer-"


def transfer_stream_id(transfer_id: str) -> str:
    """Return the id of the stream that holds the transfer's events."""
    return f"{PREFIX}{transfer_id}"


def transfer_stream(transfer_id: str, *, presumed_new: bool = False) -> Stream:
    """Return the transfer's stream, which folds to a Transfer; `presumed_new` if a command is about to begin it."""
    return Stream(stream_id=transfer_stream_id(transfer_id), kind=_TRANSFERS, presumed_new=presumed_new)


def progress_stream(transfer_id: str) -> Stream:
    """Return the transfer's stream, which folds to a Transfer that knows how it stands, and not what was asked for.

    It takes names of events and times, and leaves everything else unread: so one whose history makes no sense, or was
    written by a later release, can still be put off and given up.
    """
    return Stream(stream_id=transfer_stream_id(transfer_id), kind=_PROGRESS)


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


def _apply_progress(transfer: Transfer, event_type: str, schema_version: int, data: JsonObject) -> Transfer:
    match event_type:
        case "TransferInitiated":
            return replace(transfer, state=TransferState.INITIATED)
        case "TransferDebited" | "TransferRetried":
            return replace(transfer, state=TransferState.PENDING, attempts=0, resume_at=data["resumeAt"])
        case "TransferResumed":
            return replace(transfer, attempts=transfer.attempts + 1, resume_at=data["resumeAt"])
        case "TransferStuck":
            return replace(transfer, state=TransferState.STUCK, resume_at=None)
        case "TransferCompleted":
            return replace(transfer, state=TransferState.COMPLETED, resume_at=None)
        case "TransferFailed":
            return replace(transfer, state=TransferState.FAILED, resume_at=None)
    return transfer


def _to_progress_snapshot(transfer: Transfer) -> JsonObject:
    return {"state": transfer.state.value, "attempts": transfer.attempts, "resumeAt": transfer.resume_at}


def _from_progress_snapshot(state: JsonObject) -> Transfer:
    return Transfer(state=TransferState(state["state"]), attempts=state["attempts"], resume_at=state["resumeAt"])


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
_PROGRESS = StreamKind(
    snapshot_schema_version=PROGRESS_SNAPSHOT_SCHEMA_VERSION,
    initial=Transfer,
    apply=_apply_progress,
    to_snapshot=_to_progress_snapshot,
    from_snapshot=_from_progress_snapshot,
)
