"""One stream of a projection by itself: gone on with after it was parked, or projected anew from its first event.

Whoever works on a stream takes three locks in this order, and never one of them twice: the stream, the checkpoint, the
row of the parked stream. All but the long part of a long rebuild happens under the checkpoint's lock.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from eventstore.records import RecordedEvent
from eventstore.store import EventStore, event_store
from projections.engine import Failure, is_away, lock_checkpoint, project_stream
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.parking import park, postpone, suspect
from projections.projector import Projector, State, entity_id
from projections.read_models import delete_rows
from projections.statements import statement

logger = logging.getLogger(__name__)

STREAMS_A_ROUND = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a stream stands in a projection: the version of its rows, and the position of the projection's checkpoint.

    `error` is what it is parked with, None if it is not; `is_being_rebuilt` is whether it is parked to be projected
    anew, with the rows of before until that is done.
    """

    projection: str
    version: int
    position: int
    error: str | None
    is_being_rebuilt: bool

    @property
    def state(self) -> Literal["CURRENT", "PARKED", "REBUILDING"]:
        """The same in one word: CURRENT knows all events up to the checkpoint."""
        if self.is_being_rebuilt:
            return "REBUILDING"
        return "CURRENT" if self.error is None else "PARKED"


def standing_of(*, projector: Projector[Any], stream_id: str) -> Standing:
    """Return how a stream stands."""
    failure = _failures(projector, stream_id).first()
    rows = projector.load(stream_ids=[stream_id]).get(stream_id)
    return Standing(
        projection=projector.name,
        version=rows.version if rows else 0,
        position=_position(projector),
        error=failure.error if failure else None,
        is_being_rebuilt=failure is not None and failure.rows_are_suspect,
    )


def retry_due(*, projectors: Sequence[Projector[Any]], until: float, store: EventStore | None = None) -> None:
    """Try again with the parked streams whose time has come, until the monotonic clock says `until`.

    What others have in hand is left to them, and streams whose rows are suspect to `rebuild_suspects`. One whose retry
    fails is put off. Raises StoreUnavailable, and the database's errors if it is away.
    """
    for projector in projectors:
        for failure in _due(projector, rows_are_suspect=False):
            if time.monotonic() >= until:
                return
            try:
                retry_stream(projector=projector, stream_id=failure.stream_id, wait=False, until=until, store=store)
            except Exception as error:
                if is_away(error):
                    raise
                # Its rows cannot even be read: whatever that is, it must keep none of the others waiting.
                _put_off(failure, error)


def retry_stream(
    *,
    projector: Projector[Any],
    stream_id: str,
    wait: bool = True,
    until: float = math.inf,
    store: EventStore | None = None,
) -> Standing | None:
    """Go on with a parked stream from its rows, up to the checkpoint, and unpark it if that succeeds.

    Each batch of its events is a transaction, so that not even a long stream holds the checkpoint for long; what is not
    done when the monotonic clock says `until` stays parked, and due. A stream that is to be rebuilt is left to that.
    Return None if the stream is not parked or, without `wait`, if somebody else has it in hand. Raises StoreUnavailable
    and the database's errors, OperationalError among them if others have it in hand for longer than lock_timeout.
    """
    store = store or event_store()
    while True:
        with transaction.atomic(durable=True):
            if not _take(projector, stream_id, wait=wait):
                return None
            checkpoint = lock_checkpoint(projector=projector, skip_locked=not wait)
            failure = _failures(projector, stream_id).first()
            if checkpoint is None or failure is None:
                return None
            is_finished = failure.rows_are_suspect or _go_on(projector, stream_id, store, checkpoint.position)
            if is_finished or time.monotonic() >= until:
                return standing_of(projector=projector, stream_id=stream_id)


def rebuild_stream(*, projector: Projector[Any], stream_id: str, store: EventStore | None = None) -> Standing:
    """Project one stream anew, from its first event up to the checkpoint; readers see all of it or nothing.

    If an event cannot be projected the stream is parked at it. Raises StoreUnavailable and the database's errors,
    OperationalError among them if others have the checkpoint or the stream in hand for too long.
    """
    standing = begin_rebuild(projector=projector, stream_id=stream_id, store=store)
    if not standing.is_being_rebuilt:
        return standing
    return _rebuild_parked(projector, stream_id, store or event_store(), wait=True) or standing


def begin_rebuild(*, projector: Projector[Any], stream_id: str, store: EventStore | None = None) -> Standing:
    """Project a stream of one batch anew; park a longer one, for `rebuild_suspects` to do the same. Raises as above.

    While it is parked the checkpoint is free for all other streams, and its rows stay as they were, known as suspect.
    """
    store = store or event_store()
    with transaction.atomic(durable=True):
        if not _take(projector, stream_id, wait=False):
            if _failures(projector, stream_id).filter(rows_are_suspect=True).exists():
                return standing_of(projector=projector, stream_id=stream_id)
            _take(projector, stream_id, wait=True)
        lock_checkpoint(projector=projector, skip_locked=False)
        events = _read(store, stream_id, 0, _position(projector))
        if len(events) == settings.PROJECTION_BATCH_EVENTS:
            suspect(projection=projector.name, event=events[0])
        else:
            delete_rows(projector=projector, entity_id=entity_id(projector=projector, stream_id=stream_id))
            initial = projector.initial(stream_id=stream_id)
            _, failure = project_stream(projector=projector, state=initial, events=events)
            _conclude(projector, stream_id, failure)
        return standing_of(projector=projector, stream_id=stream_id)


def rebuild_suspects(*, projectors: Sequence[Projector[Any]], until: float, store: EventStore | None = None) -> None:
    """Rebuild streams that are parked for it, begin none after the monotonic clock says `until`. Raises as above.

    Whoever finds that another is at it leaves all of them to him: long work is done by one process at a time.
    """
    for projector in projectors:
        for failure in _due(projector, rows_are_suspect=True):
            if time.monotonic() >= until:
                return
            try:
                if not _rebuild_parked(projector, failure.stream_id, store or event_store(), wait=False):
                    return
            except Exception as error:
                if is_away(error):
                    raise
                _put_off(failure, error)


def _go_on(projector: Projector[Any], stream_id: str, store: EventStore, until_position: int) -> bool:
    """Project one batch from the stream's rows on; tell whether there is no more to do for now."""
    rows = projector.load(stream_ids=[stream_id]).get(stream_id)
    state = projector.initial(stream_id=stream_id) if rows is None else rows
    events = _read(store, stream_id, state.version, until_position)
    _, failure = project_stream(projector=projector, state=state, events=events)
    is_finished = failure is not None or len(events) < settings.PROJECTION_BATCH_EVENTS
    if is_finished:
        _conclude(projector, stream_id, failure)
    return is_finished


def _rebuild_parked(projector: Projector[Any], stream_id: str, store: EventStore, *, wait: bool) -> Standing | None:
    """Rebuild a stream that is parked for it: the checkpoint is locked for its latest events alone.

    None if, without `wait`, somebody else has the stream in hand.
    """
    with transaction.atomic(durable=True):
        _take_time()
        if not _take(projector, stream_id, wait=wait):
            return None
        # Unless somebody else was faster.
        if _failures(projector, stream_id).filter(rows_are_suspect=True).exists():
            delete_rows(projector=projector, entity_id=entity_id(projector=projector, stream_id=stream_id))
            state, failure = _catch_up(projector, projector.initial(stream_id=stream_id), store, stream_id)
            lock_checkpoint(projector=projector, skip_locked=False)
            if failure is None:
                _, failure = _catch_up(projector, state, store, stream_id)
            _conclude(projector, stream_id, failure)
        return standing_of(projector=projector, stream_id=stream_id)


def _catch_up(
    projector: Projector[State], state: State, store: EventStore, stream_id: str
) -> tuple[State, Failure | None]:
    """Project a stream's events after `state` up to the checkpoint, in batches: not all may fit in memory."""
    failure: Failure | None = None
    seen = state.version
    while failure is None and (events := _read(store, stream_id, seen, _position(projector))):
        state, failure = project_stream(projector=projector, state=state, events=events)
        seen = events[-1].version
    return state, failure


def _conclude(projector: Projector[Any], stream_id: str, failure: Failure | None) -> None:
    """Park the stream with its failure; without one it has all events up to the checkpoint, and is unparked."""
    if failure:
        park(projection=projector.name, event=failure.event, error=failure.error)
    else:
        _failures(projector, stream_id).delete()


def _put_off(failure: ProjectionFailure, error: Exception) -> None:
    logger.exception("%s: stream %s could not be worked on", failure.projection, failure.stream_id)
    postpone(failure=failure, error=error)


def _due(projector: Projector[Any], *, rows_are_suspect: bool) -> QuerySet[ProjectionFailure]:
    due = ProjectionFailure.objects.filter(
        projection=projector.name, rows_are_suspect=rows_are_suspect, next_attempt_at__lte=timezone.now()
    )
    return due.order_by("next_attempt_at")[:STREAMS_A_ROUND]


def _failures(projector: Projector[Any], stream_id: str) -> QuerySet[ProjectionFailure]:
    return ProjectionFailure.objects.filter(projection=projector.name, stream_id=stream_id)


def _position(projector: Projector[Any]) -> int:
    checkpoint = ProjectionCheckpoint.objects.filter(projection=projector.name).first()
    return checkpoint.position if checkpoint else 0


def _read(store: EventStore, stream_id: str, after_version: int, until_position: int) -> list[RecordedEvent]:
    events = store.read_stream(stream_id, after_version=after_version, limit=settings.PROJECTION_BATCH_EVENTS)
    return [event for event in events if event.position <= until_position]


def _take(projector: Projector[Any], stream_id: str, *, wait: bool) -> bool:
    """Take the stream in hand until the transaction ends; without `wait`, tell whether nobody else has it."""
    # SQLite's transactions begin IMMEDIATE: only one of them is under way.
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        of_stream = {"projection": projector.name, "stream_id": stream_id}
        cursor.execute(statement("take_stream" if wait else "try_take_stream"), of_stream)
        [taken] = cursor.fetchone()
    return wait or bool(taken)


def _take_time() -> None:
    """Let the statements of this transaction take as long as a stream of millions of events takes."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(statement("take_time"))
