"""How the events of a stream become its state."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from eventstore.chain import canonical_documents
from eventstore.records import (
    JsonObject,
    LoadedStream,
    RecordedEvent,
    Snapshot,
    StoredState,
    StreamAppend,
    StreamRequest,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamKind:
    """How one kind of stream is folded. There is one of each kind, and states are kept by it.

    `apply(state, event_type, schema_version, data)` returns the next state, and leaves `state` as it is: states are
    kept and shared among commands. Snapshots of another schema version than `snapshot_schema_version` are ignored.
    """

    snapshot_schema_version: int
    initial: Callable[[], Any]
    apply: Callable[[Any, str, int, JsonObject], Any]
    to_snapshot: Callable[[Any], JsonObject]
    from_snapshot: Callable[[JsonObject], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A stream by its id, and how it is folded.

    One that is `presumed_new` is taken to have no event and is not loaded first; if it has, the append finds out.
    """

    stream_id: str
    kind: StreamKind
    presumed_new: bool = False


States: TypeAlias = Mapping[str, StoredState]


def request(stream: Stream) -> StreamRequest:
    """Return what to ask the store for."""
    return StreamRequest(stream_id=stream.stream_id, snapshot_schema_version=stream.kind.snapshot_schema_version)


def empty(stream: Stream) -> StoredState:
    """Return the state of a stream that has no event."""
    return StoredState(
        stream_id=stream.stream_id,
        version=0,
        hash=b"",
        occurred_at=None,
        snapshot_version=0,
        state=stream.kind.initial(),
    )


def fold_loaded(stream: Stream, loaded: LoadedStream) -> StoredState:
    """Return the state of a stream as the store gave it."""
    snapshot = loaded.snapshot
    if snapshot is None:
        return fold_events(stream, empty(stream), loaded.tail)
    base = StoredState(
        stream_id=stream.stream_id,
        version=snapshot.version,
        hash=snapshot.hash,
        occurred_at=snapshot.occurred_at,
        snapshot_version=snapshot.version,
        state=stream.kind.from_snapshot(snapshot.state),
    )
    return fold_events(stream, base, loaded.tail)


def fold_events(stream: Stream, base: StoredState, events: Sequence[RecordedEvent]) -> StoredState:
    """Return `base` after the events that follow it."""
    if not events:
        return base
    state = base.state
    for event in events:
        state = stream.kind.apply(state, event.event_type, event.schema_version, event.data)
    last = events[-1]
    return _moved_on(base, version=last.version, link=last.hash, occurred_at=last.occurred_at, state=state)


def fold_append(stream: Stream, base: StoredState, append: StreamAppend) -> StoredState:
    """Return `base` after an append to it, folded from what the store will give to read."""
    if not append.events:
        return base
    state = base.state
    for event in append.events:
        data, _ = canonical_documents(event)
        state = stream.kind.apply(state, event.event_type, event.schema_version, orjson.loads(data))
    return _moved_on(
        base,
        version=append.expected_version + len(append.events),
        link=append.hashes[-1],
        occurred_at=append.events[-1].occurred_at,
        state=state,
    )


def _moved_on(base: StoredState, *, version: int, link: bytes, occurred_at: datetime, state: Any) -> StoredState:
    # Spelled out, as every command comes here: `replace` takes twice as long.
    return StoredState(
        stream_id=base.stream_id,
        version=version,
        hash=link,
        occurred_at=occurred_at,
        snapshot_version=base.snapshot_version,
        state=state,
    )


def snapshot_of(stream: Stream, after: StoredState) -> Snapshot:
    """Return the snapshot of a stream's state."""
    if after.occurred_at is None:
        raise AssertionError("there is no snapshot of a stream without events")
    return Snapshot(
        stream_id=stream.stream_id,
        version=after.version,
        schema_version=stream.kind.snapshot_schema_version,
        state=stream.kind.to_snapshot(after.state),
        hash=after.hash,
        occurred_at=after.occurred_at,
    )
