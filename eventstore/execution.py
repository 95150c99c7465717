"""The one way to change anything: load, decide, append, and decide again on conflict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from django.conf import settings

from eventstore import metrics
from eventstore.chain import chain_hashes
from eventstore.exceptions import (
    Contention,
    IdempotencyKeyReused,
    InvalidAppend,
    OutcomeUnknown,
    StoreUnavailable,
    VersionConflict,
)
from eventstore.records import (
    Appended,
    CommandContext,
    CommandRecord,
    Commit,
    Conflict,
    Decision,
    DraftEvent,
    Duplicate,
    JsonObject,
    LoadedStream,
    NewCommand,
    NewEvent,
    Outcome,
    RecordedEvent,
    Snapshot,
    StoredState,
    StreamAppend,
    StreamRequest,
)
from eventstore.store import EventStore, event_store


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKind:
    """How one kind of stream is folded.

    `apply(state, event_type, schema_version, data)` returns the next state; snapshots of another schema version than
    `snapshot_schema_version` are ignored.
    """

    snapshot_schema_version: int
    initial: Callable[[], Any]
    apply: Callable[[Any, str, int, JsonObject], Any]
    to_snapshot: Callable[[Any], JsonObject]
    from_snapshot: Callable[[JsonObject], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A stream by its id, and how it is folded."""

    stream_id: str
    kind: StreamKind


NewId: TypeAlias = Callable[[], UUID]
States: TypeAlias = Mapping[str, StoredState]
Decide: TypeAlias = Callable[[States, Any, datetime, NewId], Decision]
"""`decide(states, command, now, new_id)`: pure; it reads no clock, no random, no thread-local and no database."""
Permit: TypeAlias = Callable[[States], Decision | None]
"""The refusal that keeps the sender of a command from its streams, or None; as pure as `decide`."""


def execute(
    *,
    streams: Sequence[Stream],
    command: Any,
    decide: Decide,
    context: CommandContext,
    permit: Permit = lambda states: None,
    store: EventStore | None = None,
) -> Outcome:
    """Decide `command` on the present state of `streams` and append the decision, once per command key.

    A refusal is appended too, as a guard on the streams it was decided on: so one decided on stale state comes back as
    a conflict and is decided again. Precedence: other fingerprint, duplicate, permit, expected version, business rule.
    What `permit` refuses is a verdict as any other. It comes before the expected version, so that whoever may not see a
    stream does not learn its version either.

    Raises IdempotencyKeyReused, VersionConflict, Contention after settings.EXECUTE_MAX_ATTEMPTS conflicts,
    StoreUnavailable, and OutcomeUnknown if the connection broke and no key tells what became of the append.
    """
    store = store or event_store()
    loading = _Loading(store=store, streams=streams, context=context)
    states, verdict = loading.load()
    for attempt in range(settings.EXECUTE_MAX_ATTEMPTS):
        if verdict:
            return _replay(verdict, context)
        refusal = permit(states)
        if refusal is None:
            _check_expected_versions(states, context)
        now = _business_time(states, context)
        if attempt:
            metrics.RETRIES.inc()
        decision = refusal or decide(states, command, now, uuid4)
        try:
            [result] = store.append([_commit(streams, states, decision, context, now)])
        except OutcomeUnknown as unknown:
            states, verdict = loading.load_after(unknown)
            continue
        match result:
            case Appended():
                return _outcome(decision, result)
            case Duplicate():
                verdict = result.command
            case Conflict():
                metrics.CONFLICTS.inc()
                states, verdict = loading.catch_up(states, result)
    metrics.CONTENTION.inc()
    raise Contention(f"{settings.EXECUTE_MAX_ATTEMPTS} attempts met a conflict")


def load_state(*, stream: Stream, store: EventStore | None = None) -> StoredState:
    """Return what `stream` folds to now; version 0 if it has no event."""
    loaded = (store or event_store()).load([_request(stream)])
    return _fold(stream, loaded.streams[stream.stream_id])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loading:
    """The states of one execution's streams, and the verdict under its key if there is one, again and again."""

    store: EventStore
    streams: Sequence[Stream]
    context: CommandContext

    def load(self) -> tuple[States, CommandRecord | None]:
        loaded = self.store.load([_request(stream) for stream in self.streams], command_key=self.context.key)
        states = {stream.stream_id: _fold(stream, loaded.streams[stream.stream_id]) for stream in self.streams}
        return states, loaded.command

    def load_after(self, unknown: OutcomeUnknown) -> tuple[States, CommandRecord | None]:
        """Load after an append that may or may not have happened: only the command key can tell, now or at the next."""
        if self.context.key is None:
            raise unknown
        try:
            return self.load()
        except StoreUnavailable:
            raise unknown from None

    def catch_up(self, states: States, conflict: Conflict) -> tuple[States, CommandRecord | None]:
        """Fold the events that the conflict brought; load again if it could not bring them all."""
        current = {
            stream.stream_id: _fold_events(stream, states[stream.stream_id], conflict.unseen.get(stream.stream_id, ()))
            for stream in self.streams
        }
        if any(current[stream_id].version != version for stream_id, version in conflict.actual_versions.items()):
            return self.load()
        return current, None


def _request(stream: Stream) -> StreamRequest:
    return StreamRequest(stream_id=stream.stream_id, snapshot_schema_version=stream.kind.snapshot_schema_version)


def _fold(stream: Stream, loaded: LoadedStream) -> StoredState:
    snapshot = loaded.snapshot
    base = StoredState(
        stream_id=stream.stream_id,
        version=snapshot.version if snapshot else 0,
        hash=snapshot.hash if snapshot else b"",
        occurred_at=snapshot.occurred_at if snapshot else None,
        snapshot_version=snapshot.version if snapshot else 0,
        state=stream.kind.from_snapshot(snapshot.state) if snapshot else stream.kind.initial(),
    )
    return _fold_events(stream, base, loaded.tail)


def _fold_events(stream: Stream, base: StoredState, events: Sequence[RecordedEvent]) -> StoredState:
    if not events:
        return base
    state = base.state
    for event in events:
        state = stream.kind.apply(state, event.event_type, event.schema_version, event.data)
    last = events[-1]
    return replace(base, version=last.version, hash=last.hash, occurred_at=last.occurred_at, state=state)


def _replay(record: CommandRecord, context: CommandContext) -> Outcome:
    if record.fingerprint != context.fingerprint:
        raise IdempotencyKeyReused(key=record.key.key)
    metrics.DUPLICATES.inc()
    return record.outcome


def _outcome(decision: Decision, appended: Appended) -> Outcome:
    metrics.APPENDS.inc()
    if decision.refused:
        metrics.REFUSALS.labels(decision.result.get("code", "")).inc()
    else:
        metrics.EVENTS_APPENDED.inc(sum(map(len, decision.events.values())))
    return Outcome(
        result=decision.result,
        refused=decision.refused,
        replayed=False,
        first_position=appended.first_position,
        last_position=appended.last_position,
    )


def _check_expected_versions(states: States, context: CommandContext) -> None:
    for stream_id, expected_version in context.expected_versions.items():
        if states[stream_id].version != expected_version:
            raise VersionConflict(
                stream_id=stream_id, expected_version=expected_version, actual_version=states[stream_id].version
            )


def _business_time(states: States, context: CommandContext) -> datetime:
    """Return when the command happens: never before what happened already in its streams, whatever the clocks say."""
    heads = [state.occurred_at for state in states.values() if state.occurred_at]
    return max([context.occurred_at or datetime.now(UTC), *heads])


def _commit(
    streams: Sequence[Stream], states: States, decision: Decision, context: CommandContext, now: datetime
) -> Commit:
    if not decision.events.keys() <= states.keys():
        raise InvalidAppend("a decision may only write to the streams it was made on")
    appends = {
        stream_id: _stream_append(state, decision.events.get(stream_id, ()), context, now)
        for stream_id, state in states.items()
    }
    snapshots = (
        _snapshot(stream, states[stream.stream_id], appends[stream.stream_id])
        for stream in streams
        if _snapshot_is_due(states[stream.stream_id], appends[stream.stream_id])
    )
    return Commit(streams=tuple(appends.values()), command=_new_command(decision, context), snapshots=tuple(snapshots))


def _new_command(decision: Decision, context: CommandContext) -> NewCommand | None:
    if context.key is None:
        return None
    return NewCommand(
        key=context.key, fingerprint=context.fingerprint, result=decision.result, refused=decision.refused
    )


def _stream_append(
    state: StoredState, drafts: Sequence[DraftEvent], context: CommandContext, now: datetime
) -> StreamAppend:
    events = tuple(
        NewEvent(
            event_id=draft.event_id,
            event_type=draft.event_type,
            schema_version=draft.schema_version,
            data=draft.data,
            metadata=context.metadata,
            occurred_at=now,
        )
        for draft in drafts
    )
    return StreamAppend(
        stream_id=state.stream_id,
        expected_version=state.version,
        events=events,
        hashes=chain_hashes(stream_id=state.stream_id, version=state.version, previous_hash=state.hash, events=events),
    )


def _snapshot_is_due(state: StoredState, append: StreamAppend) -> bool:
    tail_events = state.version + len(append.events) - state.snapshot_version
    return bool(append.events) and tail_events >= settings.SNAPSHOT_EVERY_EVENTS


def _snapshot(stream: Stream, state: StoredState, append: StreamAppend) -> Snapshot:
    after = state.state
    for event in append.events:
        after = stream.kind.apply(after, event.event_type, event.schema_version, event.data)
    return Snapshot(
        stream_id=stream.stream_id,
        version=state.version + len(append.events),
        schema_version=stream.kind.snapshot_schema_version,
        state=stream.kind.to_snapshot(after),
        hash=append.hashes[-1],
        occurred_at=append.events[-1].occurred_at,
    )
