"""The frozen records that cross the event store's interface."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

JsonObject: TypeAlias = Mapping[str, Any]
"""What a jsonb column holds: text keys; text, whole numbers, booleans, null, lists and objects; no float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """A fact that is about to be appended; the store gives it its version and position.

    `event_type` and `schema_version` name its stored shape, `data` holds what happened, `metadata` who asked for it.
    `occurred_at` is business time in UTC. `canonical` belongs to `eventstore.chain`, which checks and writes out an
    event's documents once, for its hash and for the log.
    """

    event_id: UUID
    event_type: str
    schema_version: int
    data: JsonObject
    metadata: JsonObject
    occurred_at: datetime
    canonical: tuple[bytes, bytes] | None = field(default=None, init=False, repr=False, compare=False)


class RecordedEvent(NamedTuple):
    """An event as the log holds it; a tuple, as some millions of them are read in a row.

    `version` counts within the stream and `position` over the whole log, both 1, 2, 3 … with no gap. `recorded_at` is
    the time of insertion. `hash` is the link of the stream's hash chain (see `eventstore.chain`).
    """

    position: int
    stream_id: str
    version: int
    event_id: UUID
    event_type: str
    schema_version: int
    data: JsonObject
    metadata: JsonObject
    occurred_at: datetime
    recorded_at: datetime
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The folded state of a stream at `version`, and what a writer must know of that version's event.

    `schema_version` is the shape of `state`; a reader of another shape ignores the snapshot. `hash` and `occurred_at`
    are those of the event at `version`.
    """

    stream_id: str
    version: int
    schema_version: int
    state: JsonObject
    hash: bytes
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAppend:
    """Events for one stream, which must stand at `expected_version`; with no events it is a guard.

    `previous_hash` is the hash of the event at `expected_version` (b"" at 0): a stream that holds another one there is
    not the one that was decided on. None leaves that unchecked. `hashes` has one entry for each event, made by
    `eventstore.chain.chain_hashes`.
    """

    stream_id: str
    expected_version: int
    previous_hash: bytes | None = None
    events: tuple[NewEvent, ...] = ()
    hashes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandKey:
    """An idempotency key: `key` is unique within `scope` (one client, or a reserved scope of the bank)."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCommand:
    """The verdict on a keyed command, written in the same commit as its events."""

    key: CommandKey
    fingerprint: str
    result: JsonObject
    refused: bool


class Outcome(NamedTuple):
    """The verdict on a command: `result` as decided, where its events stand in the log, and whether it is a replay."""

    result: JsonObject
    refused: bool
    replayed: bool
    first_position: int | None
    last_position: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """A stored verdict. The positions are those of the commit's events, or None if it had none."""

    key: CommandKey
    fingerprint: str
    result: JsonObject
    refused: bool
    first_position: int | None
    last_position: int | None
    recorded_at: datetime

    @property
    def outcome(self) -> Outcome:
        """The verdict as whoever repeats the command gets it."""
        return Outcome(
            result=self.result,
            refused=self.refused,
            replayed=True,
            first_position=self.first_position,
            last_position=self.last_position,
        )


class Commit(NamedTuple):
    """All or nothing: events and guards for one or more streams, perhaps a verdict, perhaps snapshots."""

    streams: tuple[StreamAppend, ...]
    command: NewCommand | None = None
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """The commit is in the log. `versions` are the streams' versions after it; positions are None without events."""

    versions: Mapping[str, int]
    first_position: int | None
    last_position: int | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A stream of the commit was not at its expected version, or not with that hash; nothing of it was written.

    `actual_versions` has every stream of the commit. `unseen` has, for the streams whose expected version was above 0
    and below the actual one, the events after the expected version in order, at most `MAX_UNSEEN_EVENTS` in all, and
    none for a stream that has another hash there: a stream whose last unseen event is not at its actual version must be
    loaded again.
    """

    actual_versions: Mapping[str, int]
    unseen: Mapping[str, tuple[RecordedEvent, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """The commit's command key was used before, by `command`; nothing of the commit was written."""

    command: CommandRecord


AppendResult: TypeAlias = Appended | Conflict | Duplicate

MAX_UNSEEN_EVENTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """Which stream to load, and the snapshot shape the caller understands."""

    stream_id: str
    snapshot_schema_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedStream:
    """A stream as read: its latest snapshot of the requested shape, and every event after it, in order."""

    stream_id: str
    snapshot: Snapshot | None
    tail: tuple[RecordedEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The streams asked for (also those with no event), and the verdicts stored under command keys, where any are."""

    streams: Mapping[str, LoadedStream]
    commands: Mapping[CommandKey, CommandRecord]

    @property
    def command(self) -> CommandRecord | None:
        """The verdict, for who asked for one."""
        return next(iter(self.commands.values()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredState:
    """What a stream folds to. `version` 0 and `hash` b"" mean that it has no event yet.

    `snapshot_version` is the version of the snapshot it was folded from, 0 without one.
    """

    stream_id: str
    version: int
    hash: bytes
    occurred_at: datetime | None
    snapshot_version: int
    state: Any


class DraftEvent(NamedTuple):
    """An event as `decide` makes it: identity, stored shape and data; the rest comes from the execution."""

    event_id: UUID
    event_type: str
    schema_version: int
    data: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What `decide` made of a command: new events by stream, and the verdict's stored result.

    `result` is plain JSON from which the answer, and every replay of it, is rendered. `refused` marks a refusal by a
    business rule.
    """

    events: Mapping[str, tuple[DraftEvent, ...]] = field(default_factory=dict)
    result: JsonObject = field(default_factory=dict)
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """What surrounds a command and is not part of it.

    `key` and `fingerprint` make it idempotent. `expected_versions` are those the client asked for. `metadata` is kept
    with each event (correlationId, actor, …). `occurred_at` is the business time if it is not now (imports, samples).
    """

    key: CommandKey | None = None
    fingerprint: str = ""
    expected_versions: Mapping[str, int] = field(default_factory=dict)
    metadata: JsonObject = field(default_factory=dict)
    occurred_at: datetime | None = None
