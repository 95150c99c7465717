"""How the records of the event store travel to PostgreSQL and back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from eventstore.chain import canonical_documents
from eventstore.records import (
    Appended,
    AppendResult,
    CommandKey,
    CommandRecord,
    Commit,
    Conflict,
    Duplicate,
    JsonObject,
    Loaded,
    LoadedStream,
    NewCommand,
    NewEvent,
    RecordedEvent,
    Snapshot,
    StreamAppend,
    StreamRequest,
)

Row = tuple[Any, ...]


def append_parameters(commits: Sequence[Commit], *, seen_position: int | None = None) -> dict[str, Any]:
    """Return the parameters of the SQL function append_events, whose documents its migration describes."""
    numbered = list(enumerate(commits, start=1))
    streams = [_stream_entry(index, stream) for index, commit in numbered for stream in commit.streams]
    commands = [_command_entry(index, commit.command) for index, commit in numbered if commit.command]
    snapshots = [_snapshot_entry(index, snapshot) for index, commit in numbered for snapshot in commit.snapshots]
    return {
        "commit_count": len(commits),
        "streams": _json(streams),
        "commands": _json(commands) if commands else None,
        "snapshots": _json(snapshots) if snapshots else None,
        "seen_position": None if seen_position is None else str(seen_position),
    }


def news(rows: list[Row]) -> tuple[int, Sequence[JsonObject]]:
    """Take what others wrote from the rows of append_events: up to which position it tells, and the events."""
    if rows[0][1] != "news":
        return 0, ()
    _, _, _, position, _, detail = rows.pop(0)
    return position, _document(detail)


def append_result(*, commit: Commit, row: Row) -> AppendResult:
    """Return what became of `commit`, from its row of append_events."""
    _, status, first_position, last_position, moment, detail = row
    if status == "appended":
        return Appended(
            versions={stream.stream_id: stream.expected_version + len(stream.events) for stream in commit.streams},
            first_position=first_position,
            last_position=last_position,
            recorded_at=_moment(moment),
        )
    document = _document(detail)
    if status == "conflict":
        return _conflict(document)
    if commit.command is None:
        raise AssertionError("a commit without a command cannot be a duplicate")
    return Duplicate(
        command=CommandRecord(
            key=commit.command.key,
            fingerprint=document["fingerprint"],
            result=document["result"],
            refused=document["refused"],
            first_position=first_position,
            last_position=last_position,
            recorded_at=_moment(moment),
        )
    )


def loaded(*, streams: Sequence[StreamRequest], rows: Sequence[Row]) -> Loaded:
    """Return what load_streams read: rows of kind command, snapshot and event."""
    commands: dict[CommandKey, CommandRecord] = {}
    snapshots: dict[str, Snapshot] = {}
    tails: dict[str, list[RecordedEvent]] = {request.stream_id: [] for request in streams}
    for kind, *columns in rows:
        if kind == "event":
            event = recorded_event(tuple(columns))
            tails[event.stream_id].append(event)
        elif kind == "snapshot":
            snapshot = _snapshot(columns)
            snapshots[snapshot.stream_id] = snapshot
        else:
            command = _command(columns)
            commands[command.key] = command
    return Loaded(
        streams={
            stream_id: LoadedStream(stream_id=stream_id, snapshot=snapshots.get(stream_id), tail=tuple(tail))
            for stream_id, tail in tails.items()
        },
        commands=commands,
    )


def recorded_event(row: Row) -> RecordedEvent:
    """Return an event from its row; the columns are those of read_stream and read_all, in the order of its fields."""
    position, stream_id, version, event_id, event_type, schema, data, metadata, occurred_at, recorded_at, link = row
    return RecordedEvent(
        position,
        stream_id,
        version,
        event_id,
        event_type,
        schema,
        orjson.loads(data),
        orjson.loads(metadata),
        occurred_at,
        recorded_at,
        link,
    )


def _snapshot(columns: Sequence[Any]) -> Snapshot:
    _, stream_id, version, _, _, schema_version, state, _, occurred_at, _, link = columns
    return Snapshot(
        stream_id=stream_id,
        version=version,
        schema_version=schema_version,
        state=_document(state),
        hash=link,
        occurred_at=occurred_at,
    )


def _command(columns: Sequence[Any]) -> CommandRecord:
    # load_streams lends the columns of an event: see its SQL.
    last_position, _, first_position, _, fingerprint, refused, result, scope_and_key, _, recorded_at, _ = columns
    return CommandRecord(
        key=CommandKey(*_document(scope_and_key)),
        fingerprint=fingerprint,
        result=_document(result),
        refused=bool(refused),
        first_position=first_position,
        last_position=last_position,
        recorded_at=recorded_at,
    )


def _conflict(document: JsonObject) -> Conflict:
    unseen: dict[str, list[RecordedEvent]] = {}
    for events in document["unseen"]:
        for event in events:
            unseen.setdefault(event["stream_id"], []).append(event_from_json(event))
    return Conflict(
        actual_versions=document["versions"],
        unseen={stream_id: tuple(events) for stream_id, events in unseen.items()},
    )


def event_from_json(event: JsonObject) -> RecordedEvent:
    """Return an event that append_events told as a document."""
    return RecordedEvent(
        event_id=UUID(event["event_id"]),
        stream_id=event["stream_id"],
        version=event["version"],
        position=event["position"],
        event_type=event["event_type"],
        schema_version=event["schema_version"],
        data=event["data"],
        metadata=event["metadata"],
        occurred_at=datetime.fromisoformat(event["occurred_at"]).astimezone(UTC),
        recorded_at=datetime.fromisoformat(event["recorded_at"]).astimezone(UTC),
        hash=bytes.fromhex(event["hash"]),
    )


def _stream_entry(index: int, stream: StreamAppend) -> JsonObject:
    return {
        "commit": index,
        "stream_id": stream.stream_id,
        "expected": stream.expected_version,
        "previous": None if stream.previous_hash is None else stream.previous_hash.hex(),
        "events": [_event_entry(event, link) for event, link in zip(stream.events, stream.hashes, strict=True)],
    }


def _event_entry(event: NewEvent, link: bytes) -> JsonObject:
    data, metadata = canonical_documents(event)
    return {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "schema_version": event.schema_version,
        "data": orjson.Fragment(data),
        "metadata": orjson.Fragment(metadata),
        "occurred_at": event.occurred_at,
        "hash": link.hex(),
    }


def _command_entry(index: int, command: NewCommand) -> JsonObject:
    return {
        "commit": index,
        "scope": command.key.scope,
        "key": command.key.key,
        "fingerprint": command.fingerprint,
        "refused": command.refused,
        "result": command.result,
    }


def _snapshot_entry(index: int, snapshot: Snapshot) -> JsonObject:
    return {
        "commit": index,
        "stream_id": snapshot.stream_id,
        "schema_version": snapshot.schema_version,
        "version": snapshot.version,
        "state": snapshot.state,
    }


def _json(documents: list[JsonObject]) -> str:
    return orjson.dumps(documents).decode()


@lru_cache(maxsize=16)
def _moment(text: str) -> datetime:
    """Return a time that PostgreSQL wrote: all commits of a call have the same."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _document(stored: Any) -> Any:
    # Django tells psycopg to leave jsonb as text.
    return orjson.loads(stored) if isinstance(stored, str | bytes) else stored
