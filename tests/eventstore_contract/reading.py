"""What the contract's tests ask of a store again and again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventstore.chain import event_hash
from eventstore.records import (
    Appended,
    CommandKey,
    Commit,
    Conflict,
    Duplicate,
    NewEvent,
    RecordedEvent,
    StreamAppend,
    StreamRequest,
)
from eventstore.store import EventStore
from tests.factories import CommitFactory

ANY_NUMBER = 1_000_000


# Any stands for results and for what may be None: each test says itself what it expects there.


def append_call(store: EventStore, *commits: Commit) -> list[Any]:
    """Append several commits in one call."""
    results = store.append(commits)
    assert len(results) == len(commits)
    return list(results)


def append(store: EventStore, *streams: StreamAppend, **commit: Any) -> Any:
    """Append one commit that must go through."""
    (result,) = store.append([CommitFactory.build(streams=streams, **commit)])
    assert isinstance(result, Appended), result
    return result


def conflict(store: EventStore, commit: Commit) -> Any:
    """Append one commit that must conflict."""
    (result,) = store.append([commit])
    assert isinstance(result, Conflict), result
    return result


def duplicate(store: EventStore, commit: Commit) -> Any:
    """Append one commit that must be known already."""
    (result,) = store.append([commit])
    assert isinstance(result, Duplicate), result
    return result


def kinds(results: list[Any]) -> list[type]:
    """Return what became of each commit."""
    return [type(result) for result in results]


def events_of(store: EventStore, stream: StreamAppend | str) -> list[RecordedEvent]:
    """Return every event of one stream."""
    stream_id = stream if isinstance(stream, str) else stream.stream_id
    return store.read_stream(stream_id, limit=ANY_NUMBER)


def load(store: EventStore, *streams: StreamAppend | str, key: CommandKey | None = None) -> Any:
    """Load streams with snapshots of schema version 1."""
    stream_ids = [stream if isinstance(stream, str) else stream.stream_id for stream in streams]
    requests = [StreamRequest(stream_id=stream_id, snapshot_schema_version=1) for stream_id in stream_ids]
    return store.load(requests, command_key=key)


def load_one(store: EventStore, stream: StreamAppend, *, snapshot_schema_version: int = 1) -> Any:
    """Load one stream with a snapshot of some schema version."""
    request = StreamRequest(stream_id=stream.stream_id, snapshot_schema_version=snapshot_schema_version)
    return store.load([request]).streams[stream.stream_id]


def ids(events: Sequence[NewEvent | RecordedEvent]) -> list[UUID]:
    """Return the identities of events, in their order."""
    return [event.event_id for event in events]


def assert_chain_holds(events: list[RecordedEvent]) -> None:
    """Recompute every link of a whole stream from what was read, and compare."""
    previous_hash = b""
    for version, event in enumerate(events, start=1):
        previous_hash = event_hash(previous_hash=previous_hash, stream_id=event.stream_id, version=version, event=event)
        assert (event.version, event.hash) == (version, previous_hash)
