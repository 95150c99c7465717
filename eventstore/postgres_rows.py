"""How the records of the event store travel to PostgreSQL and back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

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
    RecordedEvent,
    Snapshot,
    StreamRequest,
)

Row = tuple[Any, ...]


def append_parameters(commits: Sequence[Commit]) -> dict[str, list[Any]]:
    """Return the arrays of the SQL function append_events: by commit, by stream of each commit, and by event."""
    commands = [commit.command for commit in commits]
    streams = [
        (index, stream, next((s for s in commit.snapshots if s.stream_id == stream.stream_id), None))
        for index, commit in enumerate(commits, start=1)
        for stream in commit.streams
    ]
    events = [event for _, stream, _ in streams for event in stream.events]
    return {
        "command_scopes": [command and command.key.scope for command in commands],
        "command_keys": [command and command.key.key for command in commands],
        "fingerprints": [command and command.fingerprint for command in commands],
        "refusals": [command and command.refused for command in commands],
        "results": [command and _json(command.result) for command in commands],
        "commit_indexes": [index for index, _, _ in streams],
        "stream_ids": [stream.stream_id for _, stream, _ in streams],
        "expected_versions": [stream.expected_version for _, stream, _ in streams],
        "event_counts": [len(stream.events) for _, stream, _ in streams],
        "snapshot_schemas": [snapshot and snapshot.schema_version for _, _, snapshot in streams],
        "snapshot_states": [snapshot and _json(snapshot.state) for _, _, snapshot in streams],
        "event_ids": [event.event_id for event in events],
        "event_types": [event.event_type for event in events],
        "schema_versions": [event.schema_version for event in events],
        "datas": [_json(event.data) for event in events],
        "metadatas": [_json(event.metadata) for event in events],
        "occurred_ats": [event.occurred_at for event in events],
        "hashes": [link for _, stream, _ in streams for link in stream.hashes],
    }


def append_result(*, commit: Commit, row: Row) -> AppendResult:
    """Return what became of `commit`, from its row of append_events."""
    _, status, first_position, last_position, recorded_at, detail = row
    if status == "appended":
        return Appended(
            versions={stream.stream_id: stream.expected_version + len(stream.events) for stream in commit.streams},
            first_position=first_position,
            last_position=last_position,
            recorded_at=recorded_at,
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
            recorded_at=recorded_at,
        )
    )


def loaded(*, streams: Sequence[StreamRequest], command_key: CommandKey | None, rows: Sequence[Row]) -> Loaded:
    """Return what load_streams read: rows of kind command, snapshot and event."""
    command: CommandRecord | None = None
    snapshots: dict[str, Snapshot] = {}
    tails: dict[str, list[RecordedEvent]] = {request.stream_id: [] for request in streams}
    for kind, *columns in rows:
        if kind == "event":
            event = recorded_event(tuple(columns))
            tails[event.stream_id].append(event)
        elif kind == "snapshot":
            snapshot = _snapshot(columns)
            snapshots[snapshot.stream_id] = snapshot
        elif command_key is not None:
            command = _command(command_key, columns)
    return Loaded(
        streams={
            stream_id: LoadedStream(stream_id=stream_id, snapshot=snapshots.get(stream_id), tail=tuple(tail))
            for stream_id, tail in tails.items()
        },
        command=command,
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


def _command(key: CommandKey, columns: Sequence[Any]) -> CommandRecord:
    # load_streams lends the columns of an event: see its SQL.
    last_position, _, first_position, _, fingerprint, refused, result, _, _, recorded_at, _ = columns
    return CommandRecord(
        key=key,
        fingerprint=fingerprint,
        result=_document(result),
        refused=bool(refused),
        first_position=first_position,
        last_position=last_position,
        recorded_at=recorded_at,
    )


def _conflict(document: JsonObject) -> Conflict:
    unseen: dict[str, list[RecordedEvent]] = {}
    for event in document["unseen"]:
        unseen.setdefault(event["stream_id"], []).append(_event_from_json(event))
    return Conflict(
        actual_versions=document["versions"],
        unseen={stream_id: tuple(events) for stream_id, events in unseen.items()},
    )


def _event_from_json(event: JsonObject) -> RecordedEvent:
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


def _json(document: JsonObject) -> str:
    return orjson.dumps(document).decode()


def _document(stored: Any) -> Any:
    # Django tells psycopg to leave jsonb as text.
    return orjson.loads(stored) if isinstance(stored, str | bytes) else stored
