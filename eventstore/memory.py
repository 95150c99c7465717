"""The event store in pure Python: for tests, and for a look around with no database at all."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice, pairwise
from threading import Lock
from typing import Any

import orjson

from eventstore.append_contract import check_commits
from eventstore.commit_group import CommitGroup
from eventstore.exceptions import InvalidAppend
from eventstore.records import (
    MAX_UNSEEN_EVENTS,
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
    StreamAppend,
    StreamRequest,
)
from eventstore.store import MAX_POSITION


class MemoryEventStore:
    """A log that lives and dies with its process; see `eventstore.store.EventStore` for what each method promises.

    One lock serialises everything, as the advisory lock does in the database: position order is commit order.
    """

    def __init__(self) -> None:
        self.group = CommitGroup()
        self._lock = Lock()
        self._log: list[RecordedEvent] = []
        self._streams: dict[str, list[RecordedEvent]] = {}
        self._commands: dict[CommandKey, CommandRecord] = {}
        self._snapshots: dict[tuple[str, int], Snapshot] = {}

    def check_may_append(self) -> None:
        """Nothing here is a transaction."""

    def append(self, commits: Sequence[Commit]) -> list[AppendResult]:
        check_commits(commits)
        with self._lock, ExitStack() as undo:
            recorded_at = datetime.now(UTC)
            results = [self._append_one(commit, recorded_at, undo) for commit in commits]
            # Reached only if no commit broke the contract: from here on there is nothing to take back.
            undo.pop_all()
            return results

    def right_of_way(self) -> AbstractContextManager[bool]:
        """All who write to this log are of this process, and wait for each other as it is."""
        return nullcontext(False)

    def load(
        self,
        streams: Sequence[StreamRequest],
        *,
        command_key: CommandKey | None = None,
        command_keys: Sequence[CommandKey] = (),
    ) -> Loaded:
        keys = [command_key] if command_key else command_keys
        with self._lock:
            return Loaded(
                streams={request.stream_id: self._load_stream(request) for request in streams},
                commands={key: _fresh_command(self._commands[key]) for key in keys if key in self._commands},
            )

    def read_stream(self, stream_id: str, *, after_version: int = 0, limit: int) -> list[RecordedEvent]:
        with self._lock:
            return self._events_after(stream_id, after_version, limit)

    def read_all(
        self, *, after_position: int, limit: int, up_to_position: int = MAX_POSITION, stream_prefix: str = ""
    ) -> list[RecordedEvent]:
        with self._lock:
            # The event at a position stands one place before it.
            events = map(self._log.__getitem__, range(after_position, min(up_to_position, len(self._log))))
            selected = (event for event in events if event.stream_id.startswith(stream_prefix))
            return [_fresh_event(event) for event in islice(selected, limit)]

    def head_position(self) -> int:
        with self._lock:
            return len(self._log)

    def forget_refusals(self, *, recorded_before: datetime, limit: int) -> int:
        with self._lock:
            # Commands stand in the order in which they were recorded.
            refusals = [command for command in self._commands.values() if command.refused]
            old = [refusal.key for refusal in refusals if refusal.recorded_at < recorded_before][:limit]
            for key in old:
                del self._commands[key]
            return len(old)

    def _append_one(self, commit: Commit, recorded_at: datetime, undo: ExitStack) -> AppendResult:
        if commit.command and (earlier := self._commands.get(commit.command.key)):
            return Duplicate(command=_fresh_command(earlier))
        if not all(self._stands_as_expected(stream) for stream in commit.streams):
            return self._conflict(commit)
        return self._write(commit, recorded_at, undo)

    def _conflict(self, commit: Commit) -> Conflict:
        unseen: dict[str, tuple[RecordedEvent, ...]] = {}
        room = MAX_UNSEEN_EVENTS
        for stream in commit.streams:
            # Whoever expected a new stream folded nothing yet: it has to load the stream anyway, snapshot first. So has
            # who built on an event that is not there.
            if stream.expected_version > 0 and room and self._holds_what_is_built_on(stream):
                events = self._events_after(stream.stream_id, stream.expected_version, room)
                room -= len(events)
                if events:
                    unseen[stream.stream_id] = tuple(events)
        actual_versions = {stream.stream_id: self._version(stream.stream_id) for stream in commit.streams}
        return Conflict(actual_versions=actual_versions, unseen=unseen)

    def _stands_as_expected(self, stream: StreamAppend) -> bool:
        return stream.expected_version == self._version(stream.stream_id) and self._holds_what_is_built_on(stream)

    def _holds_what_is_built_on(self, stream: StreamAppend) -> bool:
        """Return whether the event at the expected version is the one that the writer knows."""
        if stream.previous_hash is None or stream.expected_version == 0:
            return True
        kept = self._streams.get(stream.stream_id, [])
        return len(kept) >= stream.expected_version and kept[stream.expected_version - 1].hash == stream.previous_hash

    def _write(self, commit: Commit, recorded_at: datetime, undo: ExitStack) -> Appended:
        head = len(self._log)
        for stream in commit.streams:
            self._write_events(stream, recorded_at, undo)
        written = len(self._log) > head
        appended = Appended(
            versions={stream.stream_id: self._version(stream.stream_id) for stream in commit.streams},
            first_position=head + 1 if written else None,
            last_position=len(self._log) if written else None,
            recorded_at=recorded_at,
        )
        self._write_command(commit, appended, undo)
        for snapshot in commit.snapshots:
            self._write_snapshot(snapshot, undo)
        return appended

    def _write_events(self, stream: StreamAppend, recorded_at: datetime, undo: ExitStack) -> None:
        kept = self._streams.setdefault(stream.stream_id, [])
        _check_times(stream, kept[-1] if kept else None)
        events = _recorded(stream, position=len(self._log), recorded_at=recorded_at)
        for log in (kept, self._log):
            undo.callback(log.__delitem__, slice(len(log), None))
            log.extend(events)

    def _write_command(self, commit: Commit, appended: Appended, undo: ExitStack) -> None:
        if commit.command is None:
            return
        self._commands[commit.command.key] = CommandRecord(
            key=commit.command.key,
            fingerprint=commit.command.fingerprint,
            result=_through_json(commit.command.result),
            refused=commit.command.refused,
            first_position=appended.first_position,
            last_position=appended.last_position,
            recorded_at=appended.recorded_at,
        )
        undo.callback(self._commands.pop, commit.command.key)

    def _write_snapshot(self, snapshot: Snapshot, undo: ExitStack) -> None:
        key = (snapshot.stream_id, snapshot.schema_version)
        earlier = self._snapshots.get(key)
        if earlier is None:
            undo.callback(self._snapshots.pop, key)
        elif earlier.version >= snapshot.version:
            return
        else:
            undo.callback(self._snapshots.__setitem__, key, earlier)
        head = self._streams[snapshot.stream_id][-1]
        self._snapshots[key] = replace(_fresh_snapshot(snapshot), hash=head.hash, occurred_at=head.occurred_at)

    def _version(self, stream_id: str) -> int:
        return len(self._streams.get(stream_id, ()))

    def _events_after(self, stream_id: str, version: int, limit: int) -> list[RecordedEvent]:
        return [_fresh_event(event) for event in self._streams.get(stream_id, [])[version : version + limit]]

    def _load_stream(self, request: StreamRequest) -> LoadedStream:
        snapshot = self._snapshots.get((request.stream_id, request.snapshot_schema_version))
        version = snapshot.version if snapshot else 0
        return LoadedStream(
            stream_id=request.stream_id,
            snapshot=_fresh_snapshot(snapshot) if snapshot else None,
            tail=tuple(self._events_after(request.stream_id, version, self._version(request.stream_id))),
        )


def _check_times(stream: StreamAppend, head: RecordedEvent | None) -> None:
    times = [event.occurred_at for event in (head, *stream.events) if event]
    if any(later < earlier for earlier, later in pairwise(times)):
        raise InvalidAppend(f"an event of {stream.stream_id} occurred before the one that it follows")


def _recorded(stream: StreamAppend, *, position: int, recorded_at: datetime) -> list[RecordedEvent]:
    """Return the events of `stream` as they stand in a log whose head is `position`."""
    return [
        RecordedEvent(
            event_id=event.event_id,
            stream_id=stream.stream_id,
            version=stream.expected_version + offset,
            position=position + offset,
            event_type=event.event_type,
            schema_version=event.schema_version,
            data=_through_json(event.data),
            metadata=_through_json(event.metadata),
            occurred_at=event.occurred_at.astimezone(UTC),
            recorded_at=recorded_at,
            hash=link,
        )
        for offset, (event, link) in enumerate(zip(stream.events, stream.hashes, strict=True), start=1)
    ]


# What comes in and what goes out is a copy, so that no caller can change the log through a document he holds.


def _through_json(document: JsonObject) -> Any:
    return orjson.loads(orjson.dumps(document))


def _fresh_event(event: RecordedEvent) -> RecordedEvent:
    return event._replace(data=_through_json(event.data), metadata=_through_json(event.metadata))


def _fresh_snapshot(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, state=_through_json(snapshot.state))


def _fresh_command(command: CommandRecord) -> CommandRecord:
    return replace(command, result=_through_json(command.result))
