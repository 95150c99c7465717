"""One stream folded from its first event, and all that can be checked of the log's side of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from eventstore.chain import event_hash
from eventstore.exceptions import InvalidEventData
from eventstore.execution import StreamKind
from eventstore.records import RecordedEvent
from projections.verification.books import Books
from projections.verification.canonical import canonical, canonical_text
from projections.verification.differences import IN_FLIGHT, SNAPSHOT, Findings
from projections.verification.kinds import ACCOUNTS, TRANSFERS, FoldedKind, kind_of
from transfers.domain import transfer as transfers

NO_TIME = datetime(9999, 1, 1, tzinfo=UTC)
"""What stands for a time that no calendar has: see sql/verification_events.sql."""

NOT_LISTED = "no row"


class StoredSnapshot(NamedTuple):
    """A row of `snapshots`; `state` is its JSON."""

    schema_version: int
    version: int
    state: str
    hash: bytes
    occurred_at: datetime


class Anchor(NamedTuple):
    """An event up to which the stream was found sound: the link of its chain, and the seal.

    The seal is a hash over position, time of recording and link of all events up to it: what the chain, which is made
    before the log gives an event its place, cannot cover.
    """

    version: int
    hash: bytes
    seal: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOfStream:
    """What other tables keep of a stream: where it was found sound before, its snapshots, its place among transfers
    in flight (a tuple with `resume_at`, empty if it is not listed)."""

    anchor: Anchor | None = None
    snapshots: Sequence[StoredSnapshot] = ()
    in_flight: tuple[datetime | None, ...] = ()


@dataclass(slots=True)
class _SnapshotFold:
    """A fold of one of the kinds that snapshots are made by."""

    kind: StreamKind
    state: Any


class StreamFold:
    """Takes the events of a stream in order, and adds to `findings` what is wrong with them.

    Each link of the chain is judged by the link that is stored before it: so one altered event is one difference.
    """

    def __init__(
        self, *, findings: Findings, kept: KeptOfStream, books: Books | None, head: int, stamp_position: int
    ) -> None:
        self.version = 0
        self._findings = findings
        self._stream_id = findings.stream_id
        self._kept = kept
        self._books = books
        self._head = head
        self._stamp_position = stamp_position
        self._stamp: Anchor | None = None
        self._kind = kind_of(self._stream_id)
        self._state: Any = self._kind.initial() if self._kind else None
        self._state_at_head: Any = self._state
        self._snapshots = _by_version(kept.snapshots)
        self._snapshot_folds = _snapshot_folds(self._kind, kept.snapshots)
        self._hash = b""
        self._seal = hashlib.sha256()
        self._position = 0
        self._occurred_at: datetime | None = None
        self._is_foldable = self._kind is not None

    def take(self, event: RecordedEvent) -> None:
        """Check the next event, and fold it."""
        if self._stamp is None and event.position > self._stamp_position:
            self._stamp = self._here()
        self._check_link(event)
        self._check_order(event)
        self.version, self._hash = event.version, event.hash
        self._position, self._occurred_at = event.position, event.occurred_at
        self._seal.update(f"{event.position} {event.recorded_at.astimezone(UTC).isoformat()} ".encode() + event.hash)
        if self._kind and self._is_foldable:
            self._fold(self._kind, event)
        if event.version in self._snapshots:
            self._check_snapshots(event)
        if self._kept.anchor and self._kept.anchor.version == event.version:
            self._check_anchor(self._kept.anchor)

    def end(self) -> Anchor | None:
        """Check what refers to the end of the stream; return how far it can be vouched for if nothing else is wrong."""
        if self._kept.anchor and self._kept.anchor.version > self.version:
            self._differs("versions", self.version, "last version", self._kept.anchor.version, self.version)
        for snapshots in self._snapshots.values():
            for snapshot in snapshots:
                self._snapshot_differs(snapshot, "version", f"that of an event up to {self.version}", snapshot.version)
        if self._kind is None or self._is_foldable:
            self._check_in_flight()
        if self._books is not None and self._kind is ACCOUNTS:
            self._books.add_account(self._state_at_head)
        elif self._books is not None and self._kind is TRANSFERS:
            self._books.add_transfer(self._state_at_head)
        return self._stamp or self._here()

    def _here(self) -> Anchor | None:
        return Anchor(self.version, self._hash, self._seal.digest()) if self.version else None

    def _check_link(self, event: RecordedEvent) -> None:
        if event.version != self.version + 1:
            # Without its predecessor nobody can say what the link should be.
            self._differs("versions", event.version, "version", self.version + 1, event.version)
            return
        try:
            link: Any = event_hash(
                previous_hash=self._hash, stream_id=self._stream_id, version=event.version, event=event
            )
        except InvalidEventData as error:
            link = f"that of an event, but {error}"
        if link != event.hash:
            self._differs("chain", event.version, "hash", link, event.hash)

    def _check_order(self, event: RecordedEvent) -> None:
        if self._occurred_at is not None and event.occurred_at < self._occurred_at:
            expected = f"not before {self._occurred_at.isoformat()}"
            self._differs("order", event.version, "occurred_at", expected, event.occurred_at)
        if event.position <= self._position:
            self._differs("order", event.version, "position", f"above {self._position}", event.position)
        if event.recorded_at >= NO_TIME:
            self._differs("order", event.version, "recorded_at", "a time", "none that there is")

    def _fold(self, kind: FoldedKind, event: RecordedEvent) -> None:
        try:
            self._state, decoded = kind.after(self._state, event)
            for fold in self._snapshot_folds.values():
                fold.state = fold.kind.apply(fold.state, event.event_type, event.schema_version, event.data)
        except Exception as error:
            # Whatever is wrong with the event, nothing after it can be folded.
            self._is_foldable = False
            self._differs("fold", event.version, "data", "an event that can follow", f"{type(error).__name__}: {error}")
            return
        if self._books is not None and event.position <= self._head:
            self._state_at_head = self._state
            if kind is ACCOUNTS:
                self._books.add_event(decoded)

    def _check_snapshots(self, event: RecordedEvent) -> None:
        for snapshot in self._snapshots.pop(event.version):
            expected: dict[str, Any] = {"hash": event.hash, "occurred_at": event.occurred_at}
            actual: dict[str, Any] = {"hash": snapshot.hash, "occurred_at": snapshot.occurred_at}
            if self._is_foldable and (fold := self._snapshot_folds.get(snapshot.schema_version)):
                expected["state"] = canonical(fold.kind.to_snapshot(fold.state))
                actual["state"] = canonical_text(snapshot.state)
            for column, value in expected.items():
                if actual[column] != value:
                    self._snapshot_differs(snapshot, column, value, actual[column])

    def _check_anchor(self, anchor: Anchor) -> None:
        if anchor.hash != self._hash:
            self._differs("chain", anchor.version, "hash found sound before", anchor.hash, self._hash)
        elif anchor.seal != self._seal.digest():
            expected = "those of when it was found sound before"
            self._differs("seal", anchor.version, "positions and times of recording up to it", expected, "others")

    def _check_in_flight(self) -> None:
        expected: Any = NOT_LISTED
        if self._kind is TRANSFERS and self._state.state in transfers.IN_FLIGHT:
            resume_at = self._state.resume_at
            expected = datetime.fromisoformat(resume_at) if resume_at else None
        actual = self._kept.in_flight[0] if self._kept.in_flight else NOT_LISTED
        if actual != expected:
            self._findings.add(
                check=IN_FLIGHT,
                place="transfers_in_flight",
                key="",
                column="resume_at",
                expected=expected,
                actual=actual,
            )

    def _snapshot_differs(self, snapshot: StoredSnapshot, column: str, expected: Any, actual: Any) -> None:
        self._findings.add(
            check=SNAPSHOT,
            place="snapshots",
            key=f"schema {snapshot.schema_version} at version {snapshot.version}",
            column=column,
            expected=expected,
            actual=actual,
        )

    def _differs(self, check: str, version: int, column: str, expected: Any, actual: Any) -> None:
        self._findings.add(
            check=check, place="event", key=str(version), column=column, expected=expected, actual=actual
        )


def _by_version(snapshots: Sequence[StoredSnapshot]) -> dict[int, list[StoredSnapshot]]:
    by_version: dict[int, list[StoredSnapshot]] = {}
    for snapshot in snapshots:
        by_version.setdefault(snapshot.version, []).append(snapshot)
    return by_version


def _snapshot_folds(kind: FoldedKind | None, snapshots: Sequence[StoredSnapshot]) -> Mapping[int, _SnapshotFold]:
    """Return a fold for each shape of snapshots that there are; whatever else they hold, nobody can read it."""
    stored = {snapshot.schema_version for snapshot in snapshots}
    return {
        one.snapshot_schema_version: _SnapshotFold(one, one.initial())
        for one in (kind.snapshot_kinds if kind else ())
        if one.snapshot_schema_version in stored
    }
