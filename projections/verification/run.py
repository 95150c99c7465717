"""A verification from beginning to end: of the whole bank, or of one stream."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import OperationalError
from psycopg.errors import SerializationFailure

from eventstore.store import event_store
from projections.projector import Projector
from projections.verification.books import Books
from projections.verification.consistent_view import View, consistent_view, enough_time
from projections.verification.differences import READ_MODEL, Difference, Findings, Parked, Report
from projections.verification.repair import CannotMend, mend
from projections.verification.slices import Slice, Task, verify_streams
from projections.verification.sorted_rows import StreamRange
from projections.verification.standing import drop_differences_of_the_log, keep_differences, keep_slice
from projections.verification.whole_log import beyond_the_head, holes, wrong_transfers

SLICE_SECONDS = 2.0
"""How long a view lasts: while it does, no read model can be replaced, and nothing that it sees be vacuumed away."""

AT_LEAST_LOOKED_FOR = 100
"""How many commands beyond the log's end and wrong transfers are counted, however few are to be printed."""

MAX_ATTEMPTS = 10

Made = TypeVar("Made")


@dataclass(slots=True, kw_only=True)
class Run:
    """How to verify: whether to mend what differs, and who is told what.

    `on_head` is told once, before all else, where the log ends; `on_events` of events as they are taken, page by page;
    and `on_left` of what is not mended.
    """

    projectors: Sequence[Projector[Any]]
    report: Report
    repair: bool = False
    on_head: Callable[[int], None] = lambda head: None
    on_events: Callable[[int], None] = lambda events: None
    on_left: Callable[[str], None] = lambda text: None

    def verify_bank(self) -> None:
        """Verify every stream, and then what no stream can tell; fill `report`. Raises the database's errors."""
        self._spare_the_traces()
        # What is written meanwhile is taken too, as far as it comes to streams that are yet to be verified.
        self.on_head(event_store().head_position())
        made, books, began = self._slice(StreamRange(), Books(), None)
        self._settle(made)
        while not made.is_last:
            made, books, began = self._slice(StreamRange.after(made.last_stream_id or ""), books, began)
            self._settle(made)
        self._verify_whole_log(books, began.head)
        drop_differences_of_the_log(began_at=began.moment)

    def verify_stream(self, *, stream_id: str) -> bool:
        """Verify one stream; return whether anything is kept of it. Raises the database's errors."""
        found = self._spare_the_traces()
        made = self._one(stream_id)
        self._settle(made)
        self.report.add(found)
        return bool(made.streams)

    def _spare_the_traces(self) -> list[Difference]:
        """Mend nothing if events are missing: rows that no event makes may be all that is left of them."""
        if not self.repair:
            return []
        found = _missing_events(head=event_store().head_position(), limit=self._looked_for)
        if found:
            self.repair = False
            self.on_left("anything: events are missing from the log, and what was made of them is left as it is")
        return found

    @property
    def _looked_for(self) -> int:
        return max(self.report.limit, AT_LEAST_LOOKED_FOR)

    def _slice(self, streams: StreamRange, books: Books, began: View | None) -> tuple[Slice, Books, View]:
        """Verify the next streams; the first slice's view, which began it, says up to which head books are kept."""

        def attempt() -> tuple[Slice, Books, View]:
            with consistent_view(projectors=self.projectors) as view:
                added, first = books.copy(), began or view
                task = Task(
                    view=view, projectors=self.projectors, books=added, head=first.head, on_events=self.on_events
                )
                made = verify_streams(task=task, streams=streams, until=time.monotonic() + SLICE_SECONDS)
                keep_slice(made=made, streams=streams)
                return made, added, first

        return again_if_overtaken(attempt)

    def _one(self, stream_id: str) -> Slice:
        streams = StreamRange.of(stream_id)

        def attempt() -> Slice:
            with consistent_view(projectors=self.projectors) as view:
                made = verify_streams(task=Task(view=view, projectors=self.projectors), streams=streams)
                keep_slice(made=made, streams=streams)
                return made

        return again_if_overtaken(attempt)

    def _settle(self, made: Slice) -> None:
        """Report a slice, and mend what it found."""
        self.report.events += made.events
        self.report.streams += made.streams
        self.report.add_parked(made.parked)
        for findings in made.findings:
            self.report.add_findings(findings)
            if self.repair:
                self._mend(findings, set(made.parked))

    def _mend(self, findings: Findings, parked_before: set[Parked]) -> None:
        errors: dict[str, str] = {}
        try:
            errors = mend(findings=findings, projectors=self.projectors)
        except CannotMend as why:
            self.on_left(f"{findings.stream_id}: {why}")
        # What counts is what a second look finds, and of a stream that is parked since it cannot find all.
        again = self._one(findings.stream_id)
        parked_since = [one for one in again.parked if one not in parked_before]
        self.report.add_parked(parked_since)
        left: Counter[tuple[str, str]] = Counter()
        for one in parked_since:
            if not (count := findings.counts[READ_MODEL, one.projection]):
                continue
            left[READ_MODEL, one.projection] = count
            error = errors.get(one.projection, "see the parked streams")
            self.on_left(f"{findings.stream_id}: {one.projection} could not be made anew, and is parked: {error}")
        for found in again.findings:
            left |= found.counts
        self.report.mended += findings.counts.total() - left.total()

    def _verify_whole_log(self, books: Books, head: int) -> None:
        found = [*books.differences(), *_missing_events(head=head, limit=self._looked_for)]
        found += wrong_transfers(buckets=books.bad_buckets(), head=head, limit=self._looked_for)
        self.report.add(found)
        keep_differences(differences=found)


def _missing_events(*, head: int, limit: int) -> list[Difference]:
    with enough_time():
        # It reads all commands.
        found = beyond_the_head(limit=limit)
    position = 0
    while position < head:
        page = holes(after_position=position, head=head)
        position = page.position
        found += page.differences
    return found


def again_if_overtaken(attempt: Callable[[], Made]) -> Made:
    """Return what an attempt makes; begin anew if another verification kept something of the same streams meanwhile."""
    for _ in range(MAX_ATTEMPTS - 1):
        try:
            return attempt()
        except OperationalError as error:
            if not is_overtaken(error):
                raise
    return attempt()


def is_overtaken(error: OperationalError) -> bool:
    """Tell whether a view could not keep what it found, as somebody else did so first."""
    return isinstance(error.__cause__, SerializationFailure)
