"""A slice of a verification: some streams, one after another, in one consistent view of the database."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from eventstore.postgres_rows import recorded_event
from eventstore.records import RecordedEvent
from projections.engine import DATABASE_IS_AWAY
from projections.projector import Projector, Row, selects
from projections.verification import sorted_rows
from projections.verification.books import Books
from projections.verification.consistent_view import View
from projections.verification.differences import Findings, Parked
from projections.verification.sorted_rows import SortedRows, StreamRange, read_model_rows, statement_rows
from projections.verification.stream_fold import Anchor, KeptOfStream, StoredSnapshot, StreamFold
from projections.verification.stream_rows import StreamRows


@dataclass(slots=True, kw_only=True)
class Slice:
    """What was seen: `last_stream_id` is the last stream, None if there was none; `is_last` whether none is left.

    `sound` has how far the streams without a fault can be vouched for, `findings` the streams with one.
    """

    events: int = 0
    streams: int = 0
    last_stream_id: str | None = None
    is_last: bool = False
    sound: dict[str, Anchor] = field(default_factory=dict)
    findings: list[Findings] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to verify a slice against: a view, and the projections whose rows are compared.

    What events up to `head` come to is added to `books`. `on_events` is told how many events were taken, page by page.
    """

    view: View
    projectors: Sequence[Projector[Any]]
    books: Books | None = None
    head: int = 0
    on_events: Callable[[int], None] = lambda events: None


def verify_streams(*, task: Task, streams: StreamRange, until: float = math.inf) -> Slice:
    """Verify streams in the order of their ids until the monotonic clock says `until`: at least one, and it whole."""
    made = Slice()
    with ExitStack() as open_cursors:
        tables = _Tables(streams, task.projectors, open_cursors)
        while (stream_id := tables.next_stream_id()) is not None:
            if made.streams and time.monotonic() >= until:
                return made
            _verify_stream(task, tables, stream_id, made)
            made.streams += 1
            made.last_stream_id = stream_id
    made.is_last = True
    return made


class _Tables:
    """Everything that is kept of a range of streams, in the order of their ids."""

    def __init__(self, streams: StreamRange, projectors: Sequence[Projector[Any]], open_cursors: ExitStack) -> None:
        def opened(rows: Generator[tuple[str, Any], None, None]) -> SortedRows[Any]:
            return open_cursors.enter_context(closing(SortedRows(rows)))

        def kept(stem: str) -> SortedRows[Row]:
            return opened((row[0], row[1:]) for row in statement_rows(stem=stem, streams=streams))

        self.events: SortedRows[RecordedEvent] = opened(
            (row[1], _event(row)) for row in statement_rows(stem="verification_events", streams=streams)
        )
        self.anchors = kept("verification_anchors")
        self.snapshots = kept("verification_snapshots")
        self.in_flight = kept("verification_in_flight")
        self.parked = kept("verification_parked")
        self.read_models = [
            (projector, opened(read_model_rows(projector=projector, streams=streams))) for projector in projectors
        ]
        self._all: tuple[SortedRows[Any], ...] = (
            self.events,
            self.anchors,
            self.snapshots,
            self.in_flight,
            self.parked,
            *(rows for _, rows in self.read_models),
        )

    def next_stream_id(self) -> str | None:
        """Return the next stream of which anything is kept; None if there is none."""
        return min((rows.next_id for rows in self._all if rows.next_id is not None), default=None)

    def kept_of(self, stream_id: str) -> KeptOfStream:
        """Return what other tables than the log and the read models keep of a stream."""
        return KeptOfStream(
            anchor=next((Anchor(*row) for row in list(self.anchors.of(stream_id))), None),
            snapshots=[StoredSnapshot(*row) for row in self.snapshots.of(stream_id)],
            in_flight=next(iter(list(self.in_flight.of(stream_id))), ()),
        )


def _verify_stream(task: Task, tables: _Tables, stream_id: str, made: Slice) -> None:
    findings = Findings(stream_id=stream_id)
    fold = StreamFold(
        findings=findings,
        kept=tables.kept_of(stream_id),
        books=task.books,
        head=task.head,
        stamp_position=_vouched_for(task, stream_id),
    )
    parked = {row[0]: Parked(row[0], stream_id, *row[1:]) for row in tables.parked.of(stream_id)}
    made.parked += parked.values()
    compared = list(_comparisons(task, tables, findings, parked))
    events = tables.events.of(stream_id)
    while page := list(islice(events, sorted_rows.PAGE_ROWS)):
        for event in page:
            fold.take(event)
            for one in compared:
                one.take(event)
        for one in compared:
            one.end_page()
        made.events += len(page)
        task.on_events(len(page))
    anchor = fold.end()
    for one in compared:
        one.end()
    if findings.counts:
        made.findings.append(findings)
    elif anchor and not parked:
        made.sound[stream_id] = anchor


def _vouched_for(task: Task, stream_id: str) -> int:
    """Return the position up to which a stream can be found sound: what its read models have not seen yet cannot."""
    readers = (projector for projector in task.projectors if selects(projector=projector, stream_id=stream_id))
    return min((task.view.positions[projector.name] for projector in readers), default=task.view.head)


def _comparisons(task: Task, tables: _Tables, findings: Findings, parked: Mapping[str, Parked]) -> Iterator[StreamRows]:
    """Yield the read models whose rows of a stream are compared; those that are not are passed over."""
    stream_id = findings.stream_id
    for projector, rows in tables.read_models:
        if not selects(projector=projector, stream_id=stream_id):
            continue
        one = parked.get(projector.name)
        if one and one.is_being_rebuilt:
            # Its rows are those of before: nobody knows of which events.
            rows.skip(stream_id)
            continue
        yield StreamRows(
            projector=projector,
            findings=findings,
            rows=rows.of(stream_id),
            until_position=task.view.positions[projector.name],
            until_version=_last_version(projector, one) if one else None,
        )


def _last_version(projector: Projector[Any], parked: Parked) -> int:
    """Return which event a parked stream's rows must know last: a retry that is under way may have come further."""
    try:
        rows = projector.load(stream_ids=[parked.stream_id]).get(parked.stream_id)
    except DATABASE_IS_AWAY:
        raise
    except Exception:
        # Damaged rows may hold anything. They differ, whichever event they are compared with.
        rows = None
    return max(parked.version - 1, rows.version if rows else 0)


def _event(row: Row) -> RecordedEvent:
    try:
        return recorded_event(row)
    except ValueError:
        # A document that is nested too deep to be read. Text is no object: nobody will take it for one.
        unreadable: Any = "a document that cannot be read"
        return recorded_event((*row[:6], "{}", "{}", *row[8:]))._replace(data=unreadable, metadata=unreadable)
