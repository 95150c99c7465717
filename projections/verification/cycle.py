"""The continuous verification: slice by slice over all streams, then over the whole log, and again, for ever."""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError

from projections.models import VerificationCycle
from projections.projector import Projector
from projections.verification.books import Books
from projections.verification.consistent_view import View, consistent_view
from projections.verification.differences import Difference
from projections.verification.run import is_overtaken
from projections.verification.slices import Task, verify_streams
from projections.verification.sorted_rows import StreamRange
from projections.verification.standing import drop_differences_of_the_log, keep_differences, keep_slice
from projections.verification.whole_log import beyond_the_head, holes, wrong_buckets

logger = logging.getLogger(__name__)

MAX_BEYOND_THE_HEAD = 100


def verify_next_slice(*, projectors: Sequence[Projector[Any]]) -> None:
    """Go on with the cycle where the last slice stopped, for settings.VERIFICATION_SLICE_SECONDS and at least a stream.

    It and where it stopped are committed together, so a slice that is cut short is done again, and no other can be done
    beside it. Whoever finds another at it, or is overtaken, leaves it to that one. What is found anew is logged.
    Raises the database's errors.
    """
    VerificationCycle.objects.bulk_create([VerificationCycle()], ignore_conflicts=True)
    try:
        with consistent_view(projectors=projectors) as view:
            cycle = VerificationCycle.objects.select_for_update(skip_locked=True).first()
            if cycle is None or not _is_due(cycle, view):
                return
            found = _advance(cycle, view, projectors)
            cycle.save(force_update=True)
    except OperationalError as error:
        if not is_overtaken(error):
            raise
        return
    for difference in found:
        logger.error("verification found a difference: %s", difference)


def _is_due(cycle: VerificationCycle, view: View) -> bool:
    if cycle.began_at or cycle.last_began_at is None:
        return True
    return view.moment >= cycle.last_began_at + timedelta(seconds=settings.VERIFICATION_CYCLE_SECONDS)


def _advance(cycle: VerificationCycle, view: View, projectors: Sequence[Projector[Any]]) -> list[Difference]:
    """Do as much of the cycle as the time allows, and at least one step; return the differences that are new."""
    until = time.monotonic() + settings.VERIFICATION_SLICE_SECONDS
    if cycle.began_at is None:
        _begin(cycle, view)
    books = Books.from_json(cycle.books)
    task = Task(view=view, projectors=projectors, books=books, head=cycle.head)
    new: list[Difference] = []
    while cycle.began_at is not None:
        if not cycle.streams_are_done:
            new += _verify_streams(cycle, task, until)
        elif cycle.after_position < cycle.head:
            new += _verify_positions(cycle)
        else:
            new += _finish(cycle, view, books)
        if time.monotonic() >= until:
            break
    cycle.books = books.to_json()
    return new


def _begin(cycle: VerificationCycle, view: View) -> None:
    cycle.began_at = view.moment
    cycle.head = view.head
    cycle.after_stream_id = ""
    cycle.streams_are_done = False
    cycle.after_position = 0
    cycle.books = {}
    cycle.events = 0


def _verify_streams(cycle: VerificationCycle, task: Task, until: float) -> list[Difference]:
    streams = StreamRange.after(cycle.after_stream_id)
    made = verify_streams(task=task, streams=streams, until=until)
    cycle.after_stream_id = made.last_stream_id or cycle.after_stream_id
    cycle.streams_are_done = made.is_last
    cycle.events += made.events
    return keep_slice(made=made, streams=streams)


def _verify_positions(cycle: VerificationCycle) -> list[Difference]:
    page = holes(after_position=cycle.after_position, head=cycle.head)
    cycle.after_position = page.position
    return keep_differences(differences=page.differences)


def _finish(cycle: VerificationCycle, view: View, books: Books) -> list[Difference]:
    new = keep_differences(
        differences=[
            *books.differences(),
            *wrong_buckets(buckets=books.bad_buckets()),
            *beyond_the_head(limit=MAX_BEYOND_THE_HEAD),
        ]
    )
    if cycle.began_at:
        drop_differences_of_the_log(began_at=cycle.began_at)
    cycle.highest_head = max(cycle.highest_head, cycle.head)
    cycle.last_began_at, cycle.last_finished_at, cycle.last_events = cycle.began_at, view.moment, cycle.events
    cycle.began_at = None
    return new
